package ftptest

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"miniftp/ftp"
)

// relay accepts control connections and connects each of them to the server.
func (s *Server) relay() {
	for n := 1; ; n++ {
		c, err := s.front.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() { s.session(s.wrap(c.(*net.TCPConn)), n) })
	}
}

// keep registers a connection for Close. After Close it closes c and returns false.
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

// session is one control connection through the relay. One goroutine runs commands, which reads
// from the client. Another runs replies, which reads from the server.
//
// Every command that is passed on, and every reply that the relay gives itself while others are
// pending, is in waiting until its final reply was sent. So replies stay in the order of the
// commands, and answer knows which command a reply belongs to.
type session struct {
	s      *Server
	number int // the number of the control connection, from 1

	mu      sync.Mutex // guards the next block, and writes to the client
	client  net.Conn   // a *tls.Conn after TLS has begun; so is server
	server  net.Conn
	waiting []asked // commands whose final reply was not sent yet
	seen    seen

	tls     *security             // nil if the relay does not decrypt TLS
	secured chan bool             // receives whether the server accepted AUTH
	lost    atomic.Pointer[Fault] // the fault NoCall of the last PORT; nil if it had none
	done    chan struct{}         // closed when the session ends

	portMu sync.Mutex
	port   *dataPort // the relay's port for the next data connection
}

// asked is a command whose final reply is pending.
type asked struct {
	cmd     ftp.Command
	fault   Fault
	in      bool      // the client was logged in
	replied bool      // the final reply was already sent, or must not be sent
	reply   []byte    // the relay's reply to a command that was not passed to the server
	data    *transfer // nil unless the command is a transfer
}

const lineLimit = 64 << 10

func (s *Server) session(client rawConn, number int) {
	if !s.keep(client) {
		return
	}
	defer s.drop(client)
	f := s.fault(Greeting, number)
	if f.hangUp {
		return
	}
	up, err := dialTCP(s.inner)
	if err != nil || !s.keep(up) {
		return
	}
	defer s.drop(up)
	x := &session{
		s: s, number: number, client: client, server: up, secured: make(chan bool, 1), done: make(chan struct{}),
		waiting: []asked{{cmd: ftp.Command{Verb: Greeting}, fault: f, replied: f.reply != nil || f.silent}},
	}
	defer close(x.done)
	if s.tls != nil {
		x.tls = newSecurity(s.tls)
	}
	if s.implicit && (x.secureServer() != nil || x.secureClient() != nil) {
		return
	}
	if f.reply != nil {
		if x.write(*f.reply); f.reply.Code.Class() != ftp.Completion {
			return
		}
	}
	ended := make(chan struct{})
	s.work.Go(func() {
		defer close(ended)
		x.replies()
		_ = client.Close()
	})
	x.commands()
	if c, ok := up.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	<-ended
	x.closePort()
}

// commands reads the client's commands and passes them on, or applies a fault.
func (x *session) commands() {
	lines := ftp.NewLineReader(x.client, lineLimit)
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return
		}
		cmd, err := ftp.ParseCommand(line)
		if err != nil {
			x.expect(asked{})
			_, _ = x.server.Write(append(append([]byte(nil), line...), '\r', '\n'))
			continue
		}
		x.note(cmd.Masked())
		if !x.command(cmd) {
			return
		}
		if cmd.Verb != "AUTH" || !<-x.secured {
			continue
		}
		if x.tls == nil { // from here on, only client and server can decrypt
			copyOpaque(x.server, x.client)
			return
		}
		if x.secureClient() != nil {
			_ = x.server.Close()
			return
		}
		lines = ftp.NewLineReader(x.client, lineLimit)
	}
}

// note records a command for Commands and ClearCommands.
func (x *session) note(cmd ftp.Command) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.commands = append(x.s.commands, cmd)
	if _, secure := x.client.(*tls.Conn); !secure {
		x.s.clear = append(x.s.clear, cmd)
	}
}

// command replies to a command or passes it on. It returns false if the session has ended.
func (x *session) command(cmd ftp.Command) bool {
	f := x.s.fault(cmd.Verb, x.number)
	switch {
	case f.reply != nil:
		x.inTurn(f.reply.Append(nil))
		return x.skipped(cmd)
	case f.silent:
		return x.skipped(cmd)
	case f.ignore:
		x.inTurn(ftp.NewReply(350, "Restarting.").Append(nil))
		return true
	case f.hangUp:
		_ = x.client.Close()
		return false
	case x.answerNoCall(cmd, f):
		return true
	}
	x.mu.Lock()
	say, ok := x.says(cmd, x.seen.in, nil)
	say = x.fill(say, &asked{cmd: cmd}, nil)
	x.mu.Unlock()
	if ok {
		x.inTurn(wire(say))
		if ftp.IsTransfer(cmd.Verb) && say[0] == '1' {
			x.endData()
		}
		return x.skipped(cmd)
	}
	return x.pass(cmd, f)
}

// skipped is called for a command that is not passed to the server. It returns true.
func (x *session) skipped(cmd ftp.Command) bool {
	if cmd.Verb == "AUTH" {
		x.secured <- false
	}
	return true
}

// pass sends a command to the server. It replaces the address in PORT and EPRT by one
// of the relay, so that the data connection goes through the relay.
func (x *session) pass(cmd ftp.Command, f Fault) bool {
	x.mu.Lock()
	a := asked{cmd: cmd, fault: f, in: x.seen.in}
	x.mu.Unlock()
	if ftp.IsTransfer(cmd.Verb) {
		a.data = &transfer{fault: f, lines: x.listing(&cmd)}
		if p := x.currentPort(); p != nil {
			p.transfer.Store(a.data)
		}
	}
	to, err := addressIn(cmd)
	if err == nil && to.Addr().IsLoopback() && to.Port() >= 1024 {
		if here, ok := x.listenFor(to.String(), true); ok {
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
	x.expect(a)
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

// inTurn sends a reply after the pending replies to earlier commands.
func (x *session) inTurn(reply []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) > 0 {
		x.waiting = append(x.waiting, asked{reply: reply})
		return
	}
	_, _ = x.client.Write(reply)
}

// next is called after the final reply to the first command of waiting, and removes that command. It
// then sends the replies to the following commands that were not passed to the server. x.mu must be
// held.
func (x *session) next() {
	x.waiting = x.waiting[1:]
	for len(x.waiting) > 0 && x.waiting[0].reply != nil {
		_, _ = x.client.Write(x.waiting[0].reply)
		x.waiting = x.waiting[1:]
	}
}

// replies reads the server's replies and passes them on. The first is the greeting.
func (x *session) replies() {
	defer close(x.secured)
	lines := ftp.NewLineReader(x.server, lineLimit)
	for {
		r, err := ftp.ReadReply(lines)
		if err != nil {
			return
		}
		if r.Code == 234 && x.tls != nil {
			if x.secureServer() != nil {
				return
			}
			lines = ftp.NewLineReader(x.server, lineLimit)
		}
		if !x.answer(r) {
			return
		}
		if r.Code == 234 && x.tls == nil {
			copyOpaque(x.client, x.server)
			return
		}
	}
}

// answer sends the client a reply, changed by the command's fault or by the Product. It returns
// false if the session must end.
func (x *session) answer(r ftp.Reply) bool {
	x.mu.Lock()
	f := Fault{}
	var data *transfer
	if len(x.waiting) > 0 {
		f, data = x.waiting[0].fault, x.waiting[0].data
	}
	x.mu.Unlock()
	x.s.pause(f.delay)
	if data != nil && data.lines != nil && r.Code.Class() == ftp.Completion {
		x.awaitSent()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == 0 { // not a reply to a command, such as a 421
		_, err := x.client.Write(r.Append(nil))
		return err == nil
	}
	a := &x.waiting[0]
	final := r.Code.Class() != ftp.Preliminary
	if final {
		defer x.next()
	}
	if final && a.cmd.Verb == "AUTH" {
		x.secured <- r.Code == 234
	}
	x.seen.reply(a, r)
	if x.tls != nil {
		x.tls.follow(a.cmd, r.Code)
	}
	switch {
	case final && a.replied:
		return true
	case final && f.drop && ftp.IsTransfer(a.cmd.Verb):
		if r.Code.Class() == ftp.Completion {
			x.awaitSent() // because the port is closed when the session ends
		}
		return false
	case !final && f.early:
		a.replied = true
		b := ftp.NewReply(226, "Done.").Append(r.Append(nil))
		_, err := x.client.Write(b)
		return err == nil
	case final && f.data == shortData:
		r = ftp.NewReply(226, "Done.")
	case r.Code == 227 || r.Code == 229:
		r = x.readdress(r, f)
	}
	b, over := x.phrase(a, r)
	_, err := x.client.Write(b)
	if over {
		x.endData()
	}
	return err == nil
}

// readdress replaces the address in a passive reply by one of the relay, or by that of a fault.
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
		here, _ = x.silentPort()
	}
	if !here.IsValid() {
		var ok bool
		if here, ok = x.listenFor(there.String(), false); !ok {
			return r
		}
		for _, a := range x.waiting[1:] { // the client may have sent the transfer without waiting for this reply
			if p := x.currentPort(); a.data != nil && p != nil {
				p.transfer.Store(a.data)
				break
			}
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
