package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// TLS 1.0 and 1.1 are refused on control and data connections, even if the given settings would permit them.
func TestOldTLSIsRefused(t *testing.T) {
	s := serve(t, fsroot.NewMem(), withTLS, func(o *server.Options) { o.TLS.MinVersion = tls.VersionTLS10 })
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		c := s.connect(t)
		c.cmd("AUTH TLS", 234)
		_ = c.SetDeadline(time.Now().Add(patience))
		if err := tls.Client(c.Conn, clientConfig(version)).Handshake(); err == nil || isTimeout(err) {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		sec := s.connect(t).secure(clientConfig(tls.VersionTLS12)).private("rw")
		d := sec.epsv()
		sec.cmd("NLST", 150)
		if err := tls.Client(d, clientConfig(version)).Handshake(); err == nil {
			t.Errorf("%s on data", tls.VersionName(version))
		}
		sec.want(522)
		sec.cmd("NOOP", 200)
	}
}

// A TLS handshake on a port without implicit TLS ends the session at once, before and after the login. Commands
// hidden in the handshake are not run (ALPACA).
func TestCommandsInAHandshake(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys, withTLS)
	for _, c := range []*ctl{s.connect(t), s.login(t, "rw")} {
		_ = c.SetDeadline(time.Now().Add(patience))
		cfg := clientConfig(tls.VersionTLS12)
		cfg.ServerName = "x.example"
		cfg.NextProtos = []string{"\r\nMKD /made\r\nQUIT\r\n"}
		if err := tls.Client(c.Conn, cfg).Handshake(); err == nil || isTimeout(err) {
			t.Errorf("the handshake: %v", err)
		}
		if _, err := io.Copy(io.Discard, c.Conn); isTimeout(err) {
			t.Error("the session continues")
		}
	}
	if got := names(t, fsys, "/"); len(got) > 0 {
		t.Errorf("the tree is %q", got)
	}
}

// Clients that break off during a handshake, or end TLS but not TCP, or TCP but not TLS, leave no session that
// continues or spins: all goroutines end (noLeaks).
func TestTLSBrokenOff(t *testing.T) {
	s := serve(t, big(t), withTLS)
	hello := func(c *ctl) { // the first half of a ClientHello
		c.cmd("AUTH TLS", 234)
		c.raw("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	}
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0); _ = conn.Close() }
	for name, f := range map[string]func(c *ctl){
		"reset after the 234":             func(c *ctl) { c.cmd("AUTH TLS", 234); reset(c.Conn) },
		"reset in the handshake":          func(c *ctl) { hello(c); reset(c.Conn) },
		"closed in the handshake":         func(c *ctl) { hello(c); _ = c.Conn.(*net.TCPConn).CloseWrite() },
		"nonsense instead of a handshake": func(c *ctl) { c.cmd("AUTH TLS", 234); c.raw(strings.Repeat("\x16\x03\x01\x00\x00", 100)) },
		"an endless handshake": func(c *ctl) {
			c.cmd("AUTH TLS", 234)
			_, _ = io.WriteString(c.Conn, "\x16\x03\x01\xff\xff"+strings.Repeat("x", 70_000))
		},
		"close_notify, TCP stays":  func(c *ctl) { _ = c.secure(clientConfig(0)).Conn.(*tls.Conn).CloseWrite() },
		"FIN without close_notify": func(c *ctl) { c.secure(clientConfig(0)); _ = c.Conn.(*net.TCPConn).CloseWrite() },
		"close_notify in a transfer": func(c *ctl) {
			sec := c.secure(clientConfig(0)).private("rw")
			d := sec.over("RETR big")
			_ = d.Handshake()
			_ = sec.Conn.(*tls.Conn).CloseWrite()
		},
		"close_notify on data, then silence": func(c *ctl) {
			sec := c.secure(clientConfig(0)).private("rw")
			d := sec.over("RETR big")
			_ = d.Handshake()
			_ = d.CloseWrite()
			reset(d.NetConn())
			sec.want(426)
			_ = sec.Close()
		},
		"an invalid record": func(c *ctl) {
			sec := c.secure(clientConfig(0))
			_, _ = io.WriteString(c.Conn, "\x17\x03\x03\x00\x20"+strings.Repeat("y", 32))
			_, _ = io.Copy(io.Discard, sec.Conn)
		},
	} {
		c := s.connect(t)
		f(c)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c.Conn); isTimeout(err) {
			t.Errorf("%s: the session continues", name)
		}
		_ = c.Close()
	}
	s.login(t, "rw").cmd("NOOP", 200)
}

// PROT and AUTH in every spelling: an unknown argument never leaves data unprotected, nor removes protection.
func TestPROTNeverFallsBack(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	c := serve(t, fsys, withTLS).connect(t).secure(clientConfig(tls.VersionTLS13)).private("rw")
	for _, cmd := range []string{"PROT", "PROT ", "PROT S", "PROT E", "PROT X", "PROT PC", "PROT C P", "PROT \tX", "PROT 0", "PBSZ", "PBSZ -1", "PBSZ x", "AUTH TLS", "AUTH SSL", "AUTH NONE", "CCC", "REST 0"} {
		if r := c.cmd(cmd); r.Code == 200 {
			t.Errorf("%q: %v", cmd, r)
		}
		if got := string(c.get("RETR f")); got != "content" { // fails without TLS
			t.Errorf("after %q: %q", cmd, got)
		}
	}
	c.cmd("PBSZ 0", 200)
	if got := string(c.get("RETR f")); got != "content" {
		t.Errorf("after PBSZ: %q", got)
	}
	for _, again := range []string{"REIN", "USER rw"} { // a new login starts like the first
		c.cmd(again, 220, 331)
		if r := c.cmd("PROT C"); r.Code != 200 && r.Code != ftp.Code(503) {
			t.Errorf("%s: %v", again, r)
		}
	}
}
