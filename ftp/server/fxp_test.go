package server_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// withFXP permits only the user rw to copy from server to server.
func withFXP(o *server.Options) {
	users := o.Auth.(server.Static)
	u := users["rw"]
	u.Account.FXP = true
	users["rw"] = u
}

// connectFrom is like connect, from another loopback address.
func (s *site) connectFrom(t *testing.T, ip string) *ctl {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := d.Dial("tcp", s.addr)
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := newCtl(t, conn)
	c.want(220)
	return c
}

// pair is two servers on two addresses, and a client of both on a third one, so that each is another host for
// the others.
type pair struct {
	fs  [2]afero.Fs
	ctl [2]*ctl
}

// startPlain is serveOn without the check for leaks: of two servers at once, the one that ends first would see
// the goroutines of the other.
func startPlain(t *testing.T, addr string, fsys afero.Fs, change ...func(*server.Options)) *site {
	t.Helper()
	opts := server.Options{Auth: accounts(fsys), DataTimeout: patience, FailureDelay: server.NoDelay, MaxLoginFailures: server.NoLimit}
	for _, f := range change {
		f(&opts)
	}
	srv, err := server.New(opts)
	check(t, err)
	l, err := net.Listen("tcp", addr)
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return &site{srv, l.Addr().String(), nil}
}

func newPair(t *testing.T, version uint16, change ...func(*server.Options)) *pair {
	t.Helper()
	noLeaks(t)
	p := &pair{}
	for i, addr := range []string{"127.0.0.1:0", "127.0.0.2:0"} {
		if l, err := net.Listen("tcp", addr); err != nil {
			t.Skipf("no second loopback address: %v", err)
		} else {
			_ = l.Close()
		}
		p.fs[i] = fsroot.NewMem()
		c := startPlain(t, addr, p.fs[i], append([]func(*server.Options){withFXP}, change...)...).connectFrom(t, "127.0.0.3")
		if version == 0 {
			c.cmd("USER rw", 331)
			c.cmd("PASS rw", 230)
			c.cmd("TYPE I", 200)
		} else {
			c = c.secure(clientConfig(version)).private("rw").ctl
		}
		p.ctl[i] = c
	}
	return p
}

// copies sends the address from the reply to listens to the other server, and copies /f from the first to the
// second.
func (p *pair) copies(t *testing.T, name string, listener int, verb string, codes ...ftp.Code) []ftp.Reply {
	t.Helper()
	reply := p.ctl[listener].cmd(verb, 227)
	addr, err := ftp.Parse227(reply.Text())
	check(t, err)
	p.ctl[1-listener].cmd("PORT "+ftp.FormatHostPort(addr), 200)
	p.ctl[listener].send([]string{"RETR /f", "STOR /" + name}[listener])
	p.ctl[1-listener].send([]string{"RETR /f", "STOR /" + name}[1-listener])
	var all []ftp.Reply
	for _, c := range p.ctl {
		c.want(150)
		all = append(all, c.want(codes...))
	}
	return all
}

// TestFXP copies between two of our servers, with and without TLS, with either of them listening and either of
// them as the TLS client. Neither can resume a TLS session, although both require that of their clients.
func TestFXP(t *testing.T) {
	parallel(t)
	body := string(random(3 << 20))
	copied := func(t *testing.T, p *pair, listener int, verb string) {
		t.Helper()
		name := fmt.Sprintf("copy%d%s", listener, verb)
		p.copies(t, name, listener, verb, 226)
		if got := read(t, p.fs[1], "/"+name); got != body {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(body))
		}
	}
	t.Run("clear", func(t *testing.T) {
		p := newPair(t, 0)
		write(t, p.fs[0], "/f", body)
		copied(t, p, 0, "PASV")
		copied(t, p, 1, "PASV")
	})
	eachVersion(t, func(t *testing.T, version uint16) {
		p := newPair(t, version, requireTLS, func(o *server.Options) { o.SessionReuse = dtp.ReuseRequire })
		write(t, p.fs[0], "/f", body)
		for listener := range 2 {
			copied(t, p, listener, "CPSV")
			for client := range 2 {
				c := p.ctl[client]
				if r := c.cmd("SSCN ON", 200); r.Text() != "SSCN:CLIENT METHOD" || c.cmd("SSCN", 200).Text() != r.Text() {
					t.Errorf("SSCN ON: %v", r)
				}
				copied(t, p, listener, "PASV")
				if r := c.cmd("sscn off", 200); r.Text() != "SSCN:SERVER METHOD" {
					t.Errorf("SSCN OFF: %v", r)
				}
			}
		}
		// With two TLS clients the copy fails; the sessions continue.
		p.ctl[0].cmd("SSCN ON", 200)
		p.ctl[1].cmd("SSCN ON", 200)
		p.copies(t, "none", 1, "PASV", 522)
		if exists(p.fs[1], "/none") {
			t.Error("a failed copy left a file")
		}
		p.ctl[1].cmd("SSCN OFF", 200)
		copied(t, p, 0, "PASV")
	})
}

// Without the switch no other host can be reached or used, and the replies name the setting. It can be set for
// one user alone.
func TestFXPIsOffByDefault(t *testing.T) {
	s := serve(t, oneFile(t, "x"), withTLS, withFXP)
	for user, on := range map[string]bool{"rw": true, "ro": false} {
		c := s.connect(t).secure(clientConfig(tls.VersionTLS13)).private(user)
		for _, line := range []string{"CPSV", "SSCN ON", "SSCN", "SSCN OFF"} {
			r := c.cmd(line)
			if want := map[bool]ftp.Code{true: 2, false: 5}[on]; r.Code/100 != want || !on && !strings.Contains(r.Text(), "fxp") {
				t.Errorf("%s of %s: %v", line, user, r)
			}
		}
		feat := c.cmd("FEAT", 211).Lines
		for _, verb := range []string{" CPSV", " SSCN"} {
			if slices.Contains(feat, verb) != on && slices.Contains(feat, strings.TrimSpace(verb)) != on {
				t.Errorf("FEAT of %s: %q", user, feat)
			}
		}
		for _, line := range []string{"PORT 127,0,0,2,30,1", "EPRT |1|127.0.0.2|7681|"} {
			r := c.cmd(line)
			if on && r.Code != 200 || !on && (r.Code != 504 || !strings.Contains(r.Text(), "fxp")) {
				t.Errorf("%s of %s: %v", line, user, r)
			}
		}
		c.cmd("PORT 127,0,0,2,0,22", 504)
		c.cmd("PORT 127,0,0,1,0,22", 504)
		c.cmd("EPRT |1|127.0.0.2|0|", 504, 501)
	}
	for _, change := range [][]func(*server.Options){{withTLS}, {withTLS, withFXP}} {
		feat := serve(t, fsroot.NewMem(), change...).connect(t).cmd("FEAT", 211).Text()
		if on := len(change) == 2; strings.Contains(feat, "SSCN") != on || strings.Contains(feat, "CPSV") != on {
			t.Errorf("FEAT before the login: %q", feat)
		}
	}
	inClear := s.login(t, "rw")
	inClear.cmd("CPSV", 503)
	inClear.cmd("SSCN ON", 503)
	if feat := serve(t, fsroot.NewMem(), withFXP).login(t, "rw").cmd("FEAT", 211).Text(); strings.Contains(feat, "SSCN") {
		t.Errorf("FEAT without TLS: %q", feat)
	}
	open := s.connect(t).secure(clientConfig(tls.VersionTLS13))
	open.cmd("USER rw", 331)
	open.cmd("PASS rw", 230)
	open.cmd("SSCN x", 501)
	open.cmd("CPSV", 503) // PROT C
	// What a login permitted ends with it.
	open.cmd("SSCN ON", 200)
	open.cmd("USER ro", 331)
	open.cmd("PASS ro", 230)
	open.cmd("SSCN", 550)
	open.cmd("PORT 127,0,0,2,30,1", 504)
	open.cmd("USER rw", 331)
	open.cmd("PASS rw", 230)
	if r := open.cmd("SSCN", 200); r.Text() != "SSCN:SERVER METHOD" {
		t.Errorf("SSCN of a new login: %v", r)
	}
}

// For a user with the switch any host may connect to the passive port; for a user without it none but the
// client's.
func TestFXPAndStrangers(t *testing.T) {
	s := serve(t, oneFile(t, "content"), withFXP)
	thief := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for user, on := range map[string]bool{"rw": true, "ro": false} {
		c := s.login(t, user)
		port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
		check(t, err)
		d, err := thief.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
		if err != nil {
			t.Skipf("no second loopback address: %v", err)
		}
		_ = d.SetDeadline(time.Now().Add(patience))
		c.send("RETR /f")
		if on {
			c.want(150)
			c.want(226)
		}
		if got := string(rest(d)); (got == "content") != on {
			t.Errorf("%s: a third host got %q", user, got)
		}
		_ = d.Close()
	}
}

// The switch weakens nothing else: a user with it still has to resume the TLS session, show a certificate, and
// be the TLS client of listings.
func TestFXPWeakensNothingElse(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		s := serve(t, oneFile(t, "content"), requireTLS, withFXP, func(o *server.Options) { o.SessionReuse = dtp.ReuseRequire })
		c := s.connect(t).secure(clientConfig(version)).private("rw")
		own := c.cfg
		c.cfg = clientConfig(version)
		d := c.over("RETR f")
		_ = d.Handshake()
		_ = d.Close()
		c.want(522)
		c.cfg = own
		if got := string(c.get("RETR f")); got != "content" {
			t.Errorf("RETR: %q", got)
		}
		c.cmd("SSCN ON", 200)
		if got := string(c.get("NLST")); got != "f\r\n" {
			t.Errorf("NLST after SSCN ON: %q", got)
		}
		c.cmd("CPSV", 227)
		if got := string(c.get("NLST")); got != "f\r\n" {
			t.Errorf("NLST after CPSV: %q", got)
		}
		c.cmd("SSCN OFF", 200)
		c.cmd("CPSV", 227)
		if got := string(c.get("RETR f")); got != "content" { // EPSV: CPSV applies to one address only
			t.Errorf("RETR after CPSV and EPSV: %q", got)
		}
	})
}

// Options.FXPTLS says which other servers are trusted.
func TestFXPChecksCertificates(t *testing.T) {
	trust := func(o *server.Options) { o.FXPTLS = &tls.Config{RootCAs: authority().pool} }
	p := newPair(t, tls.VersionTLS13, withTLS, trust)
	write(t, p.fs[0], "/f", "content")
	p.ctl[1].cmd("SSCN ON", 200) // the server at 127.0.0.1 has a certificate for that address
	p.copies(t, "good", 0, "PASV", 226)
	if got := read(t, p.fs[1], "/good"); got != "content" {
		t.Errorf("copied: %q", got)
	}
	p.ctl[1].cmd("SSCN OFF", 200)
	p.ctl[0].cmd("SSCN ON", 200) // its certificate is not valid for 127.0.0.2
	p.copies(t, "bad", 1, "PASV", 522)
	if exists(p.fs[1], "/bad") {
		t.Error("an untrusted server has sent or received a file")
	}
}
