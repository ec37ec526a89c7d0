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
// A listener is idle (in idle, leased by nobody), or leased. A lease is in one of three states:
//
//	offered   announced to the peer and not used yet
//	taken     an Opener opens or closes it
//	revoked   a later lease needed the port
//
// The goroutine that moves a lease out of offered, by compare-and-swap, owns the listener.
type Ports struct {
	within PortRange

	mu     sync.Mutex
	closed bool
	idle   map[netip.Addr][]*listener
	count  int                          // idle listeners of all addresses
	sweeps *time.Timer                  // nil: no listener has been idle yet
	open   map[netip.AddrPort]*listener // for a range: the listeners of its ports; nil: one is being opened
	leases atomic.Int64
}

// Limits on idle listeners. As long as a local address has fewer than minIdle, a lease opens a new listener. So
// quick transfers spread over several ports, and their closed connections (TIME_WAIT) do not collide.
const (
	minIdle = 8
	maxIdle = 64 // over all local addresses, of which a host may have millions (AnyIP, 127/8)
)

// NewPorts returns the Ports of a range. An empty range is an error.
func NewPorts(within PortRange) (*Ports, error) {
	if err := within.check(); err != nil {
		return nil, err
	}
	return &Ports{within: within, idle: map[netip.Addr][]*listener{}, open: map[netip.AddrPort]*listener{}}, nil
}

// PortsError is returned if all ports of the range are in use.
type PortsError struct{ Range PortRange }

func (e *PortsError) Error() string {
	return fmt.Sprintf("all data ports from %d to %d are in use", e.Range.First, e.Range.Last)
}

// listener is one open port, leased by at most one Opener at a time.
type listener struct {
	*net.TCPListener
	addr  netip.AddrPort
	ports *Ports
	state atomic.Uint32 // of the lease: offered, taken or revoked
	since time.Time     // start of the lease, for a range; guarded by ports.mu
	stale bool          // idle since before the last sweep; guarded by ports.mu
}

// The states of a lease; see Ports.
const (
	offered uint32 = iota
	taken
	revoked
)

// take takes a lease that is offered. It returns false if it was revoked.
func (l *listener) take() bool { return l.state.CompareAndSwap(offered, taken) }

// lease returns a listener on that local address whose backlog is empty. If all ports of a range are in
// use, it revokes the oldest offer that was not used for the time grace.
func (p *Ports) lease(local netip.Addr, grace time.Duration) (*listener, error) {
	if p == nil {
		return listen(nil, netip.AddrPortFrom(local, 0))
	}
	l, err := p.find(local, grace)
	if err == nil {
		p.leases.Add(1)
	}
	return l, err
}

// find is lease without the count.
func (p *Ports) find(local netip.Addr, grace time.Duration) (*listener, error) {
	if l := p.takeIdle(local, minIdle); l != nil {
		return l, nil
	}
	l, err := p.openNew(local)
	if err == nil {
		return l, nil
	}
	if outOfDescriptors(err) {
		p.closeIdle(local) // those of other addresses, to free descriptors
	}
	if l := p.takeIdle(local, 1); l != nil {
		return l, nil
	}
	if outOfDescriptors(err) {
		return p.openNew(local)
	}
	if l := p.revoke(local, grace); l != nil {
		return l, nil
	}
	return nil, err
}

func (p *Ports) openNew(local netip.Addr) (*listener, error) {
	if p.within.IsZero() {
		return listen(p, netip.AddrPortFrom(local, 0))
	}
	return p.openInRange(local)
}

// outOfDescriptors reports whether err would be the same for any port.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// revoke revokes the oldest offer on that address, if it is at least grace old, and leases its port again.
// The Manager of the offer gets ErrOfferRevoked.
func (p *Ports) revoke(local netip.Addr, grace time.Duration) *listener {
	if p.within.IsZero() {
		return nil
	}
	for {
		p.mu.Lock()
		now := time.Now()
		var oldest *listener
		for addr, l := range p.open {
			if l != nil && addr.Addr() == local && l.state.Load() == offered && now.Sub(l.since) >= grace &&
				(oldest == nil || l.since.Before(oldest.since)) {
				oldest = l
			}
		}
		if oldest == nil {
			p.mu.Unlock()
			return nil
		}
		if !oldest.state.CompareAndSwap(offered, revoked) {
			p.mu.Unlock()
			continue
		}
		p.leases.Add(-1)
		l := &listener{TCPListener: oldest.TCPListener, addr: oldest.addr, ports: p, since: now}
		p.open[l.addr] = l
		p.mu.Unlock()
		if l.drain() {
			return l
		}
		p.forget(l)
	}
}

// takeIdle leases an idle listener if there are at least enough of them. It picks one at random, so that
// nobody can guess the next port from the last.
func (p *Ports) takeIdle(local netip.Addr, enough int) *listener {
	if !p.within.IsZero() {
		enough = min(enough, p.within.Len())
	}
	for {
		p.mu.Lock()
		idle := p.idle[local]
		if len(idle) < enough {
			p.mu.Unlock()
			return nil
		}
		l := p.cut(local, rand.IntN(len(idle)))
		if !p.within.IsZero() {
			l.since = time.Now()
		}
		l.state.Store(offered)
		p.mu.Unlock()
		if l.drain() {
			return l
		}
		p.forget(l)
	}
}

// cut removes the i-th idle listener of an address. p.mu is held.
func (p *Ports) cut(local netip.Addr, i int) *listener {
	idle := p.idle[local]
	l := idle[i]
	last := len(idle) - 1
	idle[i], idle[last] = idle[last], nil
	p.idle[local] = idle[:last]
	p.count--
	if last == 0 && len(p.idle) > 1 {
		delete(p.idle, local) // there may be millions of addresses
	}
	return l
}

// openInRange opens a free port of the range.
func (p *Ports) openInRange(local netip.Addr) (*listener, error) {
	var tried map[netip.AddrPort]bool
	for {
		addr, ok := p.claim(local, tried)
		if !ok {
			return nil, &PortsError{p.within}
		}
		l, err := listen(p, addr)
		if err == nil {
			p.mu.Lock()
			l.since = time.Now()
			p.open[addr] = l
			p.mu.Unlock()
			return l, nil
		}
		p.release(addr)
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
// already looked at, is taken.
func (p *Ports) claim(local netip.Addr, tried map[netip.AddrPort]bool) (addr netip.AddrPort, ok bool) {
	n := p.within.Len()
	first := rand.IntN(n)
	p.mu.Lock()
	defer p.mu.Unlock()
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
	p.release(l.addr)
}

// close ends the lease and closes the port.
func (l *listener) close() {
	if l.ports == nil {
		_ = l.TCPListener.Close()
		return
	}
	l.state.Store(taken)
	l.ports.leases.Add(-1)
	l.ports.forget(l)
}

// giveBack ends the lease: the listener stays open for the next one, or closes.
func (l *listener) giveBack() {
	p := l.ports
	if p == nil {
		_ = l.TCPListener.Close()
		return
	}
	p.leases.Add(-1)
	l.state.Store(taken) // an idle listener must not be revoked
	local := l.addr.Addr()
	p.mu.Lock()
	keep := canDrain && !p.closed
	var displaced *listener
	if keep && p.count >= maxIdle {
		// Up to minIdle listeners stay for each address, so that one address can't use up the limit.
		if keep = len(p.idle[local]) < minIdle; keep {
			displaced = p.cutFromMost()
		}
	}
	if keep {
		l.stale = false
		p.idle[local] = append(p.idle[local], l)
		p.count++
		if p.sweeps == nil {
			p.sweeps = time.AfterFunc(idlePort, p.sweep)
		} else if p.count == 1 {
			p.sweeps.Reset(idlePort)
		}
	}
	p.mu.Unlock()
	if displaced != nil {
		p.forget(displaced)
	}
	if !keep {
		p.forget(l)
	}
}

// cutFromMost removes an idle listener of the address that has most of them: the one that was given
// back first. p.mu is held.
func (p *Ports) cutFromMost() *listener {
	var most netip.Addr
	for addr, idle := range p.idle {
		if len(idle) > len(p.idle[most]) {
			most = addr
		}
	}
	return p.cut(most, 0)
}

// sweep closes the listeners that were not leased since the last sweep.
func (p *Ports) sweep() {
	p.mu.Lock()
	var old []*listener
	for addr, idle := range p.idle {
		kept := idle[:0]
		for _, l := range idle {
			if l.stale {
				old = append(old, l)
				continue
			}
			l.stale = true
			kept = append(kept, l)
		}
		clear(idle[len(kept):])
		if p.idle[addr] = kept; len(kept) == 0 {
			delete(p.idle, addr)
		}
	}
	if p.count -= len(old); p.count > 0 {
		p.sweeps.Reset(idlePort)
	}
	p.mu.Unlock()
	for _, l := range old {
		p.forget(l)
	}
}

// closeIdle closes the idle listeners of all addresses except local.
func (p *Ports) closeIdle(local netip.Addr) {
	p.mu.Lock()
	var old []*listener
	for addr, idle := range p.idle {
		if addr != local {
			old = append(old, idle...)
			delete(p.idle, addr)
		}
	}
	p.count -= len(old)
	p.mu.Unlock()
	for _, l := range old {
		p.forget(l)
	}
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
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("can't listen on %v: %w", addr, plain(err))
	}
	return &listener{TCPListener: l.(*net.TCPListener), addr: AddrPort(l.Addr()), ports: p}, nil
}
