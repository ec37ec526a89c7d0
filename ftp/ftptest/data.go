package ftptest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// rawConn is a TCP connection, either plain or with a simulated network (network.go).
type rawConn interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
	flush() // waits until the other end has received what was written; a reset would discard it
	tcp() *net.TCPConn
}

// plainConn is a rawConn without a simulated network.
type plainConn struct{ *net.TCPConn }

func (c plainConn) tcp() *net.TCPConn { return c.TCPConn }

func (c plainConn) flush() {
	for end := time.Now().Add(flushTimeout); unsent(c.TCPConn) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// dataPort is a port of the relay for one data connection. The relay accepts one side's
// connection there, dials the address of the other side, and copies between the two.
type dataPort struct {
	net.Listener
	to     string // the address to dial
	active bool   // whether the server dials this port; else the client does

	transfer atomic.Pointer[transfer] // nil until the relay has seen the command of the transfer

	joined chan struct{} // closed when both sides are connected, or could not be
	sent   chan struct{} // closed when all bytes of the server were copied, or could not be

	mu     sync.Mutex
	ended  bool     // a Product has replied that the transfer has ended
	server net.Conn // the connection to the server; nil until joined is closed
	ends   []end    // the client's and the server's; nil until TLS is ready
}

// transfer holds the changes to the data of one transfer.
type transfer struct {
	fault Fault
	lines *listing // rewrites the lines of a listing; nil to copy them
}

// listenFor opens a port for one data connection, which the relay then forwards to the given
// address. active is true if the server will connect to the port.
func (x *session) listenFor(to string, active bool) (netip.AddrPort, bool) {
	x.closePort()
	host, _, _ := net.SplitHostPort(x.s.Addr)
	l, err := listenTCP(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	p := &dataPort{Listener: l, to: to, active: active, joined: make(chan struct{}), sent: make(chan struct{})}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.closed {
		_ = l.Close()
		return netip.AddrPort{}, false
	}
	x.s.ports[l] = struct{}{}
	x.portMu.Lock()
	x.port = p
	x.portMu.Unlock()
	x.s.work.Go(func() { x.forward(p) })
	addr, err := netip.ParseAddrPort(l.Addr().String())
	return addr, err == nil
}

func (s *Server) forget(l net.Listener) {
	s.mu.Lock()
	delete(s.ports, l)
	s.mu.Unlock()
	_ = l.Close()
}

func (x *session) closePort() {
	x.portMu.Lock()
	defer x.portMu.Unlock()
	if x.port != nil {
		_ = x.port.Close()
		x.port = nil
	}
}

func (x *session) currentPort() *dataPort {
	x.portMu.Lock()
	defer x.portMu.Unlock()
	return x.port
}

// awaitSent waits until the relay has both sides of the data connection and, for a Product, has
// copied the server's data. The server may have sent a small file and its final reply before the
// relay has accepted the data connection.
func (x *session) awaitSent() {
	p := x.currentPort()
	if p == nil {
		return
	}
	<-p.joined
	if x.s.product != nil {
		<-p.sent
	}
}

// forward accepts the data connection, dials the other side, and copies in both directions until
// both have ended.
func (x *session) forward(p *dataPort) {
	joined, sent := sync.OnceFunc(func() { close(p.joined) }), sync.OnceFunc(func() { close(p.sent) })
	defer sent()
	defer joined()
	defer x.s.forget(p.Listener)
	in, err := p.Accept()
	if err != nil {
		return
	}
	out, err := dialTCP(p.to)
	if err != nil {
		_ = in.Close()
		return
	}
	client, server := in.(*net.TCPConn), out.(*net.TCPConn)
	if p.active {
		client, server = server, client
	}
	far := x.s.wrap(client)
	if !x.s.keep(server) || !x.s.keep(far) {
		return
	}
	defer x.s.drop(server)
	defer x.s.drop(far)
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	joined()
	c, s, err := x.ends(p, far, plainConn{server})
	if err != nil && !p.isEnded() || !p.begin(c, s) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { x.copy(p, s, c, false) })
	both.Go(func() {
		x.copy(p, c, s, true)
		sent()
	})
	both.Wait()
}

func (p *dataPort) isEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// begin sets the two ends. It returns false, and closes the connection, if the transfer has
// already ended.
func (p *dataPort) begin(client, server end) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = []end{client, server}
	if p.ended {
		client.finish(true)
		server.reset()
	}
	return !p.ended
}

// endData closes the client's data connection in the normal way. It is called when the server
// has refused a transfer that succeeds without data in the Product: the server itself will not
// use the connection.
func (x *session) endData() {
	p := x.currentPort()
	if p == nil {
		return
	}
	p.mu.Lock()
	p.ended = true
	ends, server := p.ends, p.server
	p.mu.Unlock()
	switch {
	case ends != nil:
		ends[0].finish(true)
		ends[1].reset()
	case server != nil: // the server will not do the TLS handshake: let it fail
		_ = server.SetDeadline(time.Now())
	case p.active: // the server will not dial: the relay dials in its place
		if c, err := dialTCP(p.Addr().String()); err == nil {
			x.s.work.Go(func() {
				defer c.Close()
				select {
				case <-p.sent:
				case <-x.done:
				}
			})
		}
	}
}

// copy copies from src to dst and applies the fault of the transfer. down is true for the
// direction to the client, in which listings are rewritten in the Product's format.
func (x *session) copy(p *dataPort, dst, src end, down bool) {
	buf := make([]byte, 32<<10)
	moved := int64(0)
	for {
		n, err := src.Read(buf)
		var f Fault
		var lines *listing
		if t := p.transfer.Load(); t != nil {
			f = t.fault
			if down {
				lines = t.lines
			}
		}
		part := buf[:n]
		ended := errors.Is(err, io.EOF)
		switch {
		case lines != nil && ended:
			part = lines.render(part)
		case lines != nil:
			lines.add(part)
			part = nil
		}
		if f.data != noDataFault && (n > 0 || ended) && moved+int64(len(part)) >= f.after {
			_, _ = dst.Write(part[:max(0, f.after-moved)])
			x.applyFault(f.data, dst, src)
			return
		}
		if len(part) > 0 {
			if _, err := x.trickle(dst, part, f.rate); err != nil {
				src.reset()
				return
			}
			moved += int64(len(part))
		}
		switch {
		case ended:
			dst.finish(src.clean())
			return
		case err != nil:
			dst.reset()
			return
		}
	}
}

// trickle writes b at a rate in bytes per second; 0 means no limit.
func (x *session) trickle(dst io.Writer, b []byte, rate int64) (n int, err error) {
	if rate <= 0 {
		return dst.Write(b)
	}
	for len(b) > 0 && err == nil {
		part := b[:min(len(b), max(1, int(rate/writesPerSecond)))]
		_, err = dst.Write(part)
		n += len(part)
		b = b[len(part):]
		x.s.pause(time.Duration(len(part)) * time.Second / time.Duration(rate))
	}
	return n, err
}

// applyFault applies a fault after the bytes that it lets through were written.
func (x *session) applyFault(f dataFault, dst, src end) {
	switch f {
	case cutData:
		dst.raw.flush()
		x.s.pause(beforeReset)
		dst.reset()
		src.reset()
	case shortData:
		dst.finish(true)
		_, _ = io.Copy(io.Discard, src)
	case stallData:
		_, _ = io.Copy(io.Discard, stallReader{src.raw.tcp()}) // until one side closes the connection
	}
}

// stallReader waits for the end of a connection without reading from it, so that
// its sender stalls too.
type stallReader struct{ c *net.TCPConn }

func (s stallReader) Read([]byte) (int, error) {
	raw, err := s.c.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Read(func(uintptr) bool { return false })
	if err == nil {
		err = io.EOF
	}
	return 0, err
}

// copyOpaque copies between connections whose content the relay cannot read, because of TLS.
func copyOpaque(dst, src net.Conn) { _, _ = io.Copy(dst, src) }
