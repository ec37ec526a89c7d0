package ftptest

import (
	"net/netip"
	"strings"
	"time"

	"miniftp/ftp"
)

// Fault is a failure of the server or the network that a Server simulates. The functions of this
// package that return a Fault define what happens. The methods of Fault limit the commands to
// which it happens. The zero Fault does nothing.
//
//	srv.Fail("RETR", ftptest.CutAfter(1000).Times(2))      // the first two downloads
//	srv.Fail("STOR", ftptest.Reply(452, "Disk full.").Skip(9)) // all but the first nine uploads
//	srv.Fail(ftptest.Greeting, ftptest.Reply(421, "Too many.").Connection(2))
//
// Faults work with TLS (WithTLS, WithImplicitTLS) as they do without.
type Fault struct {
	times, skip, connection int

	delay  time.Duration
	reply  *ftp.Reply // sent instead of the server's
	silent bool       // no reply is sent
	hangUp bool       // the control connection is closed

	data   dataFault
	after  int64 // the number of bytes before the data fault
	rate   int64 // bytes per second; 0 means no limit
	early  bool  // the final reply is sent before the data
	addr   netip.AddrPort
	ignore bool // the command is not passed to the server, but answered 350
	drop   bool // the final reply is not sent, and the control connection is closed

	host     netip.Addr    // replaces the host in a 227 reply
	swallow  bool          // connections to the data port are neither accepted nor refused
	noCall   bool          // PORT is accepted, but no connection follows
	after425 time.Duration // with noCall: the time until a 425; 0 means never
}

// Times returns a copy of f for the first n commands only. Later commands get the next fault
// given to Fail, or none. 0 means all commands.
func (f Fault) Times(n int) Fault { f.times = n; return f }

// Skip returns a copy of f that does not apply to the first n commands.
func (f Fault) Skip(n int) Fault { f.skip = n; return f }

// Connection returns a copy of f that applies only to the n-th control connection since the
// start of the server, counted from 1.
func (f Fault) Connection(n int) Fault { f.connection = n; return f }

// Values that Fail accepts in place of a verb.
const (
	Greeting = ""  // the greeting of a control connection
	Any      = "*" // every command for whose verb no faults are set
)

// dataFault is the kind of a fault of a data connection.
type dataFault uint8

const (
	noDataFault dataFault = iota
	cutData               // it is reset on both sides
	shortData             // it ends normally for the client, and the server notices nothing
	stallData             // no more data is copied
)

// armed is a Fault that was given to Fail. Its counters change with each command.
type armed struct {
	Fault
	used bool
}

// Fail makes commands with the given verb fail, until Heal or another call of Fail for the verb.
// With several faults, each begins when the one before it is used up, so all but the last need
// Times. For faults of the data connection, verb is that of the transfer, such as RETR, STOR or
// LIST. For Lie it is PASV or EPSV. The verb may also be Any or Greeting.
func (s *Server) Fail(verb string, faults ...Fault) {
	list := make([]armed, len(faults))
	for i, f := range faults {
		list[i].Fault = f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[strings.ToUpper(verb)] = list
}

// WithFault calls Fail before the first client can connect.
func WithFault(verb string, faults ...Fault) Option {
	return func(c *config) { c.faults = append(c.faults, func(s *Server) { s.Fail(verb, faults...) }) }
}

// Heal removes the faults of the given verbs, or all faults if none is given.
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

// fault returns the fault for a command of the n-th control connection, and counts the command.
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

// Reply sends this reply, and the command is not passed to the server. A Greeting of 4xx or 5xx
// also closes the connection.
func Reply(code ftp.Code, lines ...string) Fault {
	r := ftp.NewReply(code, lines...)
	return Fault{reply: &r}
}

// Refuse replies 502, like a server that does not support the command.
func Refuse() Fault { return Reply(502, "Command not implemented.") }

// Silence sends no reply, and the command is not passed to the server.
func Silence() Fault { return Fault{silent: true} }

// HangUp closes the control connection instead of replying.
func HangUp() Fault { return Fault{hangUp: true} }

// Delay sends each reply to the command with a delay of d. See also WithLatency, which delays
// everything.
func Delay(d time.Duration) Fault { return Fault{delay: d} }

// CutAfter resets the data connection on both sides after exactly n bytes. If the file has n
// bytes, it does so at the end of the file. The receiver gets these n bytes and then an error;
// on systems other than Linux it may lose the last of them. With TLS, n counts the bytes of the
// file and not those on the wire.
func CutAfter(n int64) Fault { return Fault{data: cutData, after: n} }

// ShortAfter ends the data connection after n bytes as if the file ended there, and
// the reply is 226.
func ShortAfter(n int64) Fault { return Fault{data: shortData, after: n} }

// StallAfter lets n bytes through and then no more. The connection stays open.
func StallAfter(n int64) Fault { return Fault{data: stallData, after: n} }

// Slow limits the transfer to the given number of bytes per second.
func Slow(bytesPerSecond int64) Fault { return Fault{rate: bytesPerSecond} }

// EarlyReply sends the final reply, 226, before the first byte of data.
func EarlyReply() Fault { return Fault{early: true} }

// LoseReply lets all data through, but closes the control connection instead of
// sending the final reply.
func LoseReply() Fault { return Fault{drop: true} }

// Lie replaces the address in a 227 reply, or the port in a 229 reply. Use it with the verb PASV or
// EPSV.
func Lie(addr netip.AddrPort) Fault { return Fault{addr: addr} }

// IgnoreREST replies 350 to REST, but the transfer starts at the first byte of the
// file. Use it with the verb REST.
func IgnoreREST() Fault { return Fault{ignore: true} }
