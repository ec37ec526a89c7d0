package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// oneFile is a tree that contains only /f.
func oneFile(t testing.TB, content string) afero.Fs {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", content)
	return fsys
}

// listener is a port of the client, for active mode.
func listener(t testing.TB, host string) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}

func addrOf(l net.Listener) netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

// accept accepts the server's connection.
func accept(t testing.TB, l *net.TCPListener) net.Conn {
	t.Helper()
	_ = l.SetDeadline(time.Now().Add(patience))
	d, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { _ = d.Close() })
	_ = d.SetDeadline(time.Now().Add(patience))
	return d
}

// After EPSV ALL nothing else can open a data connection until the next login, whether transfers fail or not
// (RFC 2428 §4).
func TestEPSVAll(t *testing.T) {
	c := serve(t, oneFile(t, "x")).login(t, "rw")
	c.cmd("epsv all", 200)
	for range 2 {
		for _, cmd := range []string{"PASV", "PORT 127,0,0,1,200,10", "EPRT |1|127.0.0.1|51210|"} {
			c.cmd(cmd, 503)
		}
		c.cmd("RETR /f", 425) // no address was negotiated
	}
	if got := string(c.get("RETR /f")); got != "x" {
		t.Errorf("with EPSV: %q", got)
	}
	c.cmd("PASV", 503)
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	c.cmd("PASV", 227)
}

// A wrong address family is refused with 522, which names the right one (RFC 2428 §2, §3).
func TestFamilies(t *testing.T) {
	tests := []struct {
		addr, use string
		wrong     []string
		right     string
	}{
		{"127.0.0.1:0", "(1)", []string{"EPSV 2", "EPSV 3", "EPSV x", "EPRT |2|::1|5282|", "EPRT |3|x|5282|", "EPRT |1|::1|5282|"}, "EPSV 1"},
		{"[::1]:0", "(2)", []string{"EPSV 1", "EPSV 3", "EPRT |1|127.0.0.1|5282|", "EPRT |9|::1|5282|"}, "EPSV 2"},
	}
	for _, tt := range tests {
		t.Run(tt.use, func(t *testing.T) {
			c := serveOn(t, tt.addr, fsroot.NewMem()).login(t, "rw")
			for _, cmd := range tt.wrong {
				if r := c.cmd(cmd, 522); !strings.Contains(r.Text(), tt.use) {
					t.Errorf("%s: %q does not name %s", cmd, r.Text(), tt.use)
				}
			}
			c.cmd(tt.right, 229)
			for _, bad := range []string{"EPRT |1|localhost|5282|", "EPRT |1|127.0.0.1|0|", "EPRT |1|127.0.0.1|65536|", "EPRT |2|::1%1|5282|", "EPRT 1"} {
				c.cmd(bad, 501)
			}
		})
	}
}

// PASV can't return an IPv6 address: 425, which recommends EPSV.
func TestPASVOverIPv6(t *testing.T) {
	c := serveOn(t, "[::1]:0", fsroot.NewMem()).login(t, "rw")
	if r := c.cmd("PASV", 425); !strings.Contains(r.Text(), "EPSV") {
		t.Errorf("%q does not name EPSV", r.Text())
	}
}

// 227 contains the address that the client has connected to. A client on loopback does not get the public
// address, which would not work there.
func TestPASVAddress(t *testing.T) {
	s := serve(t, fsroot.NewMem(), func(o *server.Options) { o.PublicIP = "192.0.2.7" })
	c := s.login(t, "rw")
	addr, err := ftp.Parse227(c.cmd("PASV", 227).Text())
	check(t, err)
	if addr.Addr() != netip.MustParseAddr("127.0.0.1") || addr.Port() < 1024 {
		t.Errorf("227 contains %v", addr)
	}
}

// 227 can contain only IPv4 addresses.
func TestPublicIPMustBeIPv4(t *testing.T) {
	if _, err := server.New(server.Options{Auth: accounts(nil), PublicIP: "2001:db8::7"}); err == nil {
		t.Error("an IPv6 PublicIP was accepted")
	}
}

// A stranger that connects to the passive port is disconnected, and the server continues to wait for the owner.
func TestPassiveTheft(t *testing.T) {
	s := serve(t, oneFile(t, "secret"))
	c := s.login(t, "ro")
	for _, cmd := range []string{"PASV", "EPSV"} {
		r := c.cmd(cmd, 227, 229)
		port, err := ftp.Parse229(r.Text())
		if cmd == "PASV" {
			var a netip.AddrPort
			a, err = ftp.Parse227(r.Text())
			port = a.Port()
		}
		check(t, err)
		thief, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Skipf("no second loopback address: %v", err)
		}
		c.send("RETR /f")
		_ = thief.SetDeadline(time.Now().Add(patience))
		if b, err := io.ReadAll(thief); len(b) > 0 || isTimeout(err) {
			t.Errorf("the thief got %q, %v", b, err)
		}
		_ = thief.Close()
		d := c.call(port)
		c.want(150)
		if got := string(rest(d)); got != "secret" {
			t.Errorf("the owner got %q", got)
		}
		c.want(226)
		_ = d.Close()
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Each transfer has its own data connection. A new PASV withdraws the last one; a client that has connected to
// that is disconnected.
func TestOneListenerPerTransfer(t *testing.T) {
	c := serve(t, oneFile(t, "x")).login(t, "rw")
	c.cmd("RETR /f", 425)
	c.cmd("LIST", 425)
	c.cmd("STOR /g", 425)
	if got := string(c.get("RETR /f")); got != "x" {
		t.Errorf("got %q", got)
	}
	c.cmd("RETR /f", 425) // the offer is used up
	c.cmd("RETR /missing", 550)

	old := c.epsv()
	now := c.epsv()
	if b := rest(old); len(b) > 0 {
		t.Errorf("the replaced data connection got %q", b)
	}
	c.cmd("RETR /f", 150)
	if got := string(rest(now)); got != "x" {
		t.Errorf("got %q", got)
	}
	c.want(226)

	l := listener(t, "127.0.0.1")
	stale := c.epsv()
	c.cmd("PORT "+ftp.FormatHostPort(addrOf(l)), 200) // PORT replaces EPSV, too
	if b := rest(stale); len(b) > 0 {
		t.Errorf("the replaced data connection got %q", b)
	}
	c.send("RETR /f")
	d := accept(t, l)
	c.want(150)
	if got := string(rest(d)); got != "x" {
		t.Errorf("got %q", got)
	}
	c.want(226)
}

// A refused command leaves the offer for the next one.
func TestOfferSurvivesARefusal(t *testing.T) {
	c := serve(t, oneFile(t, "x")).login(t, "rw")
	d := c.epsv()
	c.cmd("RETR /missing", 550)
	c.cmd("SIZE /f", 213)
	c.cmd("RETR /f", 150)
	if got := string(rest(d)); got != "x" {
		t.Errorf("got %q", got)
	}
	c.want(226)
}

// PORT and EPRT accept only the client's own address, and only ports from 1024 on.
func TestBounce(t *testing.T) {
	s := serve(t, oneFile(t, "x"))
	c := s.login(t, "rw")
	for _, bad := range []string{
		"PORT 999,0,0,1,200,10", "PORT localhost,1,2", "PORT 127,0,0,1,200", "PORT 127,0,0,1,200,10,1", "PORT 127,0,0,1,256,1",
		"PORT 127,0,0,1,-1,1", "PORT 127,0,0,1,0,0", "PORT a,b,c,d,e,f", "PORT 0x7f,0,0,1,200,10", "EPRT |1|999.0.0.1|6275|",
		"EPRT |1|localhost|6275|", "EPRT |1|127.1|6275|", "EPRT |1|127.0.0.1|-1|", "EPRT |1|127.0.0.1|0|",
	} {
		c.cmd(bad, 501)
	}
	for _, refused := range []string{
		"PORT 127,0,0,1,3,255", "PORT 127,0,0,1,0,22", "EPRT |1|127.0.0.1|1023|", // low ports
		"PORT 127,0,0,2,200,10", "PORT 192,0,2,1,200,10", "EPRT |1|127.0.0.2|6275|", // other hosts
	} {
		c.cmd(refused, 504)
		c.cmd("RETR /f", 425)
	}
	// After a refusal the old offer is gone: it must not be used by mistake.
	l := listener(t, "127.0.0.1")
	c.cmd("PORT "+ftp.FormatHostPort(addrOf(l)), 200)
	c.cmd("PORT 127,0,0,2,200,10", 504)
	c.cmd("RETR /f", 425)
}

// Options.Guard can permit other hosts.
func TestGuardOpened(t *testing.T) {
	s := serve(t, oneFile(t, "x"), func(o *server.Options) { o.Guard = dtp.Guard{DialAnyHost: true, AcceptAnyHost: true} })
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	defer l.Close()
	c := s.login(t, "ro")
	c.cmd("EPRT "+ftp.FormatEPRT(addrOf(l)), 200)
	c.send("RETR /f")
	d := accept(t, l.(*net.TCPListener))
	c.want(150)
	if got := string(rest(d)); got != "x" {
		t.Errorf("got %q", got)
	}
	c.want(226)
}

// If no data connection can be opened, the reply is 425 and the session continues.
func TestNoDataConnection(t *testing.T) {
	fsys := oneFile(t, "old")
	s := serve(t, fsys, func(o *server.Options) { o.DataTimeout = 30 * time.Millisecond })
	c := s.login(t, "rw")
	for _, cmd := range []string{"RETR /f", "LIST", "STOR /f", "STOR /new", "APPE /new", "STOU"} {
		c.cmd("EPSV", 229)
		if r := c.cmd(cmd, 425); !strings.Contains(r.Text(), "port") {
			t.Errorf("%s: %q does not say what happened", cmd, r.Text())
		}
	}
	addr := testutil.ClosedPort(t)
	for _, cmd := range []string{"RETR /f", "STOR /f", "STOR /new"} {
		c.cmd("PORT "+ftp.FormatHostPort(addr), 200)
		if r := c.cmd(cmd, 425); !strings.Contains(r.Text(), addr.String()) {
			t.Errorf("%s: %q does not name %v", cmd, r.Text(), addr)
		}
	}
	if got := read(t, fsys, "/f"); got != "old" {
		t.Errorf("/f contains %q", got)
	}
	if got := names(t, fsys, "/"); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
}

// Passive ports come from the configured range. If all are in use by the same address, a session waits for one that is
// released, and gets a 425 that says why if none is.
func TestPassivePortRange(t *testing.T) {
	parallel(t)
	lo := testutil.FreePorts(t, 2)
	refused := make(chan ftp.Refused, 9)
	s := serve(t, oneFile(t, "x"), func(o *server.Options) {
		o.PassivePorts = dtp.PortRange{First: lo, Last: lo + 1}
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if r, ok := e.What.(ftp.Refused); ok {
				refused <- r
			}
		})
	})
	a, b, c := s.login(t, "ro"), s.login(t, "ro"), s.login(t, "ro")
	for range 3 {
		for _, c := range []*ctl{a, b} {
			port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
			check(t, err)
			if port < lo || port > lo+1 {
				t.Errorf("port %d is not in %d-%d", port, lo, lo+1)
			}
		}
		c.send("EPSV")
		a.cmd("ABOR", 226) // releases the port
		c.want(229)
		c.cmd("ABOR", 226)
		if got := string(c.get("RETR /f")); got != "x" {
			t.Errorf("got %q", got)
		}
	}
	a.cmd("EPSV", 229)
	b.cmd("EPSV", 229)
	if r := c.cmd("EPSV", 425); !strings.Contains(r.Text(), "in use") || !strings.Contains(r.Text(), "passive-ports") {
		t.Errorf("%q does not say why, or what helps", r.Text())
	}
	if r := <-refused; r.Verb != "EPSV" || r.Reason != ftp.ReasonPassivePorts || !strings.Contains(r.Why, "within 10s") {
		t.Errorf("reported %+v", r)
	}
}

// The unspecified address means the client itself: lftp sends it over IPv6. It must never lead to the server's
// own host.
func TestUnspecifiedAddress(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			c := serveOn(t, addr, oneFile(t, "x"), func(o *server.Options) { o.Guard = dtp.Guard{DialAnyHost: true, AcceptAnyHost: true} }).login(t, "ro")
			me := c.LocalAddr().(*net.TCPAddr).IP
			l := listener(t, me.String())
			whoever := netip.IPv4Unspecified()
			if me.To4() == nil {
				whoever = netip.IPv6Unspecified()
			}
			r := c.cmd("EPRT "+ftp.FormatEPRT(netip.AddrPortFrom(whoever, addrOf(l).Port())), 200)
			if !strings.Contains(r.Text(), me.String()) {
				t.Errorf("%q: which host will be dialed?", r.Text())
			}
			c.send("RETR /f")
			d := accept(t, l)
			c.want(150)
			if got := string(rest(d)); got != "x" {
				t.Errorf("got %q", got)
			}
			c.want(226)
		})
	}
}
