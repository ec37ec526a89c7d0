package server

import (
	"strconv"
	"strings"

	"miniftp/ftp"
)

func paramRows() []row {
	return []row{
		{verb: "TYPE", syntax: wordArg.shape("A [N|T] | I | L 8"), rfc: "959 §4.1.2", help: "representation type: text lines or plain bytes", run: (*session).setType},
		{verb: "STRU", syntax: wordArg.shape("F"), rfc: "959 §4.1.2", help: "file structure: only files without records", run: (*session).setStructure},
		{verb: "MODE", syntax: wordArg.shape("S | B | Z"), rfc: "959 §3.4", feat: feature("MODE B AHEAD"), help: "transfer mode: stream, blocks (the data connection stays), deflate", run: (*session).setMode},
		{verb: "OPTS MODE", syntax: wordArg.shape("Z LEVEL <1-9>"), rfc: "draft-preston-ftpext-deflate", feat: ifModeZ, help: "choose how hard MODE Z compresses", run: (*session).optsMode},
	}
}

// The parameters change with the reply, in ftp.Params.Step.

func (s *session) setType(arg string) ftp.Reply {
	t, err := ftp.ParseType(arg)
	switch {
	case err != nil:
		return ftp.NewReply(504, "TYPE is one of A, A N, A T, I and L 8.")
	case t == ftp.EBCDIC:
		return ftp.NewReply(504, "EBCDIC is not supported: use TYPE A or TYPE I.")
	case t == ftp.ASCII:
		return ftp.NewReply(200, "Type A: lines end in CRLF.")
	}
	return ftp.Replyf(200, "Type %v: bytes as they are.", t)
}

func (s *session) setStructure(arg string) ftp.Reply {
	t, err := ftp.ParseStructure(arg)
	switch {
	case err != nil:
		return ftp.NewReply(501, "STRU takes F, R or P.")
	case t != ftp.FileStructure:
		return ftp.NewReply(504, "Records and pages are not supported: use STRU F.")
	}
	return ftp.NewReply(200, "Structure F.")
}

func (s *session) setMode(arg string) ftp.Reply {
	m, err := ftp.ParseTransferMode(arg)
	switch {
	case err != nil:
		return ftp.NewReply(501, "MODE takes S, B or Z.")
	case m == ftp.Compressed:
		return ftp.NewReply(504, "MODE C is not supported: use MODE S or B.")
	case m == ftp.Deflate && !s.set.ModeZ:
		return ftp.NewReply(504, "MODE Z is not supported: use MODE S or B.")
	case m != s.params.Mode:
		s.data.Keep(nil) // close a connection kept for the other mode
	}
	return ftp.Replyf(200, "Mode %v.", m)
}

func ifModeZ(s *session) string {
	if !s.set.ModeZ {
		return ""
	}
	return "MODE Z"
}

// optsMode accepts the options of the draft, and ENGINE, which some clients send, too.
func (s *session) optsMode(arg string) ftp.Reply {
	f := strings.Fields(strings.ToUpper(arg))
	if !s.set.ModeZ || f[0] != "Z" {
		return ftp.NewReply(501, "That mode has no options.")
	}
	level := s.level // changed only if the whole line is valid
	for f = f[1:]; len(f) >= 2; f = f[2:] {
		n, err := strconv.Atoi(f[1])
		switch {
		case f[0] == "ENGINE" && f[1] == "ZLIB":
		case f[0] == "LEVEL" && err == nil && n >= 1 && n <= 9:
			level = n
		default:
			return ftp.Replyf(501, "%s %s: MODE Z has LEVEL 1 to 9.", ftp.Printable(clip(f[0], 40)), ftp.Printable(clip(f[1], 40)))
		}
	}
	if len(f) > 0 {
		return ftp.NewReply(501, "The syntax is: OPTS MODE Z LEVEL <1-9>")
	}
	if s.level = level; level == 0 {
		return ftp.NewReply(200, "MODE Z has its default level.")
	}
	return ftp.Replyf(200, "MODE Z has level %d.", level)
}
