package ftptest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
)

// listenFor takes one data connection and leads it on to the address.
func (x *session) listenFor(to string) (netip.AddrPort, bool) {
	x.closePort()
	host, _, _ := net.SplitHostPort(x.s.Addr)
	l, err := listenTCP(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.closed {
		_ = l.Close()
		return netip.AddrPort{}, false
	}
	x.s.ports[l] = struct{}{}
	led := make(chan struct{})
	x.portMu.Lock()
	x.port, x.led = l, led
	x.portMu.Unlock()
	x.s.work.Go(func() {
		ready := sync.OnceFunc(func() { close(led) })
		defer ready()
		defer x.s.forget(l)
		in, err := l.Accept()
		if err != nil || !x.s.keep(in) {
			return
		}
		defer x.s.drop(in)
		out, err := dialTCP(to)
		if err != nil || !x.s.keep(out) {
			return
		}
		defer x.s.drop(out)
		ready()
		x.lead(in.(*net.TCPConn), out.(*net.TCPConn))
	})
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

// awaitLed waits until the data connection leads from end to end, or can't: the server may
// have sent a file and said so before the relay has taken its call.
func (x *session) awaitLed() {
	x.portMu.Lock()
	led := x.led
	x.portMu.Unlock()
	if led != nil {
		<-led
	}
}

// lead copies both ways until both have ended. The bytes of a transfer go one
// way; the fault counts them in whichever way they go.
func (x *session) lead(a, b *net.TCPConn) {
	var both sync.WaitGroup
	both.Go(func() { x.copy(b, a) })
	both.Go(func() { x.copy(a, b) })
	both.Wait()
}

// copy moves bytes from src to dst and makes the transfer's fault.
func (x *session) copy(dst, src *net.TCPConn) {
	buf := make([]byte, 32<<10)
	moved := int64(0)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			x.data.mu.Lock()
			f := x.data.Fault
			x.data.mu.Unlock()
			part := buf[:n]
			if left := f.after - moved; f.data != noDataFault && int64(n) > left {
				_, _ = dst.Write(part[:max(left, 0)])
				x.spoil(f.data, dst, src)
				return
			}
			if _, err := dst.Write(part); err != nil {
				_ = src.Close()
				return
			}
			moved += int64(n)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = dst.CloseWrite()
				return
			}
			_ = dst.SetLinger(0)
			_ = dst.Close()
			return
		}
	}
}

// spoil is what happens when the fault's bytes have gone over.
func (x *session) spoil(f dataFault, dst, src *net.TCPConn) {
	switch f {
	case cutData:
		for _, c := range []*net.TCPConn{dst, src} {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	case shortData:
		_ = dst.CloseWrite()
		_, _ = io.Copy(io.Discard, src)
	case stillData:
		_, _ = io.Copy(io.Discard, stillReader{src}) // until somebody hangs up
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
