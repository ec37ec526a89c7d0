//go:build unix

package dtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
)

// guest returns the i-th of many addresses of loopback.
func guest(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, byte(1 + i/250), byte(1 + i%250)})
}

// manageFor is manage for a peer with another address.
func manageFor(t testing.TB, cfg *Config, peer netip.Addr) (*Manager, *events) {
	t.Helper()
	m, e := manage(t, cfg)
	m.peer = peer.Unmap()
	return m, e
}

// guests returns Managers of n peers, all with an offer on one port, and that port.
func guests(t testing.TB, cfg *Config, n int) ([]*Manager, []*events, netip.AddrPort) {
	t.Helper()
	if n > 1 {
		manyAddresses(t)
	}
	cfg.Side, cfg.Ports = ftp.ServerPI, ranged(t, 1)
	var ms []*Manager
	var es []*events
	var port netip.AddrPort
	for i := range n {
		m, e := manageFor(t, cfg, guest(i))
		addr, err := m.Listen()
		check(t, err)
		if port = addr; addr.Port() != cfg.Ports.within.First {
			t.Fatalf("leased %v", addr)
		}
		ms, es = append(ms, m), append(es, e)
	}
	return ms, es, port
}

func manyAddresses(t testing.TB) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(guest(1), 0)))
	if err != nil {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	_ = l.Close()
}

// shorten changes a time for a test.
func shorten(t testing.TB, what *time.Duration, d time.Duration) {
	t.Helper()
	old := *what
	*what = d
	t.Cleanup(func() { *what = old })
}

// refusedPort checks that m gets no port.
func refusedPort(t testing.TB, m *Manager) {
	t.Helper()
	var used *PortsError
	if addr, err := m.Listen(); !errors.As(err, &used) {
		t.Fatalf("leased %v, %v; want a *PortsError", addr, err)
	}
}

func takeOffer(t testing.TB, m *Manager) *Opener {
	t.Helper()
	o, err := m.Take()
	check(t, err)
	return o
}

// opensTo checks that Open returns the connection of c.
func opensTo(t testing.TB, o *Opener, c net.Conn) {
	t.Helper()
	conn, err := o.Open(context.Background())
	if err != nil {
		t.Fatalf("%v: %v", c.LocalAddr(), err)
	}
	defer conn.Close()
	if got := AddrPort(conn.RemoteAddr()); got != AddrPort(c.LocalAddr()) {
		t.Errorf("the data connection is with %v, want %v", got, c.LocalAddr())
	}
}

// One port serves many addresses at once, each with the connection of its own peer, in whatever order they come.
func TestOnePortForManyAddresses(t *testing.T) {
	const n = 300
	ms, es, port := guests(t, &Config{}, n)
	if got, want := ms[0].cfg.Ports.Usage(), (PortsUsage{Size: 1, InUse: 1, Leases: n}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	conns := make([]net.Conn, n)
	for i := range n {
		i = (i * 7) % n
		conns[i] = call(t, guest(i), port)
	}
	for i := range n {
		i = (i * 11) % n
		opensTo(t, takeOffer(t, ms[i]), conns[i])
		if refused := emitted[ftp.StrangerRefused](es[i]); refused != nil {
			t.Errorf("refused %v", refused)
		}
	}
	if got, want := ms[0].cfg.Ports.Usage(), (PortsUsage{Size: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	call(t, guest(0), port) // the port stays open for the next lease
	opensTo(t, takeOffer(t, offered1(t, ms[0])), call(t, guest(0), port))
}

// offered1 makes an offer of m, which has to get its port alone.
func offered1(t testing.TB, m *Manager) *Manager {
	t.Helper()
	_, err := m.Listen()
	check(t, err)
	if m.next.ln.isShared() {
		t.Error("the port is still shared")
	}
	return m
}

// A port is shared only when all are leased, and the one with the fewest leases first.
func TestSharedOnlyWhenFull(t *testing.T) {
	manyAddresses(t)
	cfg := &Config{Side: ftp.ServerPI, Ports: ranged(t, 2)}
	got := map[uint16]int{}
	for i := range 6 {
		m, _ := manageFor(t, cfg, guest(i))
		addr, err := m.Listen()
		check(t, err)
		got[addr.Port()]++
		if shared := m.next.ln.isShared(); shared != (i >= 2) {
			t.Errorf("lease %d: shared %v", i, shared)
		}
	}
	if len(got) != 2 || got[cfg.Ports.within.First] != 3 {
		t.Errorf("leases of each port: %v", got)
	}
}

// Those that can't be told apart have a port of their own: leases of one address, and those that any host may call.
func TestNotShared(t *testing.T) {
	for name, guards := range map[string][2]Guard{
		"any host, first":  {{AcceptAnyHost: true}, {}},
		"any host, second": {{}, {AcceptAnyHost: true}},
		"fxp":              {{}, {FXP: true}},
	} {
		t.Run(name, func(t *testing.T) {
			ports := ranged(t, 1)
			a, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: ports, Guard: guards[0]}, guest(0))
			b, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: ports, Guard: guards[1]}, guest(1))
			_, err := a.Listen()
			check(t, err)
			refusedPort(t, b)
		})
	}
	t.Run("one address", func(t *testing.T) {
		ms, _, _ := guests(t, &Config{}, 2)
		m, _ := manageFor(t, ms[0].cfg, netip.MustParseAddr("::ffff:"+guest(1).String()))
		refusedPort(t, m)
	})
	t.Run("other senders", func(t *testing.T) {
		ports := ranged(t, 1)
		sender := func(c *net.TCPConn) (netip.AddrPort, error) { return AddrPort(c.RemoteAddr()), nil }
		a, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: ports, Sender: sender}, guest(0))
		b, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: ports}, guest(1))
		_, err := a.Listen()
		check(t, err)
		refusedPort(t, b)
	})
}

// A lease whose Opener waits for its peer is shared when another wants to join.
func TestWaitingOpenerShares(t *testing.T) {
	manyAddresses(t)
	ms, _, port := guests(t, &Config{}, 1)
	o := takeOffer(t, ms[0])
	first := make(chan net.Conn, 1)
	go func() {
		c, _ := o.Open(context.Background())
		first <- c
	}()
	m, _ := manageFor(t, ms[0].cfg, guest(1))
	refusedPort(t, m) // Listen does not wait for the Opener
	turn := m.Queue()
	check(t, turn.Wait(t.Context()))
	if addr := m.ListenOn(turn); addr != port {
		t.Errorf("leased %v", addr)
	}
	b, a := call(t, guest(1), port), call(t, guest(0), port)
	opensTo(t, takeOffer(t, m), b)
	c := within(t, func() net.Conn { return <-first })
	defer c.Close()
	if AddrPort(c.RemoteAddr()) != AddrPort(a.LocalAddr()) {
		t.Errorf("the first got %v", c.RemoteAddr())
	}
}

// The end of a context ends the wait of an Opener on a shared port, and of one that is asked to share.
func TestSharedOpenIsCancelled(t *testing.T) {
	ms, _, _ := guests(t, &Config{}, 2)
	for _, m := range ms {
		o := takeOffer(t, m)
		ctx, cancel := context.WithCancelCause(context.Background())
		why := errors.New("why")
		done := make(chan error, 1)
		go func() { _, err := o.Open(ctx); done <- err }()
		cancel(why)
		if err := within(t, func() error { return <-done }); !errors.Is(err, why) {
			t.Error(err)
		}
	}
}

func TestNobodyCallsASharedPort(t *testing.T) {
	ms, _, _ := guests(t, &Config{Timeout: time.Millisecond}, 2)
	for _, m := range ms {
		if _, err := takeOffer(t, m).Open(context.Background()); !errors.Is(err, ErrNobodyCame) {
			t.Error(err)
		}
	}
}

// A small file goes over a shared port in the quick way.
func TestQuickOnASharedPort(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	for i, m := range ms {
		c := call(t, guest(i), port)
		o := takeOffer(t, m)
		tr := o.StartNow(Job{Source: tempFile(t, []byte("hello")), Type: ftp.Image, Size: 5}, patience, true)
		if tr == nil {
			t.Fatal("not started")
		}
		res, over := tr.Quick(patience)
		if !over {
			res = tr.Run(context.Background())
		}
		check(t, res.Err)
		wantBytes(t, c, []byte("hello"))
	}
}

// An offer on a shared port that was not used in time is revoked for another session of the same address.
func TestSharedOfferIsRevoked(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	hasty, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: ms[0].cfg.Ports, Timeout: 1}, guest(1))
	_, err := hasty.Listen()
	check(t, err)
	if _, err := ms[1].Take(); !errors.Is(err, ErrOfferRevoked) {
		t.Error(err)
	}
	ms[1].Close()
	hasty.cfg.Timeout = patience
	opensTo(t, takeOffer(t, hasty), call(t, guest(1), port))
	opensTo(t, takeOffer(t, ms[0]), call(t, guest(0), port))
	if u := hasty.cfg.Ports.Usage(); u.Leases != 0 || u.InUse != 0 {
		t.Errorf("%+v", u)
	}
}

// A port is shared over IPv6, too, and its peers may be mapped addresses.
func TestSharedPortOfIPv6(t *testing.T) {
	local := netip.IPv6Loopback()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6")
	}
	_ = l.Close()
	noLeaks(t)
	cfg := &Config{Side: ftp.ServerPI, Ports: ranged(t, 1), Timeout: patience}
	defer cfg.Ports.Close()
	var ms []*Manager
	var port netip.AddrPort
	for _, peer := range []string{"2001:db8::1", "::1", "2001:db8::2"} {
		m := NewManager(cfg, netip.AddrPortFrom(local, 21), netip.AddrPortFrom(netip.MustParseAddr(peer), 4000), nil)
		defer m.Close()
		port, err = m.Listen()
		check(t, err)
		ms = append(ms, m)
	}
	c, err := net.Dial("tcp", port.String())
	check(t, err)
	defer c.Close()
	opensTo(t, takeOffer(t, ms[1]), c)
	for _, peer := range []string{"::ffff:127.0.0.1", "::ffff:127.0.0.2"} {
		m := NewManager(cfg, netip.MustParseAddrPort("[::ffff:127.0.0.1]:21"), netip.AddrPortFrom(netip.MustParseAddr(peer), 4000), nil)
		defer m.Close()
		port, err = m.Listen()
		check(t, err)
		ms = append(ms, m)
	}
	opensTo(t, takeOffer(t, ms[3]), call(t, home, port))
}

// The text of a PortsError says how long was waited, if at all.
func TestPortsErrorText(t *testing.T) {
	e := &PortsError{Range: PortRange{1, 2}}
	if strings.Contains(e.Error(), "within") {
		t.Error(e)
	}
	if e.Waited = time.Second; !strings.Contains(e.Error(), "within 1s") {
		t.Error(fmt.Sprint(e))
	}
}
