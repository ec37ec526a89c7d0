package dtp

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A lease entitles an Opener to the connection of its peer on one port. It is in one of four states, which change
// like this:
//
//	offered → taken     the address was announced, and its Manager now takes or closes the offer
//	offered → revoked   another lease needs the port; the Manager gets ErrOfferRevoked
//	offered → shared    the lease of another peer joins the port (Ports.share)
//	taken → shared      the same, while an Opener waits for the connection: the Opener does it (convert)
//
// A change is a compare-and-swap, so only one of two succeeds. As long as a lease is not shared, only the goroutine
// that has taken it accepts connections on the port, with no lock. The leases of a shared port have seats, and a
// goroutine of the port accepts for all of them (shared.go). A lease that is shared stays so. When the last seat of a
// port is left, its socket gets a new listener, which is idle or closed like any other.

// listener is one open port and the lease of it, or one of the leases if it is shared.
type listener struct {
	*net.TCPListener
	addr   netip.AddrPort
	ports  *Ports
	state  atomic.Uint32 // of the lease
	wanted atomic.Bool   // another lease wants to join while this one is taken
	seat   *seat         // of the lease, if it is shared; set before the state

	// For a range, guarded by ports.mu.
	since time.Time // start of the lease
	by    request   // for whom the port is leased; zero: for nobody
	share *share    // nil: the port is not shared
	stale bool      // idle since before the last sweep; without a range, too
}

// The states of a lease.
const (
	offered uint32 = iota
	taken
	revoked
	shared
)

// request says for whom a port is leased.
type request struct {
	local netip.Addr
	peer  netip.Addr    // whose connection is accepted
	cfg   *Config       // of the Manager
	alone bool          // others than the peer may connect, so the port can't be shared
	picky bool          // Guard.Accept may reject a connection of the peer's host
	grace time.Duration // how long an offer of others may be unused before it is revoked for this one
}

// sharesWith reports whether a and b can be leases of one port: it must be clear from the address of a connection for
// which of the two it is. Where a connection comes from is for Config.Sender to say, so both must have the same.
func (a *request) sharesWith(b *request) bool {
	return a.peer.IsValid() && b.peer.IsValid() && a.peer != b.peer && !a.alone && !b.alone &&
		(a.cfg == b.cfg || a.cfg.sender() == nil && b.cfg.sender() == nil)
}

// take takes a lease that is offered. It returns false if it was revoked.
func (l *listener) take() bool {
	return l.state.CompareAndSwap(offered, taken) || l.isShared() && l.seat.take()
}

// isShared reports whether the lease has a seat. For the goroutine that has taken the lease, the answer changes only
// by convert.
func (l *listener) isShared() bool { return l.state.Load() == shared }

// offer makes a lease that is being prepared an offer. Those who wanted to join meanwhile can do so now.
func (l *listener) offer() {
	l.state.Store(offered)
	if l.wanted.Load() {
		l.ports.mu.Lock()
		defer l.ports.mu.Unlock()
		l.wanted.Store(false)
		l.ports.wakeOthers(l.addr.Addr(), l.by.peer)
	}
}

// revoke revokes the oldest offer on that address, if it is at least grace old, and leases its port again.
// The Manager of the offer gets ErrOfferRevoked.
func (p *Ports) revoke(r *request) *listener {
	if p.within.IsZero() {
		return nil
	}
	if l := p.revokeShared(r); l != nil {
		return l
	}
	for {
		p.mu.Lock()
		now := time.Now()
		var oldest *listener
		for addr, l := range p.open {
			if l != nil && addr.Addr() == r.local && l.state.Load() == offered && now.Sub(l.since) >= r.grace &&
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
		l := &listener{TCPListener: oldest.TCPListener, addr: oldest.addr, ports: p, since: now, by: *r}
		l.state.Store(taken)
		p.open[l.addr] = l
		p.mu.Unlock()
		if l.drain() {
			l.offer()
			return l
		}
		p.forget(l)
	}
}

// giveBack ends the lease: the listener stays open for the next one, or closes.
func (l *listener) giveBack() {
	if l.ports == nil {
		_ = l.TCPListener.Close()
		return
	}
	l.ports.leases.Add(-1)
	l.ports.standBy(l)
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
