package dtp

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// A port is shared when all ports of the range are leased. Then leases of other peers join it. The rules:
//
//   - Each lease has a seat. No two seats of a port have the same peer, so the address of a connection says for which
//     seat it is. A lease to which any host may connect has no seat.
//   - One goroutine of the share accepts the connections and hands them to the seats. It never waits for a seat.
//   - Before a seat is taken, the connections that have arrived are handed out. So none that is older than a seat
//     reaches it, as with a port of its own (drain).
//   - A seat that is left without a connection of its peer makes the peer late: that connection may still come. The
//     peer gets no seat here before lateCall has passed, and what arrives from it is closed.
//   - The share ends with its last seat. The goroutine has ended, and the port is closed if a peer is late, before
//     the port is leased again.
type share struct {
	base *listener // whose port it is
	file *os.File  // another descriptor of the port, on which the goroutine waits
	done chan struct{}
	stop chan struct{}

	mu        sync.Mutex
	over      bool // the last seat was left
	joins     uint64
	seats     map[netip.Addr]*seat
	late      map[netip.Addr]time.Time // until when these peers are late
	strangers []netip.AddrPort         // not yet reported to a session

	headers map[*net.TCPConn]struct{} // whose Config.Sender is asked
	asking  sync.WaitGroup
}

// Bounds on what a shared port keeps. What exceeds them is closed.
const (
	maxArrivals  = 8   // connections of one seat that its Opener has not taken; an honest client makes one
	maxStrangers = 64  // that are not yet reported; more are closed without a report
	maxLate      = 256 // late peers; if there are more, nobody can join the port for a while
	maxHeaders   = 512 // connections whose sender is not yet known; only a balancer that sends no header holds one for long
	maxAccepts   = 64  // without a pause for those who wait for the lock
)

// seat is one lease of a shared port.
type seat struct {
	share  *share
	by     request
	since  time.Time
	joined uint64        // the number of seats of the share before and including this one
	ready  chan struct{} // a connection or a stranger has arrived

	// Guarded by share.mu.
	state  uint32 // offered, taken or revoked
	calls  []arrival
	called bool // a connection of its peer has arrived
}

// arrival is a connection that was accepted on a shared port: a bare descriptor or, if a Sender was asked, conn.
type arrival struct {
	fd     int
	conn   *net.TCPConn
	remote netip.AddrPort // what the Sender says, if there is one
}

// share leases a port that is leased to others already, if there is one that r can share. It prefers one with few
// leases. If the only ones are exclusive leases that an Opener has taken, it asks one of them to share, and returns
// nil: the lease wakes the waiters when it has done so.
func (p *Ports) share(r *request, w *waiter) *listener {
	if !canShare || r.alone || p.within.IsZero() {
		return nil
	}
	for range 4 { // what was picked may have changed before it is joined
		p.mu.Lock()
		if p.outranked(r, w) {
			p.mu.Unlock()
			return nil
		}
		base := p.pick(r, w)
		if base == nil {
			p.mu.Unlock()
			return nil
		}
		sh := base.share
		if sh == nil {
			sh = p.newShare(base, offered)
		}
		p.mu.Unlock()
		if sh == nil {
			continue
		}
		if l := sh.join(r); l != nil {
			return l
		}
	}
	return nil
}

// pick returns the port with the fewest leases that r can join, or nil. p.mu is held.
func (p *Ports) pick(r *request, w *waiter) *listener {
	var best, ask *listener
	fewest := 0
	now := time.Now()
	for addr, l := range p.open {
		if l == nil || addr.Addr() != r.local {
			continue
		}
		n := 0
		switch {
		case l.share != nil:
			var until time.Time
			if n, until = l.share.room(r, now); w != nil && !until.IsZero() && (w.retry.IsZero() || until.Before(w.retry)) {
				w.retry = until
			}
		case !l.by.sharesWith(r):
		case l.state.Load() == offered:
			n = 1
		case !l.wanted.Load():
			ask = l
		}
		if n > 0 && (best == nil || n < fewest) {
			best, fewest = l, n
		}
	}
	if best == nil && ask != nil {
		ask.wanted.Store(true)
		_ = ask.SetDeadline(past) // wakes its Opener
	}
	return best
}

// convert makes an exclusive lease that the caller has taken a shared one, because another wants to join.
func (l *listener) convert() bool {
	p := l.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	l.wanted.Store(false)
	if p.newShare(l, taken) == nil {
		return false
	}
	p.wakeOthers(l.addr.Addr(), l.by.peer)
	return true
}

// newShare makes the lease l the first of a shared port. It returns nil if the state of the lease is not was any more,
// or if no descriptor is free. p.mu is held.
func (p *Ports) newShare(l *listener, was uint32) *share {
	f, err := l.File()
	if err != nil {
		return nil
	}
	sh := &share{
		base: l, file: f, done: make(chan struct{}), stop: make(chan struct{}),
		seats: map[netip.Addr]*seat{}, late: map[netip.Addr]time.Time{}, headers: map[*net.TCPConn]struct{}{},
	}
	l.seat = sh.add(&l.by, l.since, was)
	if !l.state.CompareAndSwap(was, shared) {
		_ = f.Close()
		return nil
	}
	l.share = sh
	go sh.serve()
	return sh
}

// add adds a seat. sh.mu is held, or the share is new.
func (sh *share) add(r *request, since time.Time, state uint32) *seat {
	sh.joins++
	st := &seat{share: sh, by: *r, since: since, joined: sh.joins, ready: make(chan struct{}, 1), state: state}
	sh.seats[r.peer] = st
	return st
}

// room returns the number of seats if r can join the port, else 0. If it can't because its peer is late, it returns
// until when.
func (sh *share) room(r *request, now time.Time) (n int, until time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.over || sh.seats[r.peer] != nil {
		return 0, time.Time{}
	}
	for _, st := range sh.seats {
		if !st.by.sharesWith(r) {
			return 0, time.Time{}
		}
		break // all seats share with each other
	}
	if until := sh.late[r.peer]; now.Before(until) {
		return 0, until
	}
	if len(sh.late) >= maxLate {
		if sh.forgetLate(now); len(sh.late) >= maxLate {
			return 0, now.Add(lateCall)
		}
	}
	return len(sh.seats), time.Time{}
}

func (sh *share) forgetLate(now time.Time) {
	for peer, until := range sh.late {
		if !now.Before(until) {
			delete(sh.late, peer)
		}
	}
}

// join adds a seat for r, or returns nil if that is not possible any more.
func (sh *share) join(r *request) *listener {
	now := time.Now()
	if n, _ := sh.room(r, now); n == 0 {
		return nil
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.over || sh.seats[r.peer] != nil || now.Before(sh.late[r.peer]) || !sh.handOut() {
		return nil
	}
	return sh.seated(sh.add(r, now, offered))
}

// seated returns the lease of a seat.
func (sh *share) seated(st *seat) *listener {
	l := &listener{TCPListener: sh.base.TCPListener, addr: sh.base.addr, ports: sh.base.ports, seat: st}
	l.state.Store(shared)
	return l
}

// revokeShared revokes an offer of the same peer on a shared port, if it is at least r.grace old, and leases its seat.
func (p *Ports) revokeShared(r *request) *listener {
	if r.alone {
		return nil
	}
	p.mu.Lock()
	var all []*share
	for addr, l := range p.open {
		if l != nil && l.share != nil && addr.Addr() == r.local {
			all = append(all, l.share)
		}
	}
	p.mu.Unlock()
	for _, sh := range all {
		if l := sh.replace(r); l != nil {
			p.leases.Add(-1)
			return l
		}
	}
	return nil
}

// replace is revokeShared for one port. The seat that is revoked has no connection that the new one could get: it
// could only be late by more than grace.
func (sh *share) replace(r *request) *listener {
	now := time.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.seats[r.peer]
	if sh.over || st == nil || st.state != offered || now.Sub(st.since) < r.grace || !sh.handOut() {
		return nil
	}
	st.state = revoked
	st.drop()
	return sh.seated(sh.add(r, now, offered))
}

// take takes a seat that is offered. It returns false if it was revoked.
func (st *seat) take() bool {
	st.share.mu.Lock()
	defer st.share.mu.Unlock()
	if st.state != offered {
		return false
	}
	st.state = taken
	return true
}

// uncalled reports whether the seat is offered and its peer has not connected.
func (st *seat) uncalled() bool {
	st.share.mu.Lock()
	defer st.share.mu.Unlock()
	return st.state == offered && st.share.handOut() && !st.called
}

// next returns the oldest connection that has arrived, and the strangers for the caller to report.
func (st *seat) next() (c arrival, ok bool, strangers []netip.AddrPort) {
	sh := st.share
	sh.mu.Lock()
	defer sh.mu.Unlock()
	strangers, sh.strangers = sh.strangers, nil
	if len(st.calls) == 0 {
		return arrival{}, false, strangers
	}
	c = st.calls[0]
	st.calls = st.calls[1:]
	return c, true, strangers
}

// drop closes the connections that have arrived for the seat. share.mu is held.
func (st *seat) drop() {
	for _, c := range st.calls {
		c.close()
	}
	st.calls = nil
}

// leave ends the lease of a seat that was taken. accepted says that its Opener has got the peer's connection. It
// returns the strangers for the caller to report.
func (st *seat) leave(accepted bool) (strangers []netip.AddrPort) {
	sh, p, now := st.share, st.share.base.ports, time.Now()
	sh.mu.Lock()
	if !accepted {
		sh.handOut()
	}
	st.drop()
	delete(sh.seats, st.by.peer)
	// A connection that nobody has judged is that of the peer, unless other users of its host connect, too.
	late := !accepted && (!st.called || st.by.picky)
	if late {
		if len(sh.late) >= maxLate {
			sh.forgetLate(now)
		}
		sh.late[st.by.peer] = now.Add(lateCall)
	}
	sh.over = len(sh.seats) == 0
	over := sh.over
	strangers, sh.strangers = sh.strangers, nil
	sh.mu.Unlock()
	p.leases.Add(-1)
	if over {
		sh.end()
		return strangers
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakePeer(st.by.local, st.by.peer) // it also has to learn until when its peer is late
	return strangers
}

// end ends the goroutine of the port after the last seat was left, and gives the port back.
func (sh *share) end() {
	close(sh.stop)
	_ = sh.file.Close()
	<-sh.done
	sh.mu.Lock()
	for c := range sh.headers {
		_ = c.Close()
	}
	sh.forgetLate(time.Now())
	late := len(sh.late) > 0
	sh.mu.Unlock()
	sh.asking.Wait()
	p := sh.base.ports
	l := &listener{TCPListener: sh.base.TCPListener, addr: sh.base.addr, ports: p}
	l.state.Store(taken)
	p.mu.Lock()
	p.open[l.addr] = l
	p.mu.Unlock()
	if late {
		p.forget(l)
	} else {
		p.standBy(l)
	}
}

// serve hands out the connections that arrive, until the share ends.
func (sh *share) serve() {
	defer close(sh.done)
	for {
		if sh.wait() {
			return
		}
		select {
		case <-sh.stop:
			return
		case <-time.After(acceptPause):
		}
	}
}
