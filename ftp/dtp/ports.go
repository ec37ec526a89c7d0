package dtp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Ports is where data connections are listened for. Listeners are leased: one
// that is given back stands open for the next lease, which saves the socket,
// bind, listen and close of every small file. It is safe for concurrent use by
// many control connections; a nil *Ports opens any free port and keeps none.
type Ports struct {
	lo, hi uint16 // 0, 0: any free port

	mu     sync.Mutex
	closed bool
	idle   map[netip.Addr][]*listener
	open   map[netip.AddrPort]struct{} // of a range: what is listened on
}

// Standing listeners kept for one local address. New ones are opened until
// minStanding stand, so that quick transfers spread over several ports and one
// port's closed connections are not in the way of the next.
const (
	minStanding = 8
	maxStanding = 64
)

// NewPorts is the port range lo to hi; 0, 0 is any free port.
func NewPorts(lo, hi uint16) (*Ports, error) {
	if lo > hi || (lo == 0) != (hi == 0) {
		return nil, fmt.Errorf("the port range %d-%d is empty", lo, hi)
	}
	return &Ports{lo: lo, hi: hi, idle: map[netip.Addr][]*listener{}, open: map[netip.AddrPort]struct{}{}}, nil
}

// PortsError is a port range that is used up.
type PortsError struct{ Lo, Hi uint16 }

func (e *PortsError) Error() string {
	return fmt.Sprintf("all data ports from %d to %d are in use", e.Lo, e.Hi)
}

// listener is one open port, leased by at most one Opener at a time.
type listener struct {
	*net.TCPListener
	addr  netip.AddrPort
	ports *Ports
}

// lease returns a listener on that local address whose backlog is empty.
func (p *Ports) lease(local netip.Addr) (*listener, error) {
	if p == nil {
		return listen(nil, netip.AddrPortFrom(local, 0))
	}
	if l := p.takeIdle(local); l != nil {
		if l.drain() {
			return l, nil
		}
		p.forget(l)
	}
	if p.lo == 0 {
		return listen(p, netip.AddrPortFrom(local, 0))
	}
	return p.leaseInRange(local)
}

// takeIdle picks one at random, so that the next port can't be told from the last.
func (p *Ports) takeIdle(local netip.Addr) *listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle[local]
	enough := minStanding
	if p.lo != 0 {
		enough = min(enough, int(p.hi-p.lo)+1)
	}
	if len(idle) < enough {
		return nil
	}
	i := rand.IntN(len(idle))
	return p.cut(local, i)
}

// cut takes the i-th idle listener out. The lock is held.
func (p *Ports) cut(local netip.Addr, i int) *listener {
	idle := p.idle[local]
	l := idle[i]
	last := len(idle) - 1
	idle[i], idle[last] = idle[last], nil
	p.idle[local] = idle[:last]
	return l
}

// leaseInRange opens a port of the range, from a random one upwards; if none is
// left it takes a standing one.
func (p *Ports) leaseInRange(local netip.Addr) (*listener, error) {
	n := int(p.hi-p.lo) + 1
	first := rand.IntN(n)
	for i := range n {
		addr := netip.AddrPortFrom(local, p.lo+uint16((first+i)%n))
		if !p.claim(addr) {
			continue
		}
		l, err := listen(p, addr)
		if err == nil {
			return l, nil
		}
		p.release(addr)
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			return nil, err // no port will do; of others this one may be another program's
		}
	}
	for {
		p.mu.Lock()
		if len(p.idle[local]) == 0 {
			p.mu.Unlock()
			return nil, &PortsError{p.lo, p.hi}
		}
		l := p.cut(local, rand.IntN(len(p.idle[local])))
		p.mu.Unlock()
		if l.drain() {
			return l, nil
		}
		p.forget(l)
	}
}

func (p *Ports) claim(addr netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.open[addr]; taken {
		return false
	}
	p.open[addr] = struct{}{}
	return true
}

func (p *Ports) release(addr netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, addr)
}

// forget closes a listener for good.
func (p *Ports) forget(l *listener) {
	_ = l.TCPListener.Close()
	p.release(l.addr)
}

// giveBack ends the lease: the listener stands for the next one, or closes.
func (l *listener) giveBack() {
	p := l.ports
	if p == nil {
		_ = l.TCPListener.Close()
		return
	}
	p.mu.Lock()
	keep := canDrain && !p.closed && len(p.idle[l.addr.Addr()]) < maxStanding
	if keep {
		p.idle[l.addr.Addr()] = append(p.idle[l.addr.Addr()], l)
	}
	p.mu.Unlock()
	if !keep {
		p.forget(l)
	}
}

// Close closes the ports that stand open; those that are leased close when they
// are given back.
func (p *Ports) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle = map[netip.Addr][]*listener{}
	p.closed = true
	p.mu.Unlock()
	for _, ls := range idle {
		for _, l := range ls {
			p.forget(l)
		}
	}
}

func listen(p *Ports, addr netip.AddrPort) (*listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("can't listen on %v: %w", addr, plain(err))
	}
	return &listener{TCPListener: l.(*net.TCPListener), addr: addrPort(l.Addr()), ports: p}, nil
}
