package dtp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Sessions wait for a port in one queue, first come, first served. What becomes free wakes the first waiter that can
// use it, which tries to lease again. Until it has tried, others leave it what they could take from it:
//
//   - A free port of a local address is left to those who wait there (reserved).
//   - A seat on a shared port is left to those of the same peer that came earlier (outranked).
//
// So a peer with many sessions delays others only if they can't share its ports.
//
// No wake-up is lost: a waiter that is woken while it tries tries once more, and each end of a wait wakes the next,
// which may have left something to that one. A waiter that finds nothing waits again, in its place.

// maxWaiting bounds the queue. Each waiter costs a goroutine of its session.
const maxWaiting = 1024

// waiter is a place in the queue.
type waiter struct {
	by    request
	wake  chan struct{}
	retry time.Time // when the peer is not late any more on one of the ports; only for the goroutine that waits
	awake bool      // it was woken, and has not tried since in vain; guarded by Ports.mu
}

// Turn is a place in the queue for a port. Manager.Queue returns it. It must end with Manager.ListenOn or Close.
type Turn struct {
	m *Manager
	w waiter
	l *listener
}

// Queue returns a Turn for a Manager whose Listen has returned a *PortsError.
func (m *Manager) Queue() *Turn {
	return &Turn{m: m, w: waiter{by: m.request(), wake: make(chan struct{}, 1)}}
}

// Wait waits until the Turn has a port. If it has none after some seconds, or if too many wait, the error is a
// *PortsError. If ctx ends, it is the cause. Any goroutine may call Wait, once.
func (t *Turn) Wait(ctx context.Context) (err error) {
	t.l, err = t.m.cfg.Ports.await(ctx, &t.w)
	return err
}

// Close ends a Turn whose port is not needed.
func (t *Turn) Close() {
	if t.l != nil && t.l.take() {
		(&Opener{m: t.m, ln: t.l}).Close()
	}
	t.l = nil
}

// ListenOn is Listen for a Turn whose Wait has returned nil.
func (m *Manager) ListenOn(t *Turn) netip.AddrPort {
	m.Close()
	l := t.l
	t.l = nil
	return m.listenOn(l)
}

// await leases a port for w as soon as one is free for it.
func (p *Ports) await(ctx context.Context, w *waiter) (l *listener, err error) {
	if !p.enqueue(w) {
		return nil, &PortsError{Range: p.within}
	}
	defer func() { p.dequeue(w, l != nil && !l.isShared() && !w.by.alone) }()
	end := time.NewTimer(portWait)
	defer end.Stop()
	for {
		w.retry = time.Time{}
		l, err = p.lease(&w.by, w)
		var used *PortsError
		if !errors.As(err, &used) {
			return l, err
		}
		p.sleep(w)
		var again <-chan time.Time
		if !w.retry.IsZero() {
			again = time.After(time.Until(w.retry))
		}
		select {
		case <-w.wake:
		case <-again:
		case <-end.C:
			if l, err = p.lease(&w.by, w); errors.As(err, &used) {
				used.Waited = portWait
			}
			return l, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (p *Ports) enqueue(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= maxWaiting {
		return false
	}
	p.queue = append(p.queue, w)
	return true
}

// dequeue ends the wait of w. Others may use what it has left, or join it if it has a port that is joinable.
func (p *Ports) dequeue(w *waiter, joinable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.queue, w)
	p.queue = slices.Delete(p.queue, i, i+1)
	if len(p.queue) == 0 {
		p.queue = nil
		return
	}
	p.wakePeer(w.by.local, w.by.peer)
	p.wakeFree(w.by.local)
	if joinable {
		p.wakeOthers(w.by.local, w.by.peer)
	}
}

// sleep records that w has tried, unless it was woken meanwhile.
func (p *Ports) sleep(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.awake = len(w.wake) > 0
}

// reserved reports whether a free port of an address is left to those who wait for it, rather than given to w, which
// is nil for a caller that does not wait. p.mu is held.
func (p *Ports) reserved(local netip.Addr, w *waiter) bool {
	return len(p.queue) > 0 && p.first(w, func(v *waiter) bool { return v.by.local == local })
}

// outranked reports whether a seat is left to one of the same peer that came earlier. p.mu is held.
func (p *Ports) outranked(r *request, w *waiter) bool {
	return len(p.queue) > 0 && p.first(w, func(v *waiter) bool { return v.by.local == r.local && v.by.peer == r.peer && !v.by.alone })
}

// first reports whether a waiter of that kind comes before w: an earlier one or, if w was woken, an earlier one that was
// woken, too. p.mu is held.
func (p *Ports) first(w *waiter, kind func(*waiter) bool) bool {
	woken := w != nil && w.awake
	for _, v := range p.queue {
		if v == w {
			return false
		}
		if (!woken || v.awake) && kind(v) {
			return true
		}
	}
	return false
}

// wakeFree wakes the first waiter that can use a free port of that address. p.mu is held.
func (p *Ports) wakeFree(local netip.Addr) {
	if len(p.queue) > 0 {
		p.wakeFirst(func(v *waiter) bool { return v.by.local == local })
	}
}

// wakePeer wakes the first waiter that can use a seat that was left by that peer. p.mu is held.
func (p *Ports) wakePeer(local, peer netip.Addr) {
	if len(p.queue) > 0 {
		p.wakeFirst(func(v *waiter) bool { return v.by.local == local && v.by.peer == peer && !v.by.alone })
	}
}

// wakeOthers wakes the first waiter of each other peer, after a lease of peer was made that they can join. p.mu is held.
func (p *Ports) wakeOthers(local, peer netip.Addr) {
	if len(p.queue) == 0 {
		return
	}
	woken := map[netip.Addr]bool{peer: true}
	for _, v := range p.queue {
		if v.by.local == local && !v.by.alone && !woken[v.by.peer] {
			woken[v.by.peer] = true
			v.rouse()
		}
	}
}

// wakeFirst wakes the first waiter of that kind that does not know of something else already. p.mu is held.
func (p *Ports) wakeFirst(kind func(*waiter) bool) {
	for _, v := range p.queue {
		if len(v.wake) == 0 && kind(v) {
			v.rouse()
			return
		}
	}
}

func (v *waiter) rouse() {
	v.awake = true
	select {
	case v.wake <- struct{}{}:
	default:
	}
}
