//go:build unix

package dtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
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

// A connection that is older than the lease does not reach it.
func TestEarlyCallerOfASharedPort(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	early := call(t, guest(2), port)
	m, _ := manageFor(t, ms[0].cfg, guest(2))
	_, err := m.Listen()
	check(t, err)
	hungUp(t, early)
	opensTo(t, takeOffer(t, m), call(t, guest(2), port))
}

// Nor does one that has arrived and that the port's goroutine has not seen yet.
func TestEarlyCallerIsStillInTheBacklog(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	sh := ms[0].cfg.Ports.open[port].share
	for i := range 20 {
		m, _ := manageFor(t, ms[0].cfg, guest(2+i))
		listening := make(chan error, 1)
		sh.mu.Lock()
		go func() { _, err := m.Listen(); listening <- err }()
		time.Sleep(time.Millisecond) // now it most likely waits for the lock, and is faster than the port's goroutine
		early := call(t, guest(2+i), port)
		sh.mu.Unlock()
		check(t, within(t, func() error { return <-listening }))
		hungUp(t, early)
	}
}

// A peer whose lease has ended without its connection can't lease the shared port again for a while, and a connection
// that comes late is closed.
func TestLateCaller(t *testing.T) {
	ms, es, port := guests(t, &Config{}, 2)
	ms[1].Close()
	refusedPort(t, ms[1])
	hungUp(t, call(t, guest(1), port))
	refusedPort(t, ms[1])
	again, until := ms[0].cfg.Ports.open[port].share.room(&request{local: home, peer: guest(1)}, time.Now().Add(lateCall+time.Second))
	if again != 1 {
		t.Errorf("no room after lateCall, but at %v", until)
	}
	opensTo(t, takeOffer(t, ms[0]), call(t, guest(0), port))
	if refused := emitted[ftp.StrangerRefused](es[0]); refused != nil {
		t.Errorf("the late caller is no stranger: %v", refused)
	}
	refused(t, port) // the late peer might still call
	_, err := ms[1].Listen()
	check(t, err)
	opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
}

// The number of late peers of a port is bounded: beyond it, nobody can join for a while.
func TestLatePeersAreBounded(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	sh := ms[0].cfg.Ports.open[port].share
	now := time.Now()
	for i := range maxLate {
		sh.late[guest(100+i)] = now.Add(time.Hour)
	}
	m, _ := manageFor(t, ms[0].cfg, guest(2))
	refusedPort(t, m)
	sh.late[guest(100)] = now
	_, err := m.Listen()
	check(t, err)
	if len(sh.late) != maxLate-1 {
		t.Errorf("%d late peers", len(sh.late))
	}
}

// After the time for late calls, a session that waits gets its seat, and only the connection that comes then.
func TestLatePeerWaits(t *testing.T) {
	shorten(t, &lateCall, 200*time.Millisecond)
	ms, _, port := guests(t, &Config{}, 2)
	ms[1].Close()
	late := call(t, guest(1), port)
	turn := ms[1].Queue()
	check(t, within(t, func() error { return turn.Wait(t.Context()) }))
	ms[1].ListenOn(turn)
	hungUp(t, late)
	opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
}

// A peer whose connection has come can lease the shared port again at once, whether the transfer has used it or not.
func TestCalledPeerReturns(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	for range 3 {
		opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
		_, err := ms[1].Listen()
		check(t, err)
		c := call(t, guest(1), port)
		takeOffer(t, ms[1]).Close()
		hungUp(t, c)
		_, err = ms[1].Listen()
		check(t, err)
	}
}

// Guard.Accept judges the connections of its lease. One that it rejects does not prove that the peer has called.
func TestGuardOfASharedPort(t *testing.T) {
	var want netip.AddrPort
	cfg := &Config{Guard: Guard{Accept: func(_, remote netip.AddrPort) bool { return remote == want }}}
	ms, es, port := guests(t, cfg, 2)
	other, own := call(t, guest(1), port), call(t, guest(1), port)
	want = AddrPort(own.LocalAddr())
	opensTo(t, takeOffer(t, ms[1]), own)
	hungUp(t, other)
	if refused := emitted[ftp.StrangerRefused](es[1]); len(refused) != 1 || refused[0].Remote != AddrPort(other.LocalAddr()) {
		t.Errorf("refused %v", refused)
	}
	_, err := ms[1].Listen()
	check(t, err)
	call(t, guest(1), port)
	ms[1].Close()
	refusedPort(t, ms[1])
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

// asked returns the connections whose Sender is asked.
func (sh *share) asked() []*net.TCPConn {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Collect(maps.Keys(sh.headers))
}
