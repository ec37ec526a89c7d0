package dtp

import (
	"net"
	"net/netip"
	"time"
)

// This file hands the connections that arrive on a shared port to its seats.

// arrived handles a connection that was accepted. sh.mu is held.
func (sh *share) arrived(c arrival) {
	var sender func(*net.TCPConn) (netip.AddrPort, error)
	for _, st := range sh.seats { // all have the same Sender, or none
		sender = st.by.cfg.sender()
		break
	}
	if sender == nil {
		sh.hand(c, sh.joins)
		return
	}
	if len(sh.headers) >= maxHeaders {
		c.close()
		return
	}
	conn, err := c.open()
	if err != nil {
		return
	}
	sh.headers[conn] = struct{}{}
	joins := sh.joins
	sh.asking.Go(func() { // it may wait, and must not hold up the others
		from, err := sender(conn)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		delete(sh.headers, conn)
		if err != nil {
			sh.refuse(arrival{conn: conn, remote: from})
			return
		}
		sh.hand(arrival{conn: conn, remote: from}, joins)
	})
}

// hand gives a connection to the seat of its peer, unless the seat was taken after the connection had arrived: joins
// is the number of seats at that time. sh.mu is held.
func (sh *share) hand(c arrival, joins uint64) {
	peer := c.remote.Addr().Unmap()
	st := sh.seats[peer]
	switch {
	case st == nil && time.Now().Before(sh.late[peer]):
		c.close()
	case st == nil:
		sh.refuse(c)
	case st.joined > joins, len(st.calls) >= maxArrivals:
		c.close()
	default:
		st.called = true
		st.calls = append(st.calls, c)
		st.wake()
	}
}

// refuse closes the connection of a stranger, for one of the sessions to report. sh.mu is held.
func (sh *share) refuse(c arrival) {
	c.close()
	if len(sh.strangers) >= maxStrangers {
		return
	}
	sh.strangers = append(sh.strangers, c.remote)
	for _, st := range sh.seats {
		if st.state == taken {
			st.wake()
			return
		}
	}
}

func (st *seat) wake() {
	select {
	case st.ready <- struct{}{}:
	default:
	}
}
