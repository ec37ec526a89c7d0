package ftptest

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/ftp"
)

// This file has what a network does to connections, not a server.

// network is how far away the clients are.
type network struct {
	latency time.Duration // one way
	rate    int64         // bytes per second of a connection, each way
}

// WithLatency delays all that goes over a connection, each way: a command and its reply take
// twice as long. Opening a connection takes no time.
func WithLatency(oneWay time.Duration) Option { return func(c *config) { c.net.latency = oneWay } }

// WithRate limits each connection to so many bytes per second, each way.
func WithRate(bytesPerSecond int64) Option { return func(c *config) { c.net.rate = bytesPerSecond } }

// wrap puts the network before a client's connection.
func (s *Server) wrap(c *net.TCPConn) rawConn {
	if s.net == (network{}) {
		return plainConn{c}
	}
	far := &farConn{plainConn: plainConn{c}, s: s, in: make(chan chunk, 64), out: make(chan chunk, 64), gone: make(chan struct{})}
	s.work.Go(far.pull)
	s.work.Go(far.push)
	return far
}

// farConn is a connection over a network.
type farConn struct {
	plainConn
	s       *Server
	in, out chan chunk
	rest    []byte        // of the chunk that is being read
	failed  error         // what ended reading
	gone    chan struct{} // closed when nothing is sent any more

	mu   sync.Mutex // of what follows, and of writes
	next time.Time  // when the line is free for the next bytes
	shut bool
}

// chunk holds bytes that arrive at a time; one without bytes is the end.
type chunk struct {
	b     []byte
	due   time.Time
	err   error
	close bool
}

// due returns when n bytes arrive that are sent now, if the line is free from next on.
func (n network) due(next *time.Time, bytes int) time.Time {
	if now := time.Now(); next.Before(now) {
		*next = now
	}
	if n.rate > 0 {
		*next = next.Add(time.Duration(bytes) * time.Second / time.Duration(n.rate))
	}
	return next.Add(n.latency)
}

func (c *farConn) pull() {
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

func (c *farConn) Read(b []byte) (int, error) {
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

func (c *farConn) Write(b []byte) (n int, err error) {
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

// SetWriteDeadline does nothing: package tls sets one in the past behind its last write,
// which may be on the way yet.
func (c *farConn) SetWriteDeadline(time.Time) error { return nil }

// flush has nothing to wait for: Close does.
func (c *farConn) flush() {}

// CloseWrite ends what is written once it has arrived.
func (c *farConn) CloseWrite() error {
	c.send(chunk{})
	return nil
}

// Close closes the connection once what was written has arrived.
func (c *farConn) Close() error {
	c.send(chunk{close: true})
	return nil
}

func (c *farConn) send(k chunk) bool {
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

func (c *farConn) push() {
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

// Announce puts another host into the 227 reply, and leaves the port: a server
// behind NAT that announces the address it sees itself. It goes with the verb PASV.
func Announce(host netip.Addr) Fault { return Fault{host: host} }

// SwallowCalls gives a port at which calls are neither taken nor refused, as a
// firewall does that drops them. It goes with the verb PASV or EPSV. Where the
// system can't be made to do so (other than Linux) calls are refused.
func SwallowCalls() Fault { return Fault{swallow: true} }

// NoCall says 200 to PORT or EPRT, and at the transfer no call comes: after a time
// the server says 425, or, with 0, nothing ever.
func NoCall(after time.Duration) Fault { return Fault{noCall: true, after425: after} }

// uncalled answers what follows a PORT that leads nowhere. It reports whether the
// command was one of these.
func (x *session) uncalled(cmd ftp.Command, f Fault) bool {
	switch {
	case f.noCall:
		x.lost.Store(&f)
		x.write(ftp.Replyf(200, "%s is fine.", cmd.Verb))
		return true
	case cmd.Verb == "PORT", cmd.Verb == "EPRT", cmd.Verb == "PASV", cmd.Verb == "EPSV":
		x.lost.Store(nil)
	case ftp.IsTransfer(cmd.Verb):
		lost := x.lost.Swap(nil)
		if lost == nil {
			return false
		}
		x.write(ftp.NewReply(150, "I call you."))
		if lost.after425 > 0 {
			time.AfterFunc(lost.after425, func() { x.write(ftp.NewReply(425, "You can't be reached.")) })
		}
		return true
	}
	return false
}

// nowhere is a session's PORT that leads nowhere.
type nowhere = atomic.Pointer[Fault]

// deafPort listens without ever taking a call, and has taken as many as it may.
func (x *session) deafPort() (netip.AddrPort, bool) {
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
