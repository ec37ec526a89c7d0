package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// If sessions must be resumed, a data connection without that, or with another client's session, is refused.
// The session continues.
func TestSessionReuseRequired(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		fsys := fsroot.NewMem()
		write(t, fsys, "/f", "content")
		s := serve(t, fsys, requireTLS, func(o *server.Options) { o.SessionReuse = dtp.ReuseRequire })
		c := s.connect(t).secure(clientConfig(version)).private("rw")
		other := s.connect(t).secure(clientConfig(version)).private("rw")
		own := c.cfg
		for name, cfg := range map[string]*tls.Config{"none": clientConfig(version), "another client's": other.cfg} {
			c.cfg = cfg
			d := c.over("RETR f")
			if b, err := io.ReadAll(d); err == nil && len(b) > 0 {
				t.Errorf("%s session: %q was received", name, b)
			}
			_ = d.Close()
			c.want(522)
			d = c.over("STOR f")
			_ = d.Handshake()
			_ = d.Close()
			c.want(522)
		}
		c.cfg = own
		if got := string(c.get("RETR f")); got != "content" {
			t.Errorf("RETR: %q", got)
		}
		if got := string(other.get("RETR f")); got != "content" {
			t.Errorf("RETR of the other: %q", got)
		}
		again := s.connect(t).secure(own).private("rw") // a resumed control connection
		if got := string(again.get("RETR f")); got != "content" {
			t.Errorf("RETR after a resumed control connection: %q", got)
		}
		if names := names(t, fsys, "/"); !slices.Equal(names, []string{"f"}) {
			t.Errorf("the tree is %q", names)
		}
	})
}

// If sessions may be resumed, another client's session is not: the handshake is a full one.
func TestOthersSessionIsNoSession(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		s := serve(t, fsroot.NewMem(), requireTLS)
		c := s.connect(t).secure(clientConfig(version)).private("rw")
		other := s.connect(t).secure(clientConfig(version)).private("rw")
		for _, x := range []struct {
			cfg  *tls.Config
			want bool
		}{{other.cfg, false}, {c.cfg, true}} {
			c := &tlsCtl{c.ctl, x.cfg}
			d := c.over("NLST")
			_, err := io.ReadAll(d)
			check(t, err)
			_ = d.Close()
			c.want(226)
			if got := d.ConnectionState().DidResume; got != x.want {
				t.Errorf("resumed is %v, want %v", got, x.want)
			}
		}
	})
}

// A client that has presented a certificate must present it on data connections, too.
func TestDataNeedsTheSameCertificate(t *testing.T) {
	s := serve(t, fsroot.NewMem(), requireTLS, func(o *server.Options) {
		o.TLS.ClientCAs, o.TLS.ClientAuth = authority().pool, tls.VerifyClientCertIfGiven
		o.SessionReuse = dtp.ReuseOff
	})
	cfg := clientConfig(tls.VersionTLS13)
	cfg.Certificates = []tls.Certificate{authority().client}
	c := s.connect(t).secure(cfg).private("rw")
	c.get("NLST")
	c.cfg = clientConfig(tls.VersionTLS13)
	d := c.over("NLST")
	_, _ = io.ReadAll(d)
	_ = d.Close()
	if r := c.want(522); !strings.Contains(r.Text(), "certificate") {
		t.Errorf("the reply is %v", r)
	}
}

// A client that requests another protocol is refused; one that requests ftp or nothing is accepted (ALPACA,
// CVE-2021-3618).
func TestALPN(t *testing.T) {
	s := serve(t, fsroot.NewMem(), withTLS)
	for proto, ok := range map[string]bool{"ftp": true, "http/1.1": false, "h2": false, "smtp": false} {
		c := s.connect(t)
		c.cmd("AUTH TLS", 234)
		cfg := clientConfig(tls.VersionTLS13)
		cfg.NextProtos = []string{proto}
		_ = c.SetDeadline(time.Now().Add(patience))
		tc := tls.Client(c.Conn, cfg)
		err := tc.Handshake()
		if err == nil {
			_, err = tc.Read(make([]byte, 0, 1)) // does the handshake
		}
		if (err == nil) != ok {
			t.Errorf("ALPN %s: %v", proto, err)
		}
	}
}

// CCC ends TLS on the control connection exactly at the client's close_notify, whichever end is first, and also
// for a client that never sends one.
func TestCCC(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	const clientFirst, serverFirst, neither = "the client first", "the server first", "the server alone"
	for _, how := range []string{clientFirst, serverFirst, neither} {
		t.Run(how, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint16) {
				fsys := fsroot.NewMem()
				write(t, fsys, "/f", "content")
				s := serve(t, fsys, requireTLS, func(o *server.Options) { o.AllowCCC = true })
				c := s.connect(t)
				c.cmd("AUTH TLS", 234)
				held := &holding{Conn: c.Conn}
				sec := shake(t, held, clientConfig(version)).private("rw")
				sec.cmd("CCC", 200)
				tc := sec.Conn.(*tls.Conn)
				ended := func() {
					if n, err := tc.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
						t.Fatalf("after CCC: %d bytes, %v", n, err)
					}
				}
				if how != clientFirst {
					ended()
				}
				held.on = true
				if how != neither {
					check(t, tc.CloseWrite())
				}
				_ = c.SetDeadline(time.Now().Add(patience)) // package tls has left one in the past
				c.raw(string(held.b) + "PWD\r\n")           // close_notify and the next command in one segment
				if how == clientFirst {
					sec.ended(c.Conn, version)
				}
				c.want(257)
				c.cmd("CCC", 533)
				c.cmd("AUTH TLS", 503)
				after := &tlsCtl{c, sec.cfg}
				if got := string(after.get("RETR f")); got != "content" {
					t.Errorf("RETR under TLS after CCC: %q", got)
				}
				c.cmd("PROT C", 534)
			})
		})
	}
}

// ended reads the server's close_notify and not a byte of what follows.
func (c *tlsCtl) ended(conn net.Conn, version uint16) {
	c.t.Helper()
	head := make([]byte, 5)
	_, err := io.ReadFull(conn, head)
	check(c.t, err)
	want := byte(21) // alert
	if version == tls.VersionTLS13 {
		want = 23 // encrypted records look like data
	}
	if head[0] != want {
		c.t.Fatalf("after CCC the server sent %q", head)
	}
	_, err = io.CopyN(io.Discard, conn, int64(head[3])<<8|int64(head[4]))
	check(c.t, err)
}

// holding collects what is written instead of sending it.
type holding struct {
	net.Conn
	on bool
	b  []byte
}

func (h *holding) Write(b []byte) (int, error) {
	if !h.on {
		return h.Conn.Write(b)
	}
	h.b = append(h.b, b...)
	return len(b), nil
}

// A handshake that never comes ends with the login timeout, on data connections with the data timeout.
func TestTLSHandshakeHasADeadline(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	s := serve(t, fsroot.NewMem(), requireTLS, func(o *server.Options) { o.LoginTimeout = time.Second })
	c := s.connect(t)
	c.cmd("AUTH TLS", 234)
	if _, err := io.ReadAll(c.Conn); isTimeout(err) {
		t.Error("the server still waits for a handshake that never comes")
	}
	s = serve(t, fsroot.NewMem(), requireTLS, func(o *server.Options) { o.DataTimeout = 500 * time.Millisecond })
	ok := s.connect(t).secure(clientConfig(tls.VersionTLS13)).private("rw")
	d := ok.epsv()
	ok.cmd("NLST", 150)
	ok.want(522)
	_ = d.Close()
	ok.cmd("NOOP", 200)
}

// ABOR, a shutdown and replies during a transfer work under TLS as in the clear.
func TestABORUnderTLS(t *testing.T) {
	fsys := fsroot.NewMem()
	c := serve(t, fsys, requireTLS).connect(t).secure(clientConfig(tls.VersionTLS13)).private("rw")
	d := c.over("STOR f")
	check(t, d.Handshake())
	_, err := io.WriteString(d, "first")
	check(t, err)
	c.cmd("NOOP", 200)
	await(t, func() bool { return strings.Contains(strings.Join(c.cmd("STAT").Lines, " "), "5") })
	c.cmd("ABOR", 426)
	c.want(226)
	if exists(fsys, "/f") {
		t.Error("the aborted upload has its final name")
	}
	c.get("NLST")
}

// A verified certificate logs in its user without a password if that is enabled, and no other user.
func TestCertificateLogsIn(t *testing.T) {
	cert := func(on bool) func(*server.Options) {
		return func(o *server.Options) {
			o.TLS.ClientCAs, o.TLS.ClientAuth = authority().pool, tls.VerifyClientCertIfGiven
			if on {
				o.CertUser = func(c *x509.Certificate) string { return c.Subject.CommonName }
			}
		}
	}
	shown := func() *tls.Config {
		cfg := clientConfig(tls.VersionTLS13)
		cfg.Certificates = []tls.Certificate{authority().client}
		return cfg
	}
	on := serve(t, fsroot.NewMem(), requireTLS, cert(true))
	c := on.connect(t).secure(shown())
	c.cmd("USER ro", 331) // the certificate is another user's
	c.cmd("PASS wrong", 530)
	c.cmd("USER rw", 232)
	c.cmd("PWD", 257)
	c.cmd("PASS x", 503)
	c.cmd("MKD d", 257) // with the permissions of rw
	c.cmd("USER rw", 232)
	c.cmd("REIN", 220)
	c.cmd("PWD", 530)
	on.connect(t).secure(clientConfig(tls.VersionTLS13)).cmd("USER rw", 331) // without a certificate
	off := serve(t, fsroot.NewMem(), requireTLS, cert(false))
	off.connect(t).secure(shown()).cmd("USER rw", 331)

	seen := make(chan server.Login, 1)
	custom := serve(t, nil, requireTLS, cert(true), func(o *server.Options) {
		o.Auth = server.AuthenticatorFunc(func(_ context.Context, l server.Login) (*server.Account, error) {
			seen <- l
			return &server.Account{FS: fsroot.NewMem(), Perm: server.ReadOnly}, nil
		})
	})
	custom.connect(t).secure(shown()).cmd("USER rw", 232)
	if l := <-seen; !l.Certified || l.TLS == nil || l.TLS.PeerCertificates[0].Subject.CommonName != "rw" {
		t.Errorf("the Authenticator got %+v", l)
	}
}

// A TLS handshake on a port without implicit TLS is answered at once, although its first record contains no
// line end.
func TestHandshakeOnAClearPort(t *testing.T) {
	s := serve(t, fsroot.NewMem(), withTLS)
	for _, hello := range []string{"\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		c := s.connect(t)
		c.raw(hello)
		if r := c.want(421); !strings.Contains(r.Text(), "TLS") {
			t.Errorf("the reply is %v", r)
		}
		c.closed()
	}
}
