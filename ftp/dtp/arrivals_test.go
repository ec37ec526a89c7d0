//go:build unix

package dtp

import (
	"context"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"miniftp/ftp"
)

// A stranger on a shared port is disconnected, and reported once.
func TestStrangerOnASharedPort(t *testing.T) {
	ms, es, port := guests(t, &Config{}, 3)
	thieves := []*net.TCPConn{call(t, stranger, port), call(t, stranger, port)}
	for _, c := range thieves {
		hungUp(t, c)
	}
	for i, m := range ms {
		opensTo(t, takeOffer(t, m), call(t, guest(i), port))
	}
	var all []ftp.StrangerRefused
	for _, e := range es {
		all = append(all, emitted[ftp.StrangerRefused](e)...)
	}
	if len(all) != 2 || all[0].Remote != AddrPort(thieves[0].LocalAddr()) || all[1].Remote != AddrPort(thieves[1].LocalAddr()) {
		t.Errorf("reported %v, want %v and %v", all, thieves[0].LocalAddr(), thieves[1].LocalAddr())
	}
}

// A session that waits for its peer reports a stranger when it comes, not later.
func TestStrangerIsReportedSoon(t *testing.T) {
	cfg := &Config{}
	ms, _, port := guests(t, cfg, 2)
	seen := make(chan ftp.Happening, 9)
	ms[1].observe = func(h ftp.Happening) { seen <- h }
	o := takeOffer(t, ms[1])
	done := make(chan *Conn, 1)
	go func() { c, _ := o.Open(context.Background()); done <- c }()
	call(t, stranger, port)
	h := within(t, func() ftp.Happening { return <-seen })
	if _, ok := h.(ftp.StrangerRefused); !ok {
		t.Errorf("%+v", h)
	}
	call(t, guest(1), port)
	check(t, within(t, func() *Conn { return <-done }).Close())
}

// Connections that come before the transfer are kept, a bounded number of them, and closed with the lease.
func TestArrivalsAreBounded(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	var conns []*net.TCPConn
	for range maxArrivals + 2 {
		conns = append(conns, call(t, guest(1), port))
	}
	for _, c := range conns[maxArrivals:] {
		hungUp(t, c)
	}
	opensTo(t, takeOffer(t, ms[1]), conns[0])
	for _, c := range conns {
		hungUp(t, c)
	}
	c := call(t, guest(0), port)
	ms[0].Close()
	hungUp(t, c)
}

// With a Sender the address that it returns decides, and a connection that does not say where it comes from holds up no
// other.
func TestSenderOfASharedPort(t *testing.T) {
	cfg := &Config{Sender: func(c *net.TCPConn) (netip.AddrPort, error) {
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil {
			return netip.AddrPort{}, err
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, b[0]}), 4000), nil
	}}
	cfg.Side, cfg.Ports = ftp.ServerPI, ranged(t, 1)
	var ms []*Manager
	var port netip.AddrPort
	for i := range 3 {
		m, _ := manageFor(t, cfg, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
		addr, err := m.Listen()
		check(t, err)
		ms, port = append(ms, m), addr
	}
	silent := call(t, home, port)
	for i := range 2 {
		c := call(t, home, port)
		_, err := c.Write([]byte{byte(i), 'x'})
		check(t, err)
		o := takeOffer(t, ms[i])
		conn := open(t, o)
		b := make([]byte, 1)
		if _, err := conn.Read(b); err != nil || b[0] != 'x' || o.sender.Addr() != ms[i].peer {
			t.Errorf("%q, %v from %v", b, err, o.sender)
		}
	}
	early := call(t, home, port)
	within(t, func() bool {
		for len(cfg.Ports.open[port].share.asked()) < 2 {
			time.Sleep(time.Millisecond)
		}
		return true
	})
	m, _ := manageFor(t, cfg, netip.AddrFrom4([4]byte{203, 0, 113, 7}))
	_, err := m.Listen()
	check(t, err)
	_, err = early.Write([]byte{7}) // says whose it is after the lease, but came before it
	check(t, err)
	hungUp(t, early)
	m.Close()
	ms[2].Close() // the last lease ends the wait for the silent one
	hungUp(t, silent)
}

// asked returns the connections whose Sender is asked.
func (sh *share) asked() []*net.TCPConn {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Collect(maps.Keys(sh.headers))
}
