package server_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// fakeNet is a server in a bubble of fake time, with clients from any address. It collects the events and the
// log.
type fakeNet struct {
	*server.Server
	t      *testing.T
	l      *pipes
	log    *lines
	mu     sync.Mutex
	events []ftp.Event
}

// withFakeNet runs f with a server whose limits on logins are the defaults.
func withFakeNet(t *testing.T, change func(*server.Options), f func(t *testing.T, s *fakeNet)) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeNet{t: t, l: &pipes{conns: make(chan net.Conn), done: make(chan struct{})}, log: &lines{}}
		opts := server.Options{Auth: accounts(fsroot.NewMem()), Log: slog.New(slog.NewTextHandler(s.log, nil)), Observer: s}
		if change != nil {
			change(&opts)
		}
		var err error
		s.Server, err = server.New(opts)
		check(t, err)
		done := make(chan error, 1)
		go func() { done <- s.Serve(s.l) }()
		f(t, s)
		check(t, s.Close())
		<-done
	})
}

func (s *fakeNet) Observe(e ftp.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// refused returns the rules by which something was refused so far, and what the log says.
func (s *fakeNet) refused() (reasons []ftp.Reason, whys string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if r, ok := e.What.(ftp.Refused); ok {
			reasons = append(reasons, r.Reason)
			whys += r.Why + "\n"
		}
	}
	return reasons, whys
}

// everything returns all events and log lines as text.
func (s *fakeNet) everything() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		fmt.Fprintf(&b, "%T %+v %v\n", e.What, e.What, e.Control)
	}
	return b.String() + s.log.String()
}

// comer is the server's end of a connection from an address.
type comer struct {
	net.Conn
	from *net.TCPAddr
}

func (c comer) RemoteAddr() net.Addr { return c.from }

// from connects; it does not read the greeting.
func (s *fakeNet) from(ip string) *ctl {
	s.t.Helper()
	ours, theirs := net.Pipe()
	s.l.conns <- comer{theirs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 5000))}
	s.t.Cleanup(func() { _ = ours.Close() })
	return &ctl{s.t, patient{ours}, ftp.NewLineReader(ours, 64<<10)}
}

// waits returns how long cmd took.
func (c *ctl) waits(cmd string, code ftp.Code) time.Duration {
	c.t.Helper()
	start := time.Now()
	c.cmd(cmd, code)
	return time.Since(start)
}

// gone expects the end of the connection.
func (c *ctl) gone() {
	c.t.Helper()
	if line, err := c.lr.ReadLine(); err == nil {
		c.t.Errorf("still connected: %q", line)
	}
}

const (
	mallory = "192.0.2.66"
	alice   = "192.0.2.1"

	stranger = "192.0.2.99"
)

// guess fails to log in.
func (c *ctl) guess(code ftp.Code) time.Duration {
	c.t.Helper()
	c.cmd("USER rw", 331)
	return c.waits("PASS guess", code)
}

// Failures are counted over sessions: a new connection starts with the delay from the last one. Three failures
// end a session, and in the end nobody from that address can log in. Logged-in sessions from there continue.
func TestBruteForce(t *testing.T) {
	withFakeNet(t, func(o *server.Options) { o.MaxLoginFailures, o.BanTime = 5, time.Hour }, func(t *testing.T, s *fakeNet) {
		inside := s.from(mallory)
		inside.want(220)
		inside.cmd("USER ro", 331)
		inside.cmd("PASS ro", 230)

		c := s.from(mallory)
		c.want(220)
		for i, want := range []time.Duration{0, time.Second} {
			if took := c.guess(530); took != want {
				t.Errorf("guess %d was delayed by %v, want %v", i, took, want)
			}
		}
		if took := c.guess(421); took != 2*time.Second {
			t.Errorf("guess 3 was delayed by %v", took)
		}
		c.gone()
		waiting := s.from(mallory)
		waiting.want(220)
		c = s.from(mallory)
		c.want(220)
		if took := c.guess(530); took != 4*time.Second {
			t.Errorf("guess 4, of another session, was delayed by %v", took)
		}
		c.guess(421)
		c.gone()

		waiting.cmd("USER rw", 331)
		if r := waiting.cmd("PASS rw", 421); !strings.Contains(r.Text(), "failed logins as that user") { // even with the right password
			t.Errorf("unexpected reply text %q", r.Text())
		}
		waiting.gone()
		other := s.from(mallory) // another user at the same address
		other.want(220)
		other.cmd("USER drop", 331)
		if took := other.waits("PASS drop", 230); took != 0 {
			t.Errorf("another user at the address was delayed by %v", took)
		}
		for i := range 10 { // the guesser tries other names
			c = s.from(mallory)
			c.want(220)
			c.cmd(fmt.Sprint("USER name", i), 331)
			if c.cmd("PASS guess", 530, 421).Code == 421 {
				break
			}
			check(t, c.Close())
		}
		c = s.from(mallory)
		c.want(220) // admitted, because there are regulars at that address
		c.cmd("USER nobody", 331)
		if r := c.cmd("PASS guess", 421); !strings.Contains(r.Text(), "from your address") {
			t.Errorf("unexpected reply text %q", r.Text())
		}
		c.gone()
		again := s.from(mallory)
		again.want(220)
		again.cmd("USER ro", 331)
		if took := again.waits("PASS ro", 230); took != 0 {
			t.Errorf("a regular at the address was delayed by %v", took)
		}
		inside.cmd("NOOP", 200)
		neighbour := s.from(alice)
		neighbour.want(220)
		neighbour.cmd("USER ro", 331)
		if took := neighbour.waits("PASS ro", 230); took != 0 {
			t.Errorf("another address was delayed by %v", took)
		}
		for i := range 5 { // an address without regulars is turned away at once
			c = s.from(stranger)
			c.want(220)
			c.cmd(fmt.Sprint("USER name", i), 331)
			c.cmd("PASS guess", 530, 421)
			check(t, c.Close())
		}
		c = s.from(stranger)
		if r := c.want(421); !strings.Contains(r.Text(), "failed logins") {
			t.Errorf("unexpected reply text %q", r.Text())
		}
		c.gone()
		if reasons, _ := s.refused(); !slices.Contains(reasons, ftp.ReasonLoginFailures) || !slices.Contains(reasons, ftp.ReasonBanned) {
			t.Errorf("refused by %v", reasons)
		}
		inside.cmd("QUIT", 221)
		time.Sleep(time.Hour)
		c = s.from(mallory)
		c.want(220)
		c.cmd("USER ro", 331)
		c.cmd("PASS ro", 230)
	})
}

// While PASS waits, no later command is answered.
func TestNothingOvertakesPASS(t *testing.T) {
	withFakeNet(t, nil, func(t *testing.T, s *fakeNet) {
		c := s.from(mallory)
		c.want(220)
		c.guess(530)
		start := time.Now()
		c.raw("USER rw\r\nPASS rw\r\nNOOP\r\nSTAT\r\nABOR\r\nPWD\r\n")
		for _, code := range []ftp.Code{331, 230, 200, 211, 226, 257} {
			c.want(code)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want a second", took)
		}
	})
}

// The wait for a login's turn ends when the client hangs up, at Shutdown, at Close, and at the login timeout.
func TestLoginWaitEnds(t *testing.T) {
	waiting := func(s *fakeNet) *ctl {
		c := s.from(mallory)
		c.want(220)
		c.guess(530)
		c.guess(530)
		check(s.t, c.Close())
		c = s.from(mallory)
		c.want(220)
		c.cmd("USER rw", 331)
		c.send("PASS rw")
		synctest.Wait()
		return c
	}
	for name, end := range map[string]func(*fakeNet, *ctl){
		"Close": func(s *fakeNet, c *ctl) {
			done := make(chan error, 1)
			go func() { done <- s.Close() }()
			c.want(421)
			c.gone()
			check(s.t, <-done)
		},
		"Shutdown": func(s *fakeNet, c *ctl) {
			done := make(chan error, 1)
			go func() { done <- s.Shutdown(s.t.Context()) }()
			c.want(421)
			c.gone()
			check(s.t, <-done)
		},
	} {
		t.Run(name, func(t *testing.T) {
			withFakeNet(t, nil, func(t *testing.T, s *fakeNet) {
				c := waiting(s)
				start := time.Now()
				end(s, c)
				if took := time.Since(start); took >= time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
	t.Run("hang-up", func(t *testing.T) {
		withFakeNet(t, func(o *server.Options) { o.FailureDelay = 30 * time.Second }, func(t *testing.T, s *fakeNet) {
			c := waiting(s)
			check(t, c.Close()) // or only its own side: the login has a moment left
			synctest.Wait()
			for want := range 2 {
				if n := strings.Count(s.everything(), "ControlClosed"); n != 1+want {
					t.Errorf("%d sessions have ended, want %d", n, 1+want)
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
			}
		})
	})
	t.Run("LoginTimeout", func(t *testing.T) {
		withFakeNet(t, func(o *server.Options) { o.FailureDelay, o.LoginTimeout = time.Hour, time.Minute }, func(t *testing.T, s *fakeNet) {
			c := s.from(mallory)
			c.want(220)
			c.guess(530)
			c.cmd("USER rw", 331)
			start := time.Now()
			c.send("PASS rw")
			if r := c.want(421); !strings.Contains(r.Text(), "1m0s") {
				t.Errorf("unexpected reply text %q", r.Text())
			}
			if took := time.Since(start); took != time.Minute {
				t.Errorf("it took %v", took)
			}
			c.gone()
		})
	})
}

// No password, right or wrong, is in any event, log line or error.
func TestNoPasswordIsTold(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("hunter-two"), bcrypt.MinCost)
	check(t, err)
	withFakeNet(t, func(o *server.Options) {
		account := server.Account{FS: fsroot.NewMem(), MaxSessions: 1}
		o.Auth = server.Static{"hashed": {Password: string(hash), Account: account}, "clear": {Password: "hunter-two", Account: account}}
	}, func(t *testing.T, s *fakeNet) {
		for _, user := range []string{"hashed", "clear", "nobody"} {
			c := s.from(alice)
			c.want(220)
			for _, line := range []string{"USER " + user, "PASS hunter-three", "USER " + user, "pAsS hunter-two", "PASS hunter-two", "ACCT hunter-two"} {
				c.cmd(line, 331, 530, 230, 503, 202, 421)
			}
			_ = c.Close()
		}
		if all := s.everything(); strings.Contains(all, "hunter") || !strings.Contains(all, "PASS") || !strings.Contains(all, "Refused") {
			t.Errorf("events and log:\n%s", all)
		}
	})
}

// The reply to a wrong password, an unknown user and a forbidden address is the same; the log tells them apart.
func TestRefusalsReadTheSame(t *testing.T) {
	withFakeNet(t, func(o *server.Options) {
		users := accounts(fsroot.NewMem())
		ro := users["ro"]
		ro.Account.Networks = prefixes(t, "10.0.0.0/8", "2001:db8::/32")
		users["ro"] = ro
		o.Auth = users
	}, func(t *testing.T, s *fakeNet) {
		var replies []string
		for i, login := range [][2]string{{"rw", "bad"}, {"nobody", "bad"}, {"ro", "ro"}, {"ro", "bad"}} {
			c := s.from(fmt.Sprintf("192.0.2.%d", i+1))
			c.want(220)
			said := c.cmd("USER "+login[0], 331).String()
			replies = append(replies, said+c.cmd("PASS "+login[1], 530).String())
			_ = c.Close()
		}
		for _, r := range replies {
			if r != replies[0] {
				t.Errorf("%q is not %q", r, replies[0])
			}
		}
		_, whys := s.refused()
		for _, want := range []string{"rw: login incorrect: wrong password", "nobody: login incorrect: there is no such user", "ro: login incorrect: the user may not log in from that address"} {
			if !strings.Contains(whys, want) {
				t.Errorf("the log does not contain %q:\n%s", want, whys)
			}
		}
		for _, ip := range []string{"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::9"} {
			c := s.from(ip)
			c.want(220)
			c.cmd("USER ro", 331)
			c.cmd("PASS ro", 230)
		}
	})
}

// A removed user can't log in through an old session. The remembered passwords and failures survive a Reload.
func TestReloadOfUsers(t *testing.T) {
	users := accounts(fsroot.NewMem())
	options := server.Options{Log: slog.New(slog.DiscardHandler)}
	withFakeNet(t, func(o *server.Options) { o.Auth = users }, func(t *testing.T, s *fakeNet) {
		c, m := s.from(alice), s.from(mallory)
		c.want(220)
		m.want(220)
		m.cmd("USER new", 331)
		m.cmd("PASS guess", 530)
		options.Auth = server.Static{"new": {Password: "new", Account: server.Account{FS: fsroot.NewMem()}}}
		check(t, s.Reload(options))
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 530)
		other := s.from(mallory)
		other.want(220)
		other.cmd("USER new", 331)
		if took := other.waits("PASS new", 230); took != time.Second {
			t.Errorf("delayed by %v: Reload has lost the failure", took)
		}
		_, _ = io.WriteString(m.Conn, "QUIT\r\n")
	})
}

// A client that sends more in advance than the server holds still gets the end of the server at once while its
// login waits. If the server stays, all its commands are answered.
func TestMuchAheadOfALogin(t *testing.T) {
	for _, stop := range []bool{false, true} {
		withFakeNet(t, nil, func(t *testing.T, s *fakeNet) {
			c := s.from(mallory)
			c.want(220)
			c.guess(530)
			c.cmd("USER rw", 331)
			c.send("PASS rw")
			go func() { _, _ = io.WriteString(c.Conn, strings.Repeat("NOOP\r\n", 200)) }()
			synctest.Wait()
			if stop {
				start := time.Now()
				go func() { check(t, s.Shutdown(t.Context())) }()
				c.want(421)
				if took := time.Since(start); took != 0 {
					t.Errorf("the end came after %v", took)
				}
				return
			}
			c.want(230)
			for range 200 {
				c.want(200)
			}
		})
	}
}
