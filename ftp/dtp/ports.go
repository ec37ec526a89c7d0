package dtp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Ports leases listeners for data connections. A listener that is given back stays open for the next
// lease, which saves socket, bind, listen and close for each small file. Ports is safe for
// concurrent use by many control connections. A nil *Ports opens any free port and keeps none open.
//
// Each lease has a port of its own as long as there are enough (lease.go, idle.go). When all ports of a range are
// leased, leases of different peers share ports (shared.go), and those that can't share wait (waiting.go).
type Ports struct {
	within PortRange
	leases atomic.Int64

	mu     sync.Mutex
	closed bool
	idle   map[netip.Addr][]*listener
	count  int                          // idle listeners of all addresses
	sweeps *time.Timer                  // nil: no listener has been idle yet
	open   map[netip.AddrPort]*listener // for a range: the listeners of its ports; nil: one is being opened
	queue  []*waiter                    // first come, first served
}

// NewPorts returns the Ports of a range. An empty range is an error.
func NewPorts(within PortRange) (*Ports, error) {
	if err := within.check(); err != nil {
		return nil, err
	}
	return &Ports{within: within, idle: map[netip.Addr][]*listener{}, open: map[netip.AddrPort]*listener{}}, nil
}

// PortsError is returned if all ports of the range are in use.
type PortsError struct {
	Range  PortRange
	Waited time.Duration // for a port that becomes free; 0: not at all
}

func (e *PortsError) Error() string {
	text := fmt.Sprintf("all data ports (%v) are in use", e.Range)
	if e.Waited > 0 {
		text += fmt.Sprintf(", and none became free within %v", e.Waited)
	}
	return text
}

// lease returns a listener on r.local whose backlog is empty, or a lease of a port that is shared. If that is not
// possible, it revokes the oldest offer that was not used for the time r.grace. w is nil for a caller that does not
// wait in the queue.
func (p *Ports) lease(r *request, w *waiter) (*listener, error) {
	if p == nil {
		return listen(nil, netip.AddrPortFrom(r.local, 0))
	}
	l, err := p.find(r, w)
	if err == nil {
		p.leases.Add(1)
	}
	return l, err
}

// find is lease without the count.
func (p *Ports) find(r *request, w *waiter) (*listener, error) {
	if l := p.takeIdle(r, w, minIdle); l != nil {
		return l, nil
	}
	l, err := p.openNew(r, w)
	if err == nil {
		return l, nil
	}
	if outOfDescriptors(err) {
		p.closeIdle(r.local) // those of other addresses, to free descriptors
	}
	if l := p.takeIdle(r, w, 1); l != nil {
		return l, nil
	}
	if outOfDescriptors(err) {
		return p.openNew(r, w)
	}
	if l := p.share(r, w); l != nil {
		return l, nil
	}
	if l := p.revoke(r); l != nil {
		return l, nil
	}
	return nil, err
}

func (p *Ports) openNew(r *request, w *waiter) (*listener, error) {
	if p.within.IsZero() {
		return listen(p, netip.AddrPortFrom(r.local, 0))
	}
	return p.openInRange(r, w)
}

// outOfDescriptors reports whether err would be the same for any port.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// openInRange opens a free port of the range.
func (p *Ports) openInRange(r *request, w *waiter) (*listener, error) {
	var tried map[netip.AddrPort]bool
	for {
		addr, ok := p.claim(r.local, w, tried)
		if !ok {
			return nil, &PortsError{Range: p.within}
		}
		l, err := listen(p, addr)
		if err == nil {
			p.mu.Lock()
			l.since, l.by = time.Now(), *r
			p.open[addr] = l
			p.mu.Unlock()
			return l, nil
		}
		p.release(addr) // wakes no waiter: the port was not free
		if outOfDescriptors(err) {
			return nil, err // other errors may be due to the port, which another program uses
		}
		if tried == nil {
			tried = map[netip.AddrPort]bool{}
		}
		tried[addr] = true
	}
}

// claim reserves a port of the range that is not open and was not tried, searching from a random one. It
// looks at all of them under one lock: else it could miss a port that becomes free while another one,
// already looked at, is taken. A free port is left to those who wait for it.
func (p *Ports) claim(local netip.Addr, w *waiter, tried map[netip.AddrPort]bool) (addr netip.AddrPort, ok bool) {
	n := p.within.Len()
	first := rand.IntN(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reserved(local, w) {
		return netip.AddrPort{}, false
	}
	for i := range n {
		addr = netip.AddrPortFrom(local, p.within.First+uint16((first+i)%n))
		if _, taken := p.open[addr]; !taken && !tried[addr] {
			p.open[addr] = nil
			return addr, true
		}
	}
	return netip.AddrPort{}, false
}

func (p *Ports) release(addr netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, addr)
}

// forget closes a listener and frees its port.
func (p *Ports) forget(l *listener) {
	_ = l.TCPListener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, l.addr)
	p.wakeFree(l.addr.Addr())
}

// Close closes the idle listeners. Those that are leased close when they are given back.
func (p *Ports) Close() {
	p.mu.Lock()
	p.closed = true
	if p.sweeps != nil {
		p.sweeps.Stop()
	}
	p.mu.Unlock()
	p.closeIdle(netip.Addr{})
}

func listen(p *Ports, addr netip.AddrPort) (*listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false) // it would double the cost of a listener, and no client of FTP uses it
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("can't listen on %v: %w", addr, plain(err))
	}
	return &listener{TCPListener: l.(*net.TCPListener), addr: AddrPort(l.Addr()), ports: p}, nil
}
