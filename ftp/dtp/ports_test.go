package dtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

// freeRange returns n consecutive ports that are free on loopback.
func freeRange(t testing.TB, n uint16) PortRange {
	t.Helper()
	first := testutil.FreePorts(t, int(n))
	return PortRange{first, first + n - 1}
}

// ranged returns a pool of n free ports.
func ranged(t testing.TB, n uint16) *Ports {
	t.Helper()
	p, err := NewPorts(freeRange(t, n))
	check(t, err)
	return p
}

// exclusive is the request of a lease that shares its port with no other.
func exclusive(local netip.Addr) *request {
	return &request{local: local, peer: local, alone: true, grace: time.Hour}
}

// drains skips a test on systems where ports do not stay open between leases.
func drains(t *testing.T) {
	t.Helper()
	if !canDrain {
		t.Skip("here a port closes with its lease")
	}
}

func TestEmptyRanges(t *testing.T) {
	for _, r := range []PortRange{{2, 1}, {0, 1}, {65535, 0}} {
		if p, err := NewPorts(r); err == nil {
			t.Errorf("%v: %+v", r, p)
		}
	}
	for _, r := range []PortRange{{0, 0}, {1, 1}, {1, 65535}, {65535, 65535}} {
		if _, err := NewPorts(r); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestRangeIsUsedUpAndReleased(t *testing.T) {
	noLeaks(t)
	ports := ranged(t, 3)
	var ms []*Manager
	var leased []uint16
	for range 3 {
		m, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ports, Timeout: 1})
		addr, err := m.Listen()
		check(t, err)
		if p := addr.Port(); p < ports.within.First || p > ports.within.Last || slices.Contains(leased, p) {
			t.Fatalf("port %d of %d-%d, after %v", p, ports.within.First, ports.within.Last, leased)
		}
		ms, leased = append(ms, m), append(leased, addr.Port())
	}
	late, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ports})
	used := func() {
		t.Helper()
		_, err := late.Listen()
		var pe *PortsError
		if !errors.As(err, &pe) || pe.Range.First != ports.within.First || pe.Range.Last != ports.within.Last {
			t.Fatalf("%v, want a *PortsError", err)
		}
		if late.Offered() {
			t.Error("an offer without a port")
		}
	}
	free := func(want uint16) {
		t.Helper()
		addr, err := late.Listen()
		if err != nil || addr.Port() != want {
			t.Fatalf("leased %v, %v; want port %d", addr, err, want)
		}
		late.Close()
	}
	used()
	ms[0].Close() // withdraws an offer
	free(leased[0])
	addr, err := ms[0].Listen() // makes another
	check(t, err)
	if addr.Port() != leased[0] {
		t.Errorf("leased %v", addr)
	}
	used()
	o, err := ms[1].Take() // an Opener whose wait failed
	check(t, err)
	if _, err := o.Open(context.Background()); !errors.Is(err, ErrNobodyCame) {
		t.Fatal(err)
	}
	free(leased[1])
	o, err = ms[2].Take() // an Opener that is closed without Open
	check(t, err)
	o.Close()
	o.Close()
	refused(t, o.addr)
	if _, err := ms[2].Listen(); err != nil {
		t.Fatal(err)
	}
}

// An open data connection does not occupy the port that it was accepted on.
func TestOpenedConnectionFreesThePort(t *testing.T) {
	ports := ranged(t, 1)
	m, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ports})
	for range 3 {
		o, addr := listening(t, m)
		call(t, home, addr)
		open(t, o)
	}
}

// A new offer replaces the last one, even if the range has only one port.
func TestListenAgainOnOnePort(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ranged(t, 1)})
	for range 5 {
		if _, err := m.Listen(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPortsOfOtherProgramsAreSkipped(t *testing.T) {
	noLeaks(t)
	ports := ranged(t, 2)
	other, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(home, ports.within.First)))
	check(t, err)
	a, _ := manage(t, &Config{Ports: ports})
	b, _ := manage(t, &Config{Ports: ports})
	if addr, err := a.Listen(); err != nil || addr.Port() != ports.within.Last {
		t.Errorf("leased %v, %v; want port %d", addr, err, ports.within.Last)
	}
	var pe *PortsError
	if addr, err := b.Listen(); !errors.As(err, &pe) {
		t.Errorf("leased %v, %v; want a *PortsError", addr, err)
	}
	check(t, other.Close())
	if addr, err := b.Listen(); err != nil || addr.Port() != ports.within.First {
		t.Errorf("leased %v, %v; want port %d, which is free again", addr, err, ports.within.First)
	}
}

// Each local address has the whole range.
func TestRangePerAddress(t *testing.T) {
	noLeaks(t)
	ports := ranged(t, 1)
	defer ports.Close()
	for _, ip := range []netip.Addr{home, stranger} {
		l, err := ports.lease(exclusive(ip), nil)
		if err != nil {
			if ip == stranger {
				t.Skipf("no second loopback address: %v", err)
			}
			t.Fatal(err)
		}
		defer l.giveBack()
		if _, err := ports.lease(exclusive(ip), nil); err == nil {
			t.Errorf("%v: leased twice", ip)
		}
	}
}

func TestConcurrentLeasesNeverShareAPort(t *testing.T) {
	for _, n := range []uint16{0, 5} {
		t.Run(fmt.Sprintf("range of %d", n), func(t *testing.T) {
			noLeaks(t)
			ports, err := NewPorts(PortRange{})
			check(t, err)
			if n > 0 {
				ports = ranged(t, n)
			}
			defer ports.Close()
			var mu sync.Mutex
			leased := map[netip.AddrPort]bool{}
			var all sync.WaitGroup
			var got int
			for range 8 {
				all.Go(func() {
					for range 100 {
						l, err := ports.lease(exclusive(home), nil)
						var pe *PortsError
						if errors.As(err, &pe) && n > 0 {
							continue
						}
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						if leased[l.addr] {
							t.Errorf("%v is leased twice", l.addr)
						}
						leased[l.addr] = true
						got++
						mu.Unlock()
						mu.Lock()
						delete(leased, l.addr)
						mu.Unlock()
						l.giveBack()
					}
				})
			}
			all.Wait()
			if got < 100 {
				t.Errorf("%d leases", got)
			}
		})
	}
}

// Ports stay open between leases, up to a limit.
func TestStandingListeners(t *testing.T) {
	drains(t)
	noLeaks(t)
	ports, err := NewPorts(PortRange{})
	check(t, err)
	var ls []*listener
	for range maxIdle + 5 {
		l, err := ports.lease(exclusive(home), nil)
		check(t, err)
		ls = append(ls, l)
	}
	for _, l := range ls {
		l.giveBack()
	}
	if n := len(ports.idle[home]); n != maxIdle {
		t.Errorf("%d ports are open, want %d", n, maxIdle)
	}
	l, err := ports.lease(exclusive(home), nil)
	check(t, err)
	if !slices.Contains(ls, l) {
		t.Error("a new port was opened, although others are open and idle")
	}
	ports.Close()
	if _, err := net.Dial("tcp", ports.lentOr(ls, l).String()); err == nil {
		t.Error("a port is open after Close")
	}
	call(t, home, l.addr) // Close does not close a leased port
	l.giveBack()
	if c, err := net.Dial("tcp", l.addr.String()); err == nil {
		_ = c.Close()
		t.Error("a port released after Close is open")
	}
}

// lentOr returns the address of one of ls other than l.
func (p *Ports) lentOr(ls []*listener, l *listener) netip.AddrPort {
	if ls[0] == l {
		return ls[1].addr
	}
	return ls[0].addr
}

// A closed listener in the pool is replaced, not handed out.
func TestDeadStandingListener(t *testing.T) {
	drains(t)
	ports := ranged(t, 1)
	m, _ := manage(t, &Config{Ports: ports})
	use(t, m)
	check(t, ports.idle[home][0].TCPListener.Close())
	use(t, m)
}

// A connection made before the lease is never accepted, neither by Open nor by StartNow.
func TestEarlyCallersAreDrained(t *testing.T) {
	drains(t)
	for _, how := range []string{"Open", "StartNow with a file", "StartNow with a sink"} {
		t.Run(how, func(t *testing.T) {
			ports := ranged(t, 1)
			m, _ := manage(t, &Config{Ports: ports})
			addr := use(t, m)
			var early []*net.TCPConn
			for range 20 {
				early = append(early, call(t, home, addr))
			}
			o, again := listening(t, m)
			if again != addr {
				t.Fatalf("leased %v, want %v", again, addr)
			}
			late := call(t, home, addr)
			want := AddrPort(late.LocalAddr())
			var got netip.AddrPort
			switch how {
			case "Open":
				got = AddrPort(open(t, o).RemoteAddr())
			case "StartNow with a file":
				tr := o.StartNow(Job{Source: tempFile(t, []byte("x")), Type: ftp.Image, Size: 1}, patience, true)
				if res, over := tr.Quick(patience); !over {
					res = tr.Run(context.Background())
					check(t, res.Err)
				}
				b := make([]byte, 1)
				if _, err := late.Read(b); err == nil {
					got = want
				}
			default:
				tr := o.StartNow(Job{Sink: tempFile(t, nil), Type: ftp.Image}, patience, false)
				got = AddrPort(tr.pump.conn.RemoteAddr())
				check(t, late.Close())
				check(t, tr.Run(context.Background()).Err)
			}
			if got != want {
				t.Errorf("the data connection is with %v, want %v", got, want)
			}
			for _, c := range early {
				hungUp(t, c)
			}
		})
	}
}

// Closing an Opener closes a connection that is waiting in its port.
func TestOpenerCloseHangsUp(t *testing.T) {
	for _, pooled := range []bool{false, true} {
		cfg := &Config{Side: ftp.ServerPI}
		if pooled {
			cfg.Ports = ranged(t, 2)
		}
		m, _ := manage(t, cfg)
		o, addr := listening(t, m)
		c := call(t, home, addr)
		o.Close()
		hungUp(t, c)
	}
}

// Without a pool, a port is closed when its lease ends.
func TestNoPool(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	addr, err := m.Listen()
	check(t, err)
	m.Close()
	if c, err := net.DialTimeout("tcp", addr.String(), time.Minute); err == nil {
		_ = c.Close()
		t.Error("still listening")
	}
}

// TestRangeForAsMany checks that n goroutines, each with one lease at a time, never find a range of
// n ports used up, even while they release and lease ports concurrently.
func TestRangeForAsMany(t *testing.T) {
	first := testutil.FreePorts(t, 2)
	ports, err := NewPorts(PortRange{first, first + 1})
	if err != nil {
		t.Fatal(err)
	}
	ports.Close() // so no port is open between leases
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 2000 {
				l, err := ports.lease(exclusive(home), nil)
				if err != nil {
					t.Error(err)
					return
				}
				l.giveBack()
			}
		})
	}
	wg.Wait()
}
