package fakeserver

import (
	"crypto/tls"
	"io"
	"strings"
)

// Says returns a handler that answers with a line.
func Says(line string) func(*Session, string) {
	return func(s *Session, _ string) { s.Say(line) }
}

// Secure sets the handlers of AUTH, PBSZ and PROT.
func (f *Server) Secure(cfg *tls.Config) {
	f.On["AUTH"] = func(s *Session, _ string) {
		s.Say("234 go")
		s.StartTLS(cfg)
	}
	f.On["PBSZ"] = Says("200 ok")
	f.On["PROT"] = func(s *Session, _ string) {
		s.Say("200 ok")
		s.DataTLS = cfg
	}
}

// Storing sets handlers that treat Files as a disk: RNFR and DELE refuse missing files, DELE removes, and a file that
// is deleted during its upload stays deleted.
func Storing(f *Server) {
	var from string
	f.On["STOR"] = func(s *Session, arg string) {
		f.SetFile(arg, "")
		s.Say("150 send it")
		c := s.Data()
		b, _ := io.ReadAll(c)
		_ = c.Close()
		if _, there := f.File(arg); there { // it was not deleted meanwhile
			f.SetFile(arg, string(b))
		}
		s.Say("226 done")
	}
	f.On["RNFR"] = func(s *Session, arg string) {
		if _, ok := f.File(arg); !ok {
			s.Say("550 no such file")
			return
		}
		from = arg
		s.Say("350 to what?")
	}
	f.On["RNTO"] = func(s *Session, arg string) {
		text, _ := f.File(from)
		f.RemoveFile(from)
		f.SetFile(arg, text)
		s.Say("250 done")
	}
	f.On["DELE"] = func(s *Session, arg string) {
		if _, ok := f.File(arg); !ok {
			s.Say("550 no such file")
			return
		}
		f.RemoveFile(arg)
		s.Say("250 gone")
	}
}

// NoDots returns a change for a Storing server: it answers uploads to names with a leading dot by reply.
func NoDots(reply string) func(f *Server) {
	return func(f *Server) {
		stor := f.On["STOR"]
		f.On["STOR"] = func(s *Session, arg string) {
			if strings.Contains(arg, "/.") {
				s.Say(reply)
				return
			}
			stor(s, arg)
		}
	}
}
