package ftptest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"

	"miniftp/ftp"
)

// relay takes clients and connects each to the server behind.
func (s *Server) relay() {
	for {
		c, err := s.front.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() { s.session(c) })
	}
}

// keep remembers what Close has to close; false when that was called already.
func (s *Server) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) drop(c net.Conn) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	_ = c.Close()
}

// session is one control connection through the relay.
type session struct {
	s      *Server
	client net.Conn
	server net.Conn

	mu      sync.Mutex // of what follows, and of writes to the client
	waiting []asked    // commands without a final reply yet
	data    *dataFaults

	secured chan bool // what the server said to AUTH

	nowhere nowhere // a PORT that a fault answered

	portMu sync.Mutex
	port   net.Listener  // where the relay takes the next data connection
	led    chan struct{} // closed when it has taken that and leads it on, or has failed to
}

// asked is a command that the server will answer.
type asked struct {
	verb  string
	fault Fault
	gone  bool   // its final reply was given early
	reply []byte // in place of the server's, which never heard of it
}

// dataFaults is what the running transfer suffers.
type dataFaults struct {
	mu sync.Mutex
	Fault
}

const lineLimit = 64 << 10

func (s *Server) session(client net.Conn) {
	if !s.keep(client) {
		return
	}
	defer s.drop(client)
	up, err := dialTCP(s.inner)
	if err != nil || !s.keep(up) {
		return
	}
	defer s.drop(up)
	x := &session{s: s, client: client, server: up, waiting: []asked{{}}, data: &dataFaults{}, secured: make(chan bool, 1)}
	done := make(chan struct{})
	s.work.Go(func() {
		defer close(done)
		x.replies()
		_ = client.Close()
	})
	x.commands()
	if c, ok := up.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	<-done
	x.closePort()
}

// commands passes on what the client says, and lets it fail.
func (x *session) commands() {
	lines := ftp.NewLineReader(x.client, lineLimit)
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return
		}
		cmd, err := ftp.ParseCommand(line)
		if err != nil {
			_, _ = x.server.Write(append(append([]byte(nil), line...), '\r', '\n'))
			x.expect(asked{})
			continue
		}
		x.s.mu.Lock()
		x.s.commands = append(x.s.commands, cmd.Masked())
		x.s.mu.Unlock()
		f := x.s.fault(cmd.Verb)
		switch {
		case f.reply != nil:
			x.inTurn(*f.reply)
			continue
		case f.silent:
			continue
		case f.ignore:
			x.inTurn(ftp.NewReply(350, "Restarting."))
			continue
		case f.hangUp:
			_ = x.client.Close()
			return
		}
		if x.uncalled(cmd, f) {
			continue
		}
		if !x.pass(cmd, f) {
			return
		}
		if cmd.Verb == "AUTH" && <-x.secured {
			_, _ = io.Copy(x.server, x.client) // nobody but the two can read on
			return
		}
	}
}

// pass sends a command to the server; the address of PORT and EPRT becomes the
// relay's own, so that the data connection comes this way.
func (x *session) pass(cmd ftp.Command, f Fault) bool {
	if ftp.IsTransfer(cmd.Verb) {
		x.data.mu.Lock()
		x.data.Fault = f
		x.data.mu.Unlock()
	}
	var to netip.AddrPort
	var err error
	switch cmd.Verb {
	case "PORT":
		to, err = ftp.ParseHostPort(cmd.Arg)
	case "EPRT":
		to, err = ftp.ParseEPRT(cmd.Arg)
	default:
		err = errors.New("no address")
	}
	if err == nil && to.Addr().IsLoopback() && to.Port() >= 1024 {
		if here, ok := x.listenFor(to.String()); ok {
			cmd.Arg = ftp.FormatEPRT(here)
			if cmd.Verb == "PORT" {
				cmd.Arg = ftp.FormatHostPort(here)
			}
		}
	}
	b, err := cmd.Append(nil)
	if err != nil {
		return true
	}
	x.expect(asked{verb: cmd.Verb, fault: f})
	_, err = x.server.Write(b)
	return err == nil
}

func (x *session) expect(a asked) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting = append(x.waiting, a)
}

func (x *session) write(r ftp.Reply) {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, _ = x.client.Write(r.Append(nil))
}

// inTurn gives a reply behind those to the commands before it.
func (x *session) inTurn(r ftp.Reply) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) > 0 {
		x.waiting = append(x.waiting, asked{reply: r.Append(nil)})
		return
	}
	_, _ = x.client.Write(r.Append(nil))
}

// next: the first command has its final reply, and so have those behind it that the
// server never heard of.
func (x *session) next() {
	x.waiting = x.waiting[1:]
	for len(x.waiting) > 0 && x.waiting[0].reply != nil {
		_, _ = x.client.Write(x.waiting[0].reply)
		x.waiting = x.waiting[1:]
	}
}

// replies passes on what the server says. The first is the greeting.
func (x *session) replies() {
	defer close(x.secured)
	lines := ftp.NewLineReader(x.server, lineLimit)
	for {
		r, err := ftp.ReadReply(lines)
		if err != nil {
			return
		}
		if !x.answer(r) {
			return
		}
		if r.Code == 234 {
			_, _ = io.Copy(x.client, x.server)
			return
		}
	}
}

// answer gives the client a reply, changed as the command's fault wants it.
func (x *session) answer(r ftp.Reply) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == 0 { // unasked: a 421
		_, err := x.client.Write(r.Append(nil))
		return err == nil
	}
	a := &x.waiting[0]
	f := a.fault
	final := r.Code.Class() != ftp.Preliminary
	if final {
		defer x.next()
	}
	if final && a.verb == "AUTH" {
		x.secured <- r.Code == 234
	}
	switch {
	case final && a.gone:
		return true
	case final && f.drop && ftp.IsTransfer(a.verb):
		if r.Code.Class() == ftp.Completion {
			x.awaitLed() // the end of the session closes the port
		}
		return false
	case !final && f.early:
		a.gone = true
		b := ftp.NewReply(226, "Done.").Append(r.Append(nil))
		_, err := x.client.Write(b)
		return err == nil
	case final && f.data == shortData:
		r = ftp.NewReply(226, "Done.")
	case r.Code == 227 || r.Code == 229:
		r = x.readdress(r, f)
	}
	_, err := x.client.Write(r.Append(nil))
	return err == nil
}

// readdress puts the relay's own port, or a lie, into a passive reply.
func (x *session) readdress(r ftp.Reply, f Fault) ftp.Reply {
	host, _, _ := net.SplitHostPort(x.s.inner)
	var there netip.AddrPort
	if r.Code == 227 {
		there, _ = ftp.Parse227(r.Last())
	} else if port, err := ftp.Parse229(r.Last()); err == nil {
		there = netip.AddrPortFrom(netip.MustParseAddr(host), port)
	}
	here := f.addr
	if f.swallow {
		here, _ = x.deafPort()
	}
	if !here.IsValid() {
		var ok bool
		if here, ok = x.listenFor(there.String()); !ok {
			return r
		}
	}
	if f.host.IsValid() {
		here = netip.AddrPortFrom(f.host, here.Port())
	}
	if r.Code == 227 {
		return ftp.NewReply(227, ftp.Format227(here))
	}
	return ftp.NewReply(229, ftp.Format229(here.Port()))
}
