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

// rawConn is a TCP connection, or one with a network of its own (network.go).
type rawConn interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
	flush() // waits until the other end has what was written, which a reset would destroy
	tcp() *net.TCPConn
}

// plainConn is the rawConn that adds nothing.
type plainConn struct{ *net.TCPConn }

func (c plainConn) tcp() *net.TCPConn { return c.TCPConn }

func (c plainConn) flush() {
	for end := time.Now().Add(flushTimeout); unsent(c.TCPConn) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// dataPort takes one data connection and leads it on.
type dataPort struct {
	net.Listener
	to     string // where it leads
	active bool   // the server dials this port; else the client does

	transfer atomic.Pointer[transfer] // nil until its command

	led  chan struct{} // closed when it leads from end to end, or can't
	sent chan struct{} // closed when the server's bytes have gone over, or can't

	mu     sync.Mutex
	ended  bool     // a Product has said that the transfer is over
	server net.Conn // once it leads
	ends   []end    // the client's and the server's, once they are ready
}

// transfer says what is done to the bytes of one transfer.
type transfer struct {
	fault Fault
	lines *listing // nil: they stay as they are
}

// listenFor takes one data connection and leads it on to the address.
func (x *session) listenFor(to string, active bool) (netip.AddrPort, bool) {
	x.closePort()
	host, _, _ := net.SplitHostPort(x.s.Addr)
	l, err := listenTCP(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	p := &dataPort{Listener: l, to: to, active: active, led: make(chan struct{}), sent: make(chan struct{})}
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
	x.s.work.Go(func() { x.lead(p) })
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

// awaitSent waits until what the server sent has gone over: it may have sent a file and
// said so before the relay has taken its call.
func (x *session) awaitSent() {
	p := x.currentPort()
	if p == nil {
		return
	}
	<-p.led
	if x.s.product != nil {
		<-p.sent
	}
}

// lead takes the data connection, dials the other end, and copies both ways until both
// have ended.
func (x *session) lead(p *dataPort) {
	led, sent := sync.OnceFunc(func() { close(p.led) }), sync.OnceFunc(func() { close(p.sent) })
	defer sent()
	defer led()
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
	led()
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

// begin reports false, and ends the connection, if the transfer is over already.
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

// endData ends the data connection in good order for the client. The server has refused
// the transfer, which the Product takes for one without bytes.
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
	case server != nil: // it does not shake hands
		_ = server.SetDeadline(time.Now())
	case p.active: // the server does not dial: the relay does, as if it had
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

// copy moves bytes from src to dst and makes the transfer's fault. down is the way to the
// client, on which listings are put into a Product's words.
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
			x.spoil(f.data, dst, src)
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

// trickle writes b at so many bytes per second; 0 is no limit.
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

// spoil makes the fault, after the bytes that it lets through.
func (x *session) spoil(f dataFault, dst, src end) {
	switch f {
	case cutData:
		dst.raw.flush()
		x.s.pause(beforeReset)
		dst.reset()
		src.reset()
	case shortData:
		dst.finish(true)
		_, _ = io.Copy(io.Discard, src)
	case stillData:
		_, _ = io.Copy(io.Discard, stillReader{src.raw.tcp()}) // until somebody hangs up
	}
}

// stillReader waits for the end of a connection without taking a byte off it, so
// that its sender stalls too.
type stillReader struct{ c *net.TCPConn }

func (s stillReader) Read([]byte) (int, error) {
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

// pour copies between connections that the relay does not understand.
func pour(dst, src net.Conn) { _, _ = io.Copy(dst, src) }
