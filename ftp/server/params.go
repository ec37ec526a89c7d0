package server

import (
	"miniftp/ftp"
)

func paramRows() []row {
	return []row{
		{verb: "TYPE", syntax: wordArg.shape("A [N|T] | I | L 8"), rfc: "959 §4.1.2", help: "representation type: text lines or plain bytes", run: (*session).setType},
		{verb: "STRU", syntax: wordArg.shape("F"), rfc: "959 §4.1.2", help: "file structure: only files without records", run: (*session).setStructure},
		{verb: "MODE", syntax: wordArg.shape("S"), rfc: "959 §4.1.2", help: "transfer mode: stream", run: (*session).setMode},
	}
}

// The parameters themselves change by the reply, in ftp.Params.Step.

func (s *session) setType(arg string) ftp.Reply {
	t, err := ftp.ParseType(arg)
	switch {
	case err != nil:
		return ftp.NewReply(504, "TYPE is one of A, A N, A T, I and L 8.")
	case t == ftp.EBCDIC:
		return ftp.NewReply(504, "EBCDIC is not spoken here: TYPE A or TYPE I.")
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
		return ftp.NewReply(504, "The files here have no records or pages: STRU F.")
	}
	return ftp.NewReply(200, "Structure F.")
}

func (s *session) setMode(arg string) ftp.Reply {
	m, err := ftp.ParseTransferMode(arg)
	switch {
	case err != nil:
		return ftp.NewReply(501, "MODE takes S.")
	case m != ftp.Stream:
		return ftp.NewReply(504, "Only stream mode is offered: MODE S.")
	}
	return ftp.NewReply(200, "Mode S.")
}
