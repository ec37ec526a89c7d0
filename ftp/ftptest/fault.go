package ftptest

import (
	"net/netip"
	"strings"
	"time"

	"miniftp/ftp"
)

// Fault is something that goes wrong. The functions of this package that return one say
// what happens; its methods return a Fault that happens less often. The zero Fault does
// nothing.
//
//	srv.Fail("RETR", ftptest.CutAfter(1000).Times(2))      // the first two downloads
//	srv.Fail("STOR", ftptest.Reply(452, "Disk full.").Skip(9)) // all but the first nine uploads
//	srv.Fail(ftptest.Greeting, ftptest.Reply(421, "Too many.").Connection(2))
//
// Faults act under TLS (WithTLS, WithImplicitTLS) as they do without.
type Fault struct {
	times, skip, connection int

	delay  time.Duration
	reply  *ftp.Reply // is given instead of the server's
	silent bool       // no answer ever
	hangUp bool       // the control connection is closed

	data   dataFault
	after  int64 // bytes that are let through first
	rate   int64 // bytes per second
	early  bool  // the final reply comes before the data
	addr   netip.AddrPort
	ignore bool // the server never hears the command, but the client reads a yes
	drop   bool // the final reply is swallowed, and the control connection closed

	host     netip.Addr // takes the place of that in the 227
	swallow  bool       // calls to the data port are not answered
	noCall   bool       // PORT leads nowhere
	after425 time.Duration
}

// Times returns f for the first n commands only; those after them go well, or get the
// next fault of Fail. 0 is all.
func (f Fault) Times(n int) Fault { f.times = n; return f }

// Skip returns f for all but the first n commands, which go well.
func (f Fault) Skip(n int) Fault { f.skip = n; return f }

// Connection returns f for the n-th control connection only, counted from 1 since the
// start of the server.
func (f Fault) Connection(n int) Fault { f.connection = n; return f }

// What Fail takes in place of a verb.
const (
	Greeting = ""  // the greeting of a control connection
	Any      = "*" // every command that has no fault of its own
)

type dataFault uint8

const (
	noDataFault dataFault = iota
	cutData               // reset at both ends
	shortData             // ended in good order for the client; the server notices nothing
	stillData             // nothing moves any more
)

// armed is a Fault that waits for its commands.
type armed struct {
	Fault
	used bool
}

// Fail makes commands with that verb fail, until Heal, or Fail with other faults. Of several
// faults each begins when the one before is used up, so all but the last one need Times.
// Faults of the data connection belong to the verb of the transfer: RETR, STOR, LIST and so
// on; Lie belongs to PASV or EPSV. The verb may also be Any or Greeting.
func (s *Server) Fail(verb string, faults ...Fault) {
	list := make([]armed, len(faults))
	for i, f := range faults {
		list[i].Fault = f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[strings.ToUpper(verb)] = list
}

// WithFault is Fail, before the first client can connect.
func WithFault(verb string, faults ...Fault) Option {
	return func(c *config) { c.faults = append(c.faults, func(s *Server) { s.Fail(verb, faults...) }) }
}

// Heal takes all faults back, or those of the given verbs.
func (s *Server) Heal(verbs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(verbs) == 0 {
		s.faults = map[string][]armed{}
	}
	for _, v := range verbs {
		delete(s.faults, strings.ToUpper(v))
	}
}

// fault returns what goes wrong with a command of the n-th control connection, and counts it.
func (s *Server) fault(verb string, n int) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok := s.faults[verb]
	if !ok && verb != Greeting {
		list = s.faults[Any]
	}
	for i := range list {
		f := &list[i]
		switch {
		case f.used, f.connection != 0 && f.connection != n:
			continue
		case f.skip > 0:
			f.skip--
			return Fault{}
		case f.times > 0:
			f.times--
			f.used = f.times == 0
		}
		return f.Fault
	}
	return Fault{}
}

// Reply answers with this reply; the server never hears the command. A Greeting of 4xx or
// 5xx also ends the connection.
func Reply(code ftp.Code, lines ...string) Fault {
	r := ftp.NewReply(code, lines...)
	return Fault{reply: &r}
}

// Refuse answers 502, as a server that does not know the command.
func Refuse() Fault { return Reply(502, "Command not implemented.") }

// Silence never answers; the server never hears the command.
func Silence() Fault { return Fault{silent: true} }

// HangUp closes the control connection instead of answering.
func HangUp() Fault { return Fault{hangUp: true} }

// Delay holds each reply to the command back for d. WithLatency delays everything.
func Delay(d time.Duration) Fault { return Fault{delay: d} }

// CutAfter resets the data connection, at both ends, after exactly n bytes, or at the end
// of a file of n bytes. The receiver gets these n bytes and then an error; other systems
// than Linux may lose the last ones. Under TLS n counts what TLS protects.
func CutAfter(n int64) Fault { return Fault{data: cutData, after: n} }

// ShortAfter ends the data connection after n bytes as if that were all, and the
// server says 226.
func ShortAfter(n int64) Fault { return Fault{data: shortData, after: n} }

// StallAfter lets n bytes through and then nothing more.
func StallAfter(n int64) Fault { return Fault{data: stillData, after: n} }

// Slow limits the data of the transfer to so many bytes per second.
func Slow(bytesPerSecond int64) Fault { return Fault{rate: bytesPerSecond} }

// EarlyReply gives the final reply, a 226, before the first byte.
func EarlyReply() Fault { return Fault{early: true} }

// LoseReply lets all the data through, but closes the control connection in place
// of the final reply.
func LoseReply() Fault { return Fault{drop: true} }

// Lie puts another address into the 227 or 229 reply. Of a 229 it is the port.
func Lie(addr netip.AddrPort) Fault { return Fault{addr: addr} }

// IgnoreREST says 350 to REST, and the transfer starts at the first byte all the
// same. It goes with the verb REST.
func IgnoreREST() Fault { return Fault{ignore: true} }
