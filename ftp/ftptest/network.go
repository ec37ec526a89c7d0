package ftptest

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"miniftp/ftp"
)

// This file has the faults of a network: delay, limited rate, wrong addresses and lost connections.

// network holds the properties of the simulated network. The zero value simulates none.
type network struct {
	latency time.Duration // one way
	rate    int64         // bytes per second of a connection, each way
}

// WithLatency delays everything on a connection by this time in each direction, so a command and
// its reply take twice as long. Opening a connection is not delayed.
func WithLatency(oneWay time.Duration) Option { return func(c *config) { c.net.latency = oneWay } }

// WithRate limits each connection to the given number of bytes per second in each direction.
func WithRate(bytesPerSecond int64) Option { return func(c *config) { c.net.rate = bytesPerSecond } }

// wrap returns a client's connection with the simulated network, if there is one.
func (s *Server) wrap(c *net.TCPConn) rawConn {
	if s.net == (network{}) {
		return plainConn{c}
	}
	far := &delayedConn{plainConn: plainConn{c}, s: s, in: make(chan chunk, 64), out: make(chan chunk, 64), gone: make(chan struct{})}
	s.work.Go(far.pull)
	s.work.Go(far.push)
	return far
}

// delayedConn is a connection over the simulated network. The goroutine pull reads chunks from the
// TCP connection, and push writes them; each chunk is passed on when it is due.
type delayedConn struct {
	plainConn
	s       *Server
	in, out chan chunk
	rest    []byte        // the unread part of the current chunk
	failed  error         // the error that ended reading
	gone    chan struct{} // closed when push has returned

	mu   sync.Mutex // guards next and shut, and keeps the order of writes
	next time.Time  // when the line is free for the next bytes
	shut bool       // Close was called
}

// chunk holds bytes that arrive at the time due. One without bytes is the end of the stream.
type chunk struct {
	b     []byte
	due   time.Time
	err   error
	close bool // of the last chunk: close the TCP connection
}

// due returns the arrival time of bytes that are sent now, over a line that is free at next. It
// advances next.
func (n network) due(next *time.Time, bytes int) time.Time {
	if now := time.Now(); next.Before(now) {
		*next = now
	}
	if n.rate > 0 {
		*next = next.Add(time.Duration(bytes) * time.Second / time.Duration(n.rate))
	}
	return next.Add(n.latency)
}

func (c *delayedConn) pull() {
	var next time.Time
	for {
		b := make([]byte, 4<<10)
		got, err := c.plainConn.Read(b)
		select {
		case c.in <- chunk{b: b[:got], due: c.s.net.due(&next, got), err: err}:
		case <-c.gone:
			return
		}
		if err != nil {
			return
		}
	}
}

func (c *delayedConn) Read(b []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.failed != nil {
			return 0, c.failed
		}
		select {
		case k := <-c.in:
			c.s.pause(time.Until(k.due))
			c.rest, c.failed = k.b, k.err
		case <-c.gone:
			return 0, net.ErrClosed
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *delayedConn) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), 4<<10)]
		if !c.send(chunk{b: append([]byte(nil), part...)}) {
			return n, net.ErrClosed
		}
		n += len(part)
		b = b[len(part):]
	}
	return n, nil
}

// SetWriteDeadline does nothing. Package tls sets a deadline in the past after its last write,
// and that write may still be delayed here.
func (c *delayedConn) SetWriteDeadline(time.Time) error { return nil }

// flush does nothing, because Close waits until everything was written.
func (c *delayedConn) flush() {}

// CloseWrite closes the connection for writing once everything written has arrived.
func (c *delayedConn) CloseWrite() error {
	c.send(chunk{})
	return nil
}

// Close closes the connection once everything written has arrived.
func (c *delayedConn) Close() error {
	c.send(chunk{close: true})
	return nil
}

func (c *delayedConn) send(k chunk) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return false
	}
	c.shut = k.close
	k.due = c.s.net.due(&c.next, len(k.b))
	select {
	case c.out <- k:
		return true
	case <-c.gone:
		return false
	}
}

func (c *delayedConn) push() {
	defer close(c.gone)
	defer func() { _ = c.plainConn.Close() }()
	for {
		var k chunk
		select {
		case k = <-c.out:
		case <-c.s.ended:
			return
		}
		c.s.pause(time.Until(k.due))
		switch {
		case k.close:
			c.plainConn.flush()
			return
		case len(k.b) == 0:
			_ = c.plainConn.CloseWrite()
		default:
			if _, err := c.plainConn.Write(k.b); err != nil {
				return
			}
		}
	}
}

// Announce replaces the host in the 227 reply and keeps the port, like a server
// behind NAT that announces its private address. Use it with the verb PASV.
func Announce(host netip.Addr) Fault { return Fault{host: host} }

// SwallowCalls announces a port at which connections are neither accepted nor
// refused, as behind a firewall that drops packets. Use it with the verb PASV or EPSV.
// On systems other than Linux, connections are refused.
func SwallowCalls() Fault { return Fault{swallow: true} }

// NoCall replies 200 to PORT or EPRT, but the server never opens the data connection.
// The transfer fails with 425 after the given time; with 0, no final reply is sent. Use
// it with the verb PORT or EPRT.
func NoCall(after time.Duration) Fault { return Fault{noCall: true, after425: after} }

// answerNoCall replies to PORT with the fault NoCall, and to the transfer after it. It reports
// whether the command was one of these.
func (x *session) answerNoCall(cmd ftp.Command, f Fault) bool {
	switch {
	case f.noCall:
		x.lost.Store(&f)
		x.write(ftp.Replyf(200, "%s accepted.", cmd.Verb))
		return true
	case cmd.Verb == "PORT", cmd.Verb == "EPRT", cmd.Verb == "PASV", cmd.Verb == "EPSV":
		x.lost.Store(nil)
	case ftp.IsTransfer(cmd.Verb):
		lost := x.lost.Swap(nil)
		if lost == nil {
			return false
		}
		x.write(ftp.NewReply(150, "Opening data connection."))
		if lost.after425 > 0 {
			time.AfterFunc(lost.after425, func() { x.write(ftp.NewReply(425, "Can't open data connection.")) })
		}
		return true
	}
	return false
}

// silentPort listens on a port that never accepts a connection, with a full backlog.
func (x *session) silentPort() (netip.AddrPort, bool) {
	host, _, _ := net.SplitHostPort(x.s.Addr)
	l, err := listenTCP(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil || !fillBacklog(l, x.s.keep) {
		_ = l.Close()
		return addr, err == nil
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.closed {
		_ = l.Close()
		return addr, true
	}
	x.s.ports[l] = struct{}{}
	return addr, true
}
