package server_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// enter logs in and leaves the session open.
func (s *fakeNet) enter(ip, user string) *ctl {
	s.t.Helper()
	c := s.from(ip)
	c.want(220)
	c.cmd("USER "+user, 331)
	c.cmd("PASS "+user, 230)
	return c
}

// A user's sessions are counted by user, from any address and in any spelling of the name. A logout makes room.
func TestMaxSessionsOfAUser(t *testing.T) {
	withFakeNet(t, func(o *server.Options) {
		users := accounts(fsroot.NewMem())
		for _, name := range []string{"ro", "anonymous"} {
			u := users[name]
			u.Account.MaxSessions = 2
			users[name] = u
		}
		o.Auth = users
	}, func(t *testing.T, s *fakeNet) {
		try := func(ip, user string) (*ctl, ftp.Reply) {
			c := s.from(ip)
			c.want(220)
			c.cmd("USER "+user, 331)
			return c, c.cmd("PASS ro")
		}
		for _, names := range [][3]string{{"ro", "ro", "ro"}, {"anonymous", "ftp", "AnOnYmOuS"}} {
			a := s.from(alice)
			a.want(220)
			a.cmd("USER "+names[0], 331)
			a.cmd("PASS ro", 230)
			b, r := try(mallory, names[1])
			if r.Code != 230 {
				t.Fatal(r)
			}
			over, r := try("198.51.100.7", names[2])
			if r.Code != 421 || !strings.Contains(r.Text(), "the limit is 2") {
				t.Errorf("unexpected reply %v", r)
			}
			over.gone()
			s.enter(alice, "rw") // other users are not counted
			a.cmd("REIN", 220)
			c, r := try(alice, names[2])
			if r.Code != 230 {
				t.Errorf("after REIN: %v", r)
			}
			b.cmd("USER rw", 331) // USER logs out
			if d, r := try(alice, names[2]); r.Code != 230 {
				t.Errorf("after USER: %v", r)
			} else {
				_ = d.Close()
			}
			_ = c.Close()
			synctest.Wait()
			s.twice(names[0])
		}
		if reasons, whys := s.refused(); !slices.Contains(reasons, ftp.ReasonSessionsPerUser) || !strings.Contains(whys, "2 sessions") {
			t.Errorf("%v: %s", reasons, whys)
		}
	})
}

// twice logs in twice, which the limit allows when all other sessions have ended.
func (s *fakeNet) twice(user string) {
	s.t.Helper()
	for range 2 {
		c := s.from(alice)
		c.want(220)
		c.cmd("USER "+user, 331)
		c.cmd("PASS ro", 230)
	}
}

// A flood of sessions from one address that do not log in displaces only itself. Clients from other addresses
// are admitted, and logged-in sessions are served.
func TestFloodFromOneAddress(t *testing.T) {
	for reason, limit := range map[ftp.Reason]func(*server.Options){
		ftp.ReasonSessions: func(o *server.Options) { o.MaxSessions = 21 },
		ftp.ReasonWaiting:  func(o *server.Options) { o.MaxWaiting = 20 },
	} {
		t.Run(reason.String(), func(t *testing.T) {
			withFakeNet(t, limit, func(t *testing.T, s *fakeNet) {
				inside := s.enter(alice, "rw")
				var flood []*ctl
				for range 20 {
					c := s.from(mallory)
					c.want(220)
					flood = append(flood, c)
				}
				for range 50 { // the origin with most sessions displaces no other
					c := s.from(mallory)
					c.want(421)
					c.gone()
				}
				inside.cmd("NOOP", 200)
				var guests []*ctl
				for i := range 5 {
					c := s.from("198.51.100.7")
					c.want(220)
					guests = append(guests, c)
					if r := flood[i].want(421); !strings.Contains(r.Text(), "place") {
						t.Errorf("unexpected reply text %q", r.Text())
					}
					flood[i].gone()
				}
				for _, c := range guests {
					c.cmd("USER ro", 331)
					c.cmd("PASS ro", 230)
				}
				inside.cmd("NOOP", 200)
				reasons, whys := s.refused()
				if n := slices.IndexFunc(reasons, func(r ftp.Reason) bool { return r != reason }); n >= 0 || len(reasons) != 50 {
					t.Errorf("refusals by %v:\n%s", reasons, whys)
				}
				if reason == ftp.ReasonSessions { // logged-in sessions are not displaced
					for range 20 {
						c := s.from("203.0.113.9")
						if c.want(220, 421).Code == 220 {
							c.cmd("USER ro", 331)
							c.cmd("PASS ro", 230)
						}
					}
					inside.cmd("NOOP", 200)
					s.from("203.0.113.10").want(421)
				}
			})
		})
	}
}

// In a flood from very many addresses each session has ten seconds to log in before it may be displaced.
func TestFloodFromManyAddresses(t *testing.T) {
	withFakeNet(t, func(o *server.Options) { o.MaxSessions = 30 }, func(t *testing.T, s *fakeNet) {
		var flood []*ctl
		for i := range 30 {
			c := s.from(fmt.Sprintf("10.0.0.%d", i))
			c.want(220)
			flood = append(flood, c)
		}
		s.from(alice).want(421)
		time.Sleep(10 * time.Second)
		c := s.from(alice)
		c.want(220)
		flood[0].want(421)
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
	})
}

// A dropped session ends soon even if its client reads nothing, and nothing is left of any session that has
// ended.
func TestDroppedSessionsAreGone(t *testing.T) {
	withFakeNet(t, func(o *server.Options) { o.MaxSessions = 10 }, func(t *testing.T, s *fakeNet) {
		for range 10 {
			s.from(mallory) // does not even read the greeting
		}
		for i := range 10 {
			s.from(fmt.Sprintf("10.0.0.%d", i))
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		all := s.everything()
		if opened, closed := strings.Count(all, "ControlOpened"), strings.Count(all, "ControlClosed"); opened-closed != 10 {
			t.Errorf("%d sessions opened and %d closed, want 10 left", opened, closed)
		}
	})
}

// Clients that are turned away and do not read their 421 do not block new connections.
func TestTurnedAwayDoNotBlock(t *testing.T) {
	withFakeNet(t, func(o *server.Options) { o.Deny = prefixes(t, "192.0.2.66/32") }, func(t *testing.T, s *fakeNet) {
		start := time.Now()
		for range 500 {
			s.from(mallory) // a pipe: a write blocks until the other end reads
		}
		s.enter(alice, "rw").cmd("NOOP", 200)
		if took := time.Since(start); took != 0 {
			t.Errorf("the server was blocked for %v", took)
		}
		time.Sleep(2 * time.Second)
		c := s.from(mallory) // now there is room for a reply again
		c.want(421)
		c.gone()
	})
}

// Over TCP the 421 arrives although the client has sent something that the server does not read.
func TestTurnedAwayReadsWhy(t *testing.T) {
	s := serve(t, fsroot.NewMem(), func(o *server.Options) { o.Deny = prefixes(t, "127.0.0.0/8") })
	for range 100 {
		conn, err := net.Dial("tcp", s.addr)
		check(t, err)
		c := newCtl(t, conn)
		c.raw("USER x\r\nPASS y\r\n")
		if r := c.want(421); !strings.Contains(r.Text(), "not use this server") {
			t.Errorf("unexpected reply text %q", r.Text())
		}
		c.closed()
		_ = conn.Close()
	}
}

// IPv6 addresses of the same network of 64 bits are counted together.
func TestMaxSessionsPerNetwork(t *testing.T) {
	withFakeNet(t, func(o *server.Options) { o.MaxSessionsPerIP = 2 }, func(t *testing.T, s *fakeNet) {
		s.from("2001:db8::1").want(220)
		s.from("2001:db8::2").want(220)
		s.from("2001:db8::3").want(421)
		s.from("2001:db8:0:1::1").want(220)
		if reasons, _ := s.refused(); !slices.Equal(reasons, []ftp.Reason{ftp.ReasonSessionsPerAddress}) {
			t.Error(reasons)
		}
	})
}

// Commands beyond the rate are answered late, but all of them and in order. A wait ends when the server does.
func TestCommandRate(t *testing.T) {
	withFakeNet(t, func(o *server.Options) { o.CommandRate = 5 }, func(t *testing.T, s *fakeNet) {
		c := s.enter(alice, "rw")
		start := time.Now()
		go func() { c.raw(strings.Repeat("NOOP\r\n", 100) + "PWD\r\n") }()
		for range 100 {
			c.want(200)
		}
		c.want(257)
		// 103 commands in all, 15 at once and the others at 5 a second.
		if took, want := time.Since(start).Round(100*time.Millisecond), 88*time.Second/5; took != want.Round(100*time.Millisecond) {
			t.Errorf("took %v, want %v", took, want)
		}
		if reasons, _ := s.refused(); !slices.Equal(reasons, []ftp.Reason{ftp.ReasonCommandRate}) {
			t.Errorf("refused by %v, want it once", reasons)
		}
		time.Sleep(time.Minute)
		if took := c.waits("NOOP", 200); took != 0 {
			t.Errorf("after a rest a command took %v", took)
		}
	})
}
