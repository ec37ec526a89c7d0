package server_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// Other spellings of the addresses of TestBounce, and verbs that other servers have for PORT.
func TestBounceInOtherClothes(t *testing.T) {
	c := serve(t, oneFile(t, "x")).login(t, "rw")
	for _, cmd := range []string{
		"EPRT |2|::ffff:127.0.0.2|6275|", "EPRT |2|::ffff:192.0.2.1|6275|", "EPRT |2|::1|6275|", // another host or family
		"EPRT |1|127.0.0.1|22|", "EPRT |2|::ffff:127.0.0.1|22|", // the client's host, a service's port
		"PORT 127,0,0,1,0,25", "PORT 10,0,0,1,31,144", "PORT 169,254,169,254,0,80", "PORT 255,255,255,255,200,10", "PORT 224,0,0,1,200,10",
		"EPRT |1|0x7f.0.0.1|6275|", "EPRT |1|2130706433|6275|", "EPRT |1|127.0.0.1.example|6275|", "EPRT |1|[127.0.0.1]|6275|", "EPRT |1| 127.0.0.1|6275|",
		"PORT 127,0,0,1,65536,1", "PORT 127,0,0,1,4294967297,10", "PORT +127,0,0,1,200,10", "PORT 127,0,0,0x1,200,10", "PORT 999.0.0.1", "PORT 127.0.0.1:2121",
		"LPRT 4,4,127,0,0,2,2,200,10", "LPSV", "CPSV", "SPSV", "SITE PORT 127,0,0,2,200,10",
	} {
		if r := c.cmd(cmd); r.Code < 500 {
			t.Errorf("%s: %v", cmd, r)
		}
		c.cmd("RETR /f", 425)
	}
}

// The server connects only once to a port that it was given: a second transfer needs a new PORT.
func TestPortIsUsedOnce(t *testing.T) {
	c := serve(t, oneFile(t, "x")).login(t, "ro")
	l := listener(t, "127.0.0.1")
	c.cmd("PORT "+ftp.FormatHostPort(addrOf(l)), 200)
	c.send("RETR /f")
	_ = rest(accept(t, l))
	c.want(150)
	c.want(226)
	c.cmd("RETR /f", 425)
	_ = l.SetDeadline(time.Now().Add(time.Millisecond))
	if d, err := l.Accept(); err == nil {
		_ = d.Close()
		t.Error("the server has connected to the port again")
	}
}

// A thief that connects to the passive port first, again and again, gets nothing, can send nothing, and does
// not use up the owner's connection. After the transfer the port is closed.
func TestThievesRaceTheOwner(t *testing.T) {
	thief := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if conn, err := thief.Dial("tcp", serve(t, fsroot.NewMem()).addr); err != nil {
		t.Skipf("no second loopback address: %v", err)
	} else {
		_ = conn.Close()
	}
	fsys := oneFile(t, "secret")
	c := serve(t, fsys).login(t, "rw")
	for _, cmd := range []string{"RETR /f", "STOR /g", "LIST"} {
		port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
		check(t, err)
		addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
		var thieves []net.Conn
		for range 20 {
			d, err := thief.Dial("tcp", addr)
			check(t, err)
			thieves = append(thieves, d)
			_, _ = d.Write([]byte("planted"))
		}
		owner := c.call(port)
		c.cmd(cmd, 150)
		for _, d := range thieves {
			_ = d.SetDeadline(time.Now().Add(patience))
			if got := rest(d); len(got) > 0 {
				t.Errorf("%s: a thief got %q", cmd, got)
			}
			_ = d.Close()
		}
		if cmd == "STOR /g" {
			_, err = owner.Write([]byte("genuine"))
			check(t, err)
			check(t, owner.Close())
		} else if got := rest(owner); len(got) == 0 {
			t.Errorf("%s: the owner got nothing", cmd)
		}
		c.want(226)
		_ = owner.Close()
	}
	if got := read(t, fsys, "/g"); got != "genuine" {
		t.Errorf("stored %q", got)
	}
}

// Passive ports can't be predicted: no simple rule gets from one port to the next, with a range and without. Of
// 400 leases a useless rule hits about 50. That it hits 200 by chance is practically impossible.
func TestPassivePortsAreNotPredictable(t *testing.T) {
	lo := testutil.FreePorts(t, 20)
	for name, ports := range map[string]dtp.PortRange{"any": {}, "range": {First: lo, Last: lo + 19}} {
		c := serve(t, fsroot.NewMem(), func(o *server.Options) { o.PassivePorts = ports }).login(t, "ro")
		const leases = 400
		seen := map[uint16]int{}
		hits := map[string]int{}
		var last, before uint16
		for range leases {
			port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
			check(t, err)
			for rule, guess := range map[string]uint16{"the last": last, "the next": last + 1, "the one below": last - 1, "two on": last + 2, "the one before": before, "the same step": 2*last - before} {
				if guess == port {
					hits[rule]++
				}
			}
			seen[port]++
			last, before = port, last
		}
		for rule, n := range hits {
			if n > leases/2 {
				t.Errorf("%s: %q predicts %d of %d ports", name, rule, n, leases)
			}
		}
		for port, n := range seen {
			if n > leases/2 {
				t.Errorf("%s: port %d was given %d times of %d", name, port, n, leases)
			}
		}
		if len(seen) < 5 {
			t.Errorf("%s: only %d ports in %d leases", name, len(seen), leases)
		}
	}
}
