package dtp

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// Limits on idle listeners. As long as a local address has fewer than minIdle, a lease opens a new listener. So
// quick transfers spread over several ports, and their closed connections (TIME_WAIT) do not collide.
const (
	minIdle = 8
	maxIdle = 64 // over all local addresses, of which a host may have millions (AnyIP, 127/8)
)

// takeIdle leases an idle listener if there are at least enough of them. It picks one at random, so that
// nobody can guess the next port from the last.
func (p *Ports) takeIdle(r *request, w *waiter, enough int) *listener {
	if !p.within.IsZero() {
		enough = min(enough, p.within.Len())
	}
	for {
		p.mu.Lock()
		idle := p.idle[r.local]
		if len(idle) < enough || p.reserved(r.local, w) {
			p.mu.Unlock()
			return nil
		}
		l := p.cut(r.local, rand.IntN(len(idle)))
		if !p.within.IsZero() {
			l.since, l.by = time.Now(), *r
		}
		p.mu.Unlock()
		if l.drain() {
			l.offer() // not before drain, which must not meet the connections of others
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

// standBy keeps a listener without a lease open for the next one, or closes it.
func (p *Ports) standBy(l *listener) {
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
		l.stale, l.by = false, request{}
		l.wanted.Store(false)
		p.idle[local] = append(p.idle[local], l)
		p.count++
		if p.sweeps == nil {
			p.sweeps = time.AfterFunc(idlePort, p.sweep)
		} else if p.count == 1 {
			p.sweeps.Reset(idlePort)
		}
		p.wakeFree(local)
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
