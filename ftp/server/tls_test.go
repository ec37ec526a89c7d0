package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	bignum "math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// signed is a CA of this test run and the certificates it has signed.
type signed struct {
	pool           *x509.CertPool
	server, client tls.Certificate
}

var authority = sync.OnceValue(func() (a signed) {
	caKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ca := &x509.Certificate{
		SerialNumber: bignum.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		panic(err)
	}
	ca, _ = x509.ParseCertificate(der)
	a.pool = x509.NewCertPool()
	a.pool.AddCert(ca)
	sign := func(cn string, usage x509.ExtKeyUsage) tls.Certificate {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		cert := &x509.Certificate{
			SerialNumber: bignum.NewInt(2), Subject: pkix.Name{CommonName: cn}, DNSNames: []string{"localhost", cn}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage},
		}
		der, err := x509.CreateCertificate(rand.Reader, cert, ca, key.Public(), caKey)
		if err != nil {
			panic(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	a.server, a.client = sign("ftp.example", x509.ExtKeyUsageServerAuth), sign("rw", x509.ExtKeyUsageClientAuth)
	return a
})

func withTLS(o *server.Options) {
	o.TLS = &tls.Config{Certificates: []tls.Certificate{authority().server}}
}

func requireTLS(o *server.Options) { withTLS(o); o.TLSRequired = true }

// tlsCtl is a raw control connection under TLS.
type tlsCtl struct {
	*ctl
	cfg *tls.Config
}

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{
		RootCAs: authority().pool, ServerName: "ftp.example", ClientSessionCache: tls.NewLRUClientSessionCache(4),
		MinVersion: version, MaxVersion: version,
	}
}

// secure sends AUTH TLS and does the handshake.
func (c *ctl) secure(cfg *tls.Config) *tlsCtl {
	c.t.Helper()
	c.cmd("AUTH TLS", 234)
	return shake(c.t, c.Conn, cfg)
}

func shake(t testing.TB, conn net.Conn, cfg *tls.Config) *tlsCtl {
	t.Helper()
	tc := tls.Client(conn, cfg)
	_ = conn.SetDeadline(time.Now().Add(patience))
	check(t, tc.Handshake())
	return &tlsCtl{&ctl{t, tc, ftp.NewLineReader(tc, 64<<10)}, cfg}
}

// private logs in and requests protected data connections.
func (c *tlsCtl) private(user string) *tlsCtl {
	c.t.Helper()
	c.cmd("USER "+user, 331)
	c.cmd("PASS "+user, 230)
	c.cmd("PBSZ 0", 200)
	c.cmd("PROT P", 200)
	c.cmd("TYPE I", 200)
	return c
}

// over starts a transfer and puts its data connection under TLS.
func (c *tlsCtl) over(line string) *tls.Conn {
	c.t.Helper()
	d := c.epsv()
	c.cmd(line, 150)
	return tls.Client(d, c.cfg)
}

func (c *tlsCtl) get(line string) []byte {
	c.t.Helper()
	raw := c.epsv()
	c.cmd(line, 150)
	seen := &reading{Conn: raw}
	d := tls.Client(seen, c.cfg)
	b, err := io.ReadAll(d)
	check(c.t, err)
	if seen.ended {
		c.t.Errorf("%s ended without close_notify", line)
	}
	check(c.t, d.Close())
	c.want(226)
	return b
}

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

func eachVersion(t *testing.T, f func(t *testing.T, version uint16)) {
	for name, v := range versions {
		t.Run(name, func(t *testing.T) { f(t, v) })
	}
}

// A session with explicit TLS, from AUTH to a file in each direction, with either side listening.
func TestTLS(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		fsys := fsroot.NewMem()
		big := random(3 << 20)
		write(t, fsys, "/big", string(big))
		s := serve(t, fsys, requireTLS)
		c := s.connect(t).secure(clientConfig(version)).private("rw")
		if got := c.get("RETR big"); sum(got) != sum(big) {
			t.Errorf("received %d bytes, or not the bytes that were sent", len(got))
		}
		d := c.over("STOR up")
		_, err := d.Write(big)
		check(t, err)
		check(t, d.Close())
		if c.want(226); !d.ConnectionState().DidResume {
			t.Error("the upload did not resume the session")
		}
		if got := read(t, fsys, "/up"); got != string(big) {
			t.Errorf("stored %d bytes, or not the bytes that were sent", len(got))
		}
		c.cmd("TYPE A", 200)
		if got := string(c.get("NLST")); got != "big\r\nup\r\n" {
			t.Errorf("NLST: %q", got)
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer ln.Close()
		c.cmd("EPRT "+ftp.FormatEPRT(ln.Addr().(*net.TCPAddr).AddrPort()), 200)
		c.send("NLST")
		called, err := ln.Accept()
		check(t, err)
		c.want(150)
		active := tls.Client(called, c.cfg) // the FTP client is the TLS client here, too
		b, err := io.ReadAll(active)
		check(t, err)
		check(t, active.Close())
		if c.want(226); string(b) != "big\r\nup\r\n" || !active.ConnectionState().DidResume {
			t.Errorf("active NLST: %q, resumed: %v", b, active.ConnectionState().DidResume)
		}
		c.cmd("QUIT", 221)
	})
}

// The order of AUTH, PBSZ, PROT and the login, and other refusals.
func TestTLSRefusals(t *testing.T) {
	s := serve(t, fsroot.NewMem(), requireTLS)
	c := s.connect(t)
	for line, code := range map[string]ftp.Code{
		"AUTH KERBEROS_V4": 504, "AUTH": 501, "AUTH x y": 504, "PBSZ 0": 503, "PROT P": 503, "USER rw": 530, "PASS rw": 530, "ACCT x": 530, "CCC": 530,
	} {
		c.cmd(line, code)
	}
	sec := c.secure(clientConfig(tls.VersionTLS13))
	for _, x := range []struct {
		line string
		code ftp.Code
	}{
		{"AUTH TLS", 503},
		{"PROT P", 503},
		{"PBSZ x", 501},
		{"PBSZ 4294967296", 501},
		{"PBSZ -1", 501},
		{"PBSZ 100", 200},
		{"PROT", 501},
		{"PROT C", 534},
		{"PROT S", 536},
		{"PROT E", 536},
		{"PROT X", 504},
		{"PROT PP", 504},
		{"prot p", 200},
		{"USER rw", 331},
		{"PASS rw", 230},
		{"CCC", 534},
		{"AUTH TLS", 503},
	} {
		sec.cmd(x.line, x.code)
	}
	sec.epsv()
	open := s.connect(t).secure(clientConfig(tls.VersionTLS12))
	open.cmd("USER rw", 331)
	open.cmd("PASS rw", 230)
	open.epsv()
	for _, line := range []string{"RETR x", "STOR x", "LIST", "MLSD", "NLST", "STOU", "APPE x"} {
		open.cmd(line, 521)
	}
}

// FEAT lists the TLS commands only if there is a certificate.
func TestTLSFeatures(t *testing.T) {
	feat := func(change ...func(*server.Options)) string {
		return strings.Join(serve(t, fsroot.NewMem(), change...).connect(t).cmd("FEAT", 211).Lines, "\n")
	}
	for _, line := range []string{"AUTH TLS", "PBSZ", "PROT"} {
		if off, on := strings.Contains(feat(), line), strings.Contains(feat(withTLS), line); off || !on {
			t.Errorf("%s in FEAT: %v without a certificate, %v with one", line, off, on)
		}
	}
	if strings.Contains(feat(withTLS), "CCC") || !strings.Contains(feat(withTLS, func(o *server.Options) { o.AllowCCC = true }), "CCC") {
		t.Error("CCC must be in FEAT exactly if it is allowed")
	}
	serve(t, fsroot.NewMem()).connect(t).cmd("AUTH TLS", 502)
}

// What is sent in the clear after AUTH never counts as sent under TLS (CVE-2011-0411).
func TestNothingBehindAUTH(t *testing.T) {
	s := serve(t, fsroot.NewMem(), withTLS)
	for _, line := range []string{"AUTH TLS\r\nUSER rw\r\n", "AUTH TLS\r\nU", "AUTH TLS\r\n\r\n"} {
		c := s.connect(t)
		c.raw(line)
		c.want(234)
		c.closed()
	}
	c := s.connect(t) // the same a moment later
	c.cmd("AUTH TLS", 234)
	c.raw("USER rw\r\nPASS rw\r\n")
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(c.Conn); len(b) > 7 || isTimeout(err) { // at most an alert
		t.Errorf("the server has sent %q, %v", b, err)
	}
}

// AUTH starts a new session (RFC 4217 §4).
func TestAUTHForgetsTheLogin(t *testing.T) {
	c := serve(t, fsroot.NewMem(), withTLS).login(t, "rw").secure(clientConfig(tls.VersionTLS13))
	c.cmd("PWD", 530)
	c.cmd("PASS rw", 503)
	c.private("rw").cmd("PWD", 257)
}

// Implicit TLS: the handshake comes before the greeting, data is protected from the start, and PBSZ is not
// needed.
func TestImplicitTLS(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	s := serve(t, fsys, requireTLS)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	go func() { _ = s.ServeTLS(struct{ net.Listener }{l}) }() // wrapped, as some callers do
	conn, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	c := shake(t, conn, clientConfig(tls.VersionTLS13))
	c.want(220)
	c.cmd("AUTH TLS", 503)
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	if got := c.get("RETR f"); string(got) != "content" {
		t.Errorf("RETR: %q", got)
	}
	c.cmd("PROT P", 200)
	if got := c.get("RETR f"); string(got) != "content" {
		t.Errorf("RETR after PROT P: %q", got)
	}
}

// An upload is whole only after close_notify: anyone can send a FIN.
func TestUploadNeedsCloseNotify(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		fsys := fsroot.NewMem()
		write(t, fsys, "/f", "old")
		c := serve(t, fsys, requireTLS).connect(t).secure(clientConfig(version)).private("rw")
		for _, body := range []string{"", "the new one"} {
			d := c.over("STOR f")
			check(t, d.Handshake())
			_, err := io.WriteString(d, body)
			check(t, err)
			check(t, d.NetConn().(*net.TCPConn).CloseWrite())
			if r := c.want(426); !strings.Contains(r.Text(), "close_notify") {
				t.Errorf("the reply is %v", r)
			}
			if got := read(t, fsys, "/f"); got != "old" {
				t.Errorf("an upload without close_notify has replaced the file: %q", got)
			}
		}
		d := c.over("STOR f")
		check(t, d.Handshake())
		check(t, d.Close())
		c.want(226)
		if got := read(t, fsys, "/f"); got != "" {
			t.Errorf("an empty upload left %q", got)
		}
	})
}

// reading is a connection that counts the bytes from the peer and records its FIN.
type reading struct {
	net.Conn
	n     int
	ended bool
}

func (r *reading) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.n += n
	r.ended = r.ended || errors.Is(err, io.EOF)
	return n, err
}

// A client that only writes never reads a ticket, and its close would become a reset. Therefore no tickets are
// sent on data connections that only receive (curl #6149). This must hold for full and for resumed handshakes.
// It depends on when package tls reads SessionTicketsDisabled.
func TestNoTicketOnUploads(t *testing.T) {
	fsys := fsroot.NewMem()
	for _, reuse := range []dtp.Reuse{dtp.ReusePrefer, dtp.ReuseOff} {
		s := serve(t, fsys, requireTLS, func(o *server.Options) { o.SessionReuse = reuse })
		c := s.connect(t).secure(clientConfig(tls.VersionTLS13)).private("rw")
		for _, fresh := range []bool{false, true} {
			d := c.epsv()
			c.cmd("STOR up", 150)
			seen := &reading{Conn: d}
			cfg := c.cfg
			if fresh {
				cfg = clientConfig(tls.VersionTLS13)
			}
			up := tls.Client(seen, cfg)
			check(t, up.Handshake())
			if want := !fresh && reuse == dtp.ReusePrefer; up.ConnectionState().DidResume != want {
				t.Errorf("%v: resumed is %v, want %v", reuse, !want, want)
			}
			handshake := seen.n
			_, err := up.Write([]byte("content"))
			check(t, err)
			check(t, up.CloseWrite())
			_, err = io.Copy(io.Discard, seen)
			check(t, err)
			c.want(226)
			const closeNotify = 5 + 1 + 2 + 16 // header, type, alert, tag
			if more := seen.n - handshake; more > closeNotify {
				t.Errorf("%v, fresh %v: the server sent %d bytes on an upload, %d are a close_notify", reuse, fresh, more, closeNotify)
			}
		}
		down := c.over("NLST") // here a ticket is fine
		_, err := io.ReadAll(down)
		check(t, err)
		c.want(226)
	}
}
