package fakeserver

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"miniftp/ftp"
)

// Behave answers a command as a correct server does.
func (s *Session) Behave(verb, arg string) {
	switch verb {
	case "USER":
		s.Say("331 password?")
	case "PASS":
		s.Say("230 in")
	case "FEAT":
		s.features()
	case "TYPE":
		s.ASCII = arg == "A"
		s.Say("200 type " + arg)
	case "OPTS", "NOOP", "SITE", "MFMT":
		s.Say("200 ok")
	case "QUIT":
		s.Say("221 bye")
	case "ABOR":
		s.Say("226 nothing to abort")
	case "EPSV":
		s.Listen()
		s.Say(fmt.Sprintf("229 come (|||%d|)", s.ListenPort()))
	case "PASV":
		s.Listen()
		s.Say(fmt.Sprintf("227 come (127,0,0,1,%d,%d)", s.ListenPort()>>8, s.ListenPort()&255))
	case "EPRT":
		s.Port, _ = ftp.ParseEPRT(arg)
		s.Say("200 ok")
	case "PORT":
		s.Port, _ = ftp.ParseHostPort(arg)
		s.Say("200 ok")
	case "REST":
		s.Offset, _ = strconv.Atoi(arg)
		s.Say("350 from there")
	case "PWD", "CWD", "MKD", "RMD", "DELE", "RNFR", "RNTO":
		s.behaveTree(verb, arg)
	case "SIZE", "MDTM", "RETR", "STOR", "APPE", "STOU", "LIST", "NLST", "MLSD":
		s.behaveFile(verb, arg)
	default:
		s.Say("502 what?")
	}
}

func (s *Session) behaveTree(verb, arg string) {
	switch verb {
	case "PWD":
		s.Say(`257 "/" is here`)
	case "CWD":
		if _, ok := s.Server.Dir(arg); !ok && arg != "/" {
			s.Say("550 no such directory")
			return
		}
		if s.Dir = arg; arg == "/" {
			s.Dir = ""
		}
		s.Say("250 there")
	case "MKD", "RMD", "DELE":
		s.Say("250 done")
	case "RNFR":
		s.from = arg
		s.Say("350 to?")
	case "RNTO":
		if text, ok := s.Server.File(s.from); ok {
			s.Server.RemoveFile(s.from)
			s.Server.SetFile(arg, text)
		}
		s.Say("250 done")
	}
}

func (s *Session) behaveFile(verb, arg string) {
	text, ok := s.Server.File(arg)
	switch verb {
	case "SIZE", "MDTM", "RETR":
		if !ok {
			s.Say("550 no such file")
			return
		}
	}
	switch verb {
	case "SIZE":
		s.Say(fmt.Sprint("213 ", len(text)))
	case "MDTM":
		s.Say("213 20240102030405")
	case "RETR":
		s.Say("150 here it comes")
		s.Send(text[min(s.Offset, len(text)):])
		s.Say("226 done")
	case "LIST", "NLST", "MLSD":
		s.Say("150 here it comes")
		if arg == "" || arg == "-a" {
			arg = s.Dir
		}
		list, ok := s.Server.Dir(arg)
		if !ok { // with options and a trailing slash, as ls accepts them
			list, _ = s.Server.Dir(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(arg, "-a"), " "), "/"))
		}
		s.Send(list)
		s.Say("226 done")
	case "STOR", "APPE", "STOU":
		s.Take(verb, arg, text)
	}
	s.Offset = 0
}

// Take receives a file for STOR, APPE or STOU. before is its previous content.
func (s *Session) Take(verb, arg, before string) {
	s.Say("150 give")
	data := s.Data()
	b, err := io.ReadAll(data)
	_ = data.Close()
	if err != nil {
		s.Say("426 broken")
		return
	}
	switch verb {
	case "APPE":
		s.Server.SetFile(arg, before+string(b))
	case "STOR":
		s.Server.SetFile(arg, before[:min(s.Offset, len(before))]+string(b))
	default:
		s.Server.SetFile(arg, string(b))
	}
	s.Say("226 got it")
}

func (s *Session) features() {
	if s.Server.Feat == nil {
		s.Say("502 no features")
		return
	}
	s.Say("211-Features")
	for _, line := range s.Server.Feat {
		s.Say(" " + line)
	}
	s.Say("211 End")
}
