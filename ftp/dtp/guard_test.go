package dtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"miniftp/ftp"
)

func TestGuardOfAddresses(t *testing.T) {
	const peer = "192.0.2.7"
	anyHost, low, fxp := Guard{DialAnyHost: true}, Guard{LowPorts: true}, Guard{FXP: true}
	for _, tc := range []struct {
		guard Guard
		side  ftp.Side
		peer  string
		addr  string
		want  string // "": refused
	}{
		{Guard{}, ftp.ServerPI, peer, "192.0.2.7:1024", "192.0.2.7:1024"},
		{Guard{}, ftp.ServerPI, peer, "192.0.2.8:1024", ""},
		{Guard{}, ftp.ServerPI, peer, "127.0.0.1:1024", ""},
		{anyHost, ftp.ServerPI, peer, "192.0.2.8:1024", "192.0.2.8:1024"},
		{Guard{}, ftp.UserPI, peer, "192.0.2.7:1024", "192.0.2.7:1024"},
		{Guard{}, ftp.UserPI, peer, "192.0.2.8:1024", "192.0.2.7:1024"},
		{Guard{}, ftp.UserPI, peer, "10.0.0.1:1024", "192.0.2.7:1024"},
		{anyHost, ftp.UserPI, peer, "192.0.2.8:1024", "192.0.2.8:1024"},

		{Guard{}, ftp.ServerPI, peer, "192.0.2.7:1023", ""},
		{Guard{}, ftp.UserPI, peer, "192.0.2.7:1023", ""},
		{anyHost, ftp.ServerPI, peer, "192.0.2.7:22", ""},
		{low, ftp.ServerPI, peer, "192.0.2.7:22", "192.0.2.7:22"},
		{low, ftp.ServerPI, peer, "192.0.2.8:22", ""},
		{low, ftp.UserPI, peer, "192.0.2.8:22", "192.0.2.7:22"},
		{Guard{DialAnyHost: true, AcceptAnyHost: true, LowPorts: true}, ftp.ServerPI, peer, "192.0.2.7:0", ""},
		{Guard{DialAnyHost: true, AcceptAnyHost: true, LowPorts: true}, ftp.UserPI, peer, "192.0.2.7:0", ""},

		{Guard{}, ftp.ServerPI, peer, "[::ffff:192.0.2.7]:1024", "192.0.2.7:1024"},
		{Guard{}, ftp.ServerPI, "2001:db8::7", "[2001:db8::7]:1024", "[2001:db8::7]:1024"},
		{Guard{}, ftp.ServerPI, "2001:db8::7", "[2001:db8::8]:1024", ""},
		// EPRT has no zone, and without one a link-local address cannot be dialed.
		{Guard{}, ftp.ServerPI, "fe80::7%eth0", "[fe80::7]:1024", "[fe80::7%eth0]:1024"},
		{anyHost, ftp.ServerPI, "fe80::7%eth0", "[fe80::7]:1024", "[fe80::7%eth0]:1024"},
		{Guard{}, ftp.ServerPI, "fe80::7%eth0", "[fe80::8]:1024", ""},

		// Copies from server to server.
		{fxp, ftp.ServerPI, peer, "192.0.2.8:1024", "192.0.2.8:1024"},
		{fxp, ftp.ServerPI, peer, "192.0.2.7:1024", "192.0.2.7:1024"},
		{fxp, ftp.ServerPI, peer, "[::ffff:192.0.2.8]:1024", "192.0.2.8:1024"},
		{fxp, ftp.ServerPI, peer, "192.0.2.8:1023", ""},
		{fxp, ftp.ServerPI, peer, "192.0.2.8:0", ""},
		{fxp, ftp.ServerPI, peer, "192.0.2.7:22", ""},
		{Guard{FXP: true, LowPorts: true}, ftp.ServerPI, peer, "192.0.2.8:22", ""},
		{Guard{FXP: true, LowPorts: true}, ftp.ServerPI, peer, "192.0.2.7:22", "192.0.2.7:22"},
		{fxp, ftp.ServerPI, peer, "127.0.0.1:2000", ""},
		{fxp, ftp.ServerPI, peer, "0.0.0.0:2000", ""},
		{fxp, ftp.ServerPI, peer, "169.254.169.254:2000", ""},
		{fxp, ftp.ServerPI, peer, "224.0.0.1:2000", ""},
		{fxp, ftp.ServerPI, "2001:db8::7", "[::1]:2000", ""},
		{fxp, ftp.ServerPI, "2001:db8::7", "[::]:2000", ""},
		{fxp, ftp.ServerPI, "2001:db8::7", "[fe80::8]:2000", ""},
		{fxp, ftp.ServerPI, "2001:db8::7", "[ff02::1]:2000", ""},
		{fxp, ftp.ServerPI, "2001:db8::7", "[2001:db8::8]:2000", "[2001:db8::8]:2000"},
		{fxp, ftp.ServerPI, "127.0.0.1", "127.0.0.2:2000", "127.0.0.2:2000"},
		{fxp, ftp.ServerPI, "127.0.0.1", "127.0.0.2:22", ""},
	} {
		to, err := tc.guard.mayDial(tc.side, netip.MustParseAddrPort(tc.addr), netip.MustParseAddr(tc.peer))
		var refused *GuardError
		switch {
		case tc.want == "" && !errors.As(err, &refused):
			t.Errorf("%+v, %v with peer %s, given %s: dials %v, %v; want a refusal", tc.guard, tc.side, tc.peer, tc.addr, to, err)
		case tc.want == "" && refused.Addr != netip.MustParseAddrPort(tc.addr):
			t.Errorf("%v given %s: the refusal names %v", tc.side, tc.addr, refused.Addr)
		case tc.want != "" && (err != nil || to != netip.MustParseAddrPort(tc.want)):
			t.Errorf("%+v, %v with peer %s, given %s: dials %v, %v; want %s", tc.guard, tc.side, tc.peer, tc.addr, to, err, tc.want)
		}
	}
}

// Both sides and both stances over real sockets. A Manager is given the address 127.0.0.2, or gets a
// connection from there, while its peer is 127.0.0.1.
func TestGuardsFourCorners(t *testing.T) {
	for _, side := range []ftp.Side{ftp.ServerPI, ftp.UserPI} {
		t.Run(side.String()+" listens", func(t *testing.T) { strangerCalls(t, side) })
		t.Run(side.String()+" listens to any host", func(t *testing.T) { anybodyCalls(t, side) })
		t.Run(side.String()+" dials", func(t *testing.T) { strangerNamed(t, side) })
		t.Run(side.String()+" dials any host", func(t *testing.T) { anybodyNamed(t, side) })
	}
}

// strangerCalls checks that a connection from a stranger is closed, and that the wait for the peer
// continues.
func strangerCalls(t *testing.T, side ftp.Side) {
	m, e := manage(t, &Config{Side: side, Guard: Guard{DialAnyHost: true}}) // it concerns only dialing
	o, addr := listening(t, m)
	thieves := []*net.TCPConn{call(t, stranger, addr), call(t, stranger, addr)}
	peer := call(t, home, addr)
	c := open(t, o)
	if got := AddrPort(c.RemoteAddr()); got != AddrPort(peer.LocalAddr()) {
		t.Errorf("the data connection is with %v, want the peer %v", got, peer.LocalAddr())
	}
	for _, thief := range thieves {
		hungUp(t, thief)
	}
	refused := emitted[ftp.StrangerRefused](e)
	if len(refused) != 2 || refused[0].Remote != AddrPort(thieves[0].LocalAddr()) {
		t.Errorf("StrangerRefused for %v, want %v first", refused, thieves[0].LocalAddr())
	}
	opened := emitted[ftp.DataOpened](e)
	if len(opened) != 1 || opened[0].Remote != AddrPort(peer.LocalAddr()) || opened[0].Local != addr || opened[0].Stance != ftp.Listens || opened[0].Mode != o.Mode() {
		t.Errorf("emitted %+v", opened)
	}
}

func anybodyCalls(t *testing.T, side ftp.Side) {
	m, e := manage(t, &Config{Side: side, Guard: Guard{AcceptAnyHost: true}})
	o, addr := listening(t, m)
	other := call(t, stranger, addr)
	if got := AddrPort(open(t, o).RemoteAddr()); got != AddrPort(other.LocalAddr()) {
		t.Errorf("the data connection is with %v, want %v", got, other.LocalAddr())
	}
	if refused := emitted[ftp.StrangerRefused](e); refused != nil {
		t.Errorf("refused %v", refused)
	}
}

// elsewhere returns listeners on the same port of 127.0.0.1 and 127.0.0.2.
func elsewhere(t *testing.T) (here, there *net.TCPListener) {
	t.Helper()
	for range 20 {
		here, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(home, 0)))
		check(t, err)
		port := AddrPort(here.Addr()).Port()
		there, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(stranger, port)))
		if err == nil {
			t.Cleanup(func() { _, _ = here.Close(), there.Close() })
			return here, there
		}
		_ = here.Close()
	}
	t.Skip("127.0.0.2 can't be listened on here")
	return nil, nil
}

// strangerNamed checks the address of a stranger in an offer: a server refuses it, and a client dials
// the host of the control connection instead.
func strangerNamed(t *testing.T, side ftp.Side) {
	m, e := manage(t, &Config{Side: side})
	here, there := elsewhere(t)
	err := m.Dial(AddrPort(there.Addr()))
	if side == ftp.ServerPI {
		var refused *GuardError
		if !errors.As(err, &refused) || refused.Addr != AddrPort(there.Addr()) {
			t.Errorf("a PORT to a third host: %v", err)
		}
		if m.Offered() {
			t.Error("a refused address is an offer")
		}
		failed := emitted[ftp.DataFailed](e)
		if len(failed) != 1 || failed[0].Mode != ftp.Active || failed[0].Stance != ftp.Dials || failed[0].Addr != AddrPort(there.Addr()) || !errors.As(failed[0].Err, &refused) {
			t.Errorf("emitted %+v", failed)
		}
		return
	}
	check(t, err)
	o, err := m.Take()
	check(t, err)
	if o.Addr() != AddrPort(here.Addr()) || o.Mode() != ftp.Passive {
		t.Errorf("will dial %v (%v), want %v", o.Addr(), o.Mode(), here.Addr())
	}
	open(t, o)
	c, err := here.Accept()
	check(t, err)
	_ = c.Close()
}

func anybodyNamed(t *testing.T, side ftp.Side) {
	m, _ := manage(t, &Config{Side: side, Guard: Guard{DialAnyHost: true}})
	_, there := elsewhere(t)
	check(t, m.Dial(AddrPort(there.Addr())))
	o, err := m.Take()
	check(t, err)
	c := open(t, o)
	if from := AddrPort(c.LocalAddr()).Addr(); from != home {
		t.Errorf("dialed from %v, want the control connection's %v", from, home)
	}
	got, err := there.Accept()
	check(t, err)
	_ = got.Close()
}

// If only strangers connect, the wait ends as if no host had connected.
func TestOnlyStrangersCome(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI, Timeout: 1})
	o, addr := listening(t, m)
	thief := call(t, stranger, addr)
	if _, err := o.Open(context.Background()); !errors.Is(err, ErrNobodyCame) {
		t.Errorf("%v, want %v", err, ErrNobodyCame)
	}
	hungUp(t, thief)
}
