package ftptest

import (
	"net/netip"
	"strings"
	"time"

	"miniftp/ftp"
)

// Fault is something that goes wrong with a command. The zero Fault is none.
type Fault struct {
	reply  *ftp.Reply // is given instead of the server's
	silent bool       // no answer ever
	hangUp bool       // the control connection is cut

	data   dataFault
	after  int64 // bytes that go over first
	early  bool  // the final reply comes before the data
	addr   netip.AddrPort
	ignore bool // the server never hears the command, but the client reads a yes
	drop   bool // the final reply is swallowed, and the control connection cut

	host     netip.Addr // takes the place of that in the 227
	swallow  bool       // calls to the data port are not answered
	noCall   bool       // PORT leads nowhere
	after425 time.Duration
}

type dataFault uint8

const (
	noDataFault dataFault = iota
	cutData               // reset at both ends
	shortData             // ended in good order for the client; the server notices nothing
	stillData             // nothing moves any more
)

// Fail lets every command with that verb fail, until Heal, or Fail with another
// fault. Faults of the data connection go with the verb of the transfer: RETR,
// STOR, LIST …; Lie goes with PASV or EPSV.
func (s *Server) Fail(verb string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[strings.ToUpper(verb)] = f
}

// Heal takes all faults back, or those of the given verbs.
func (s *Server) Heal(verbs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(verbs) == 0 {
		s.faults = map[string]Fault{}
	}
	for _, v := range verbs {
		delete(s.faults, strings.ToUpper(v))
	}
}

func (s *Server) fault(verb string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults[verb]
}

// Reply answers with this reply; the server never hears the command.
func Reply(code ftp.Code, lines ...string) Fault {
	r := ftp.NewReply(code, lines...)
	return Fault{reply: &r}
}

// Refuse answers 502, as a server that does not know the command.
func Refuse() Fault { return Reply(502, "Command not implemented.") }

// Silence never answers; the server never hears the command.
func Silence() Fault { return Fault{silent: true} }

// HangUp cuts the control connection instead of answering.
func HangUp() Fault { return Fault{hangUp: true} }

// CutAfter resets the data connection, at both ends, after n bytes.
func CutAfter(n int64) Fault { return Fault{data: cutData, after: n} }

// ShortAfter ends the data connection after n bytes as if that were all, and the
// server says 226.
func ShortAfter(n int64) Fault { return Fault{data: shortData, after: n} }

// StallAfter lets n bytes through and then nothing moves any more.
func StallAfter(n int64) Fault { return Fault{data: stillData, after: n} }

// EarlyReply gives the final reply, a 226, before the first byte.
func EarlyReply() Fault { return Fault{early: true} }

// LoseReply lets all the data through, but cuts the control connection in place
// of the final reply.
func LoseReply() Fault { return Fault{drop: true} }

// Lie puts another address into the 227 or 229 reply. Of a 229 it is the port.
func Lie(addr netip.AddrPort) Fault { return Fault{addr: addr} }

// IgnoreREST says 350 to REST, and the transfer starts at the first byte all the
// same. It goes with the verb REST.
func IgnoreREST() Fault { return Fault{ignore: true} }
