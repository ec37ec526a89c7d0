package acmecert

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/acme"
)

// certificate returns a certificate for a name that is valid from and until these times from now.
func certificate(t *testing.T, name string, from, until time.Duration) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// manager returns a Manager whose authority refuses connections, and its log.
func manager(t *testing.T) (*Manager, *bytes.Buffer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	var log bytes.Buffer
	c := Config{Directory: "https://" + l.Addr().String() + "/dir", Dir: t.TempDir(), HTTP: true}
	return New(c, slog.New(slog.NewTextHandler(&log, nil)), func() {}), &log
}

const day = 24 * time.Hour

// TestKept: certificates that were kept are used, also expired ones. Those that can't be used are ignored, and that is
// logged. Each is renewed in time.
func TestKept(t *testing.T) {
	m, log := manager(t)
	for name, cert := range map[string]*tls.Certificate{
		"new.example": certificate(t, "new.example", -day, 89*day), "short.example": certificate(t, "short.example", -5*day, day),
		"expired.example": certificate(t, "expired.example", -90*day, -day), "other.example": certificate(t, "not.example", -day, day),
	} {
		if err := m.save(name, cert); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(m.file("broken.example"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"new.example", "short.example", "expired.example", "other.example", "broken.example", "none.example"}
	m.Use(names, false)
	for _, name := range names {
		if got, want := m.Get(name) != nil, strings.Contains("new.example short.example expired.example", name); got != want {
			t.Errorf("%s: there is a certificate: %v", name, got)
		}
	}
	if n := strings.Count(log.String(), "can't be used, so a new one is requested"); n != 2 {
		t.Errorf("%d lines in %s", n, log)
	}
	now := time.Now()
	if left := m.hosts[0].due.Sub(now); left < 55*day || left > 59*day {
		t.Errorf("90 days: renewed in %v", left)
	}
	if !m.hosts[1].due.Before(now) || !m.hosts[2].due.Before(now) {
		t.Error("what ends soon is not renewed")
	}
	if m.Use(names[:1], true); !m.hosts[0].due.After(now) || m.Get("short.example") != nil {
		t.Error("a reload changed the first host, or kept the second")
	}
	m.Use(nil, true)
	if m.Use(names[:1], true); m.hosts[0].due.After(now) {
		t.Error("a key of the wrong kind is not replaced")
	}
}

// TestFailures: after each failure the next attempt is later, at most four in an hour, and never more than some hours
// later, or as late as the authority says.
func TestFailures(t *testing.T) {
	m, log := manager(t)
	m.Use([]string{"a.example"}, false)
	h := m.hosts[0]
	var passed time.Duration
	inHour := 0
	for range 50 {
		if passed < time.Hour {
			inHour++
		}
		m.failed(h, errors.New("x"))
		wait := time.Until(h.due)
		if wait < firstWait-time.Second || wait > lastWait*11/10 {
			t.Errorf("waits %v", wait)
		}
		passed += wait
	}
	if inHour > 4 || passed < 40*lastWait {
		t.Errorf("%d attempts in the first hour, 50 in %v", inHour, passed)
	}
	m.failed(h, &acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Detail: "too\nmany", Header: map[string][]string{"Retry-After": {"50000"}}})
	if wait := time.Until(h.due); wait < 49999*time.Second {
		t.Errorf("waits %v, but the authority says 50000 s", wait)
	}
	if !strings.Contains(log.String(), `err="too many"`) || m.States()[0].Problem != "too many" {
		t.Error(log.String())
	}
	m.succeeded(h, certificate(t, "a.example", 0, time.Minute))
	if wait := time.Until(h.due); h.failures != 0 || wait < 59*time.Minute {
		t.Errorf("a certificate that is valid for a minute is renewed in %v", wait)
	}
}

// TestSaid: errors say what the authority says, on one line and not at any length.
func TestSaid(t *testing.T) {
	detail := &acme.Error{StatusCode: 403, ProblemType: "urn:x", Detail: "Fetching http://h/: \x1b[2J\n refused"}
	for err, want := range map[error]string{
		&challengeError{http01, &acme.AuthorizationError{Errors: []error{detail}}}: "http-01: Fetching http://h/: ?[2J refused",
		&challengeError{alpn01, errors.New("not offered")}:                         "tls-alpn-01: tls-alpn-01: not offered",
		&acme.OrderError{Status: "invalid", Problem: detail}:                       "Fetching http://h/: ?[2J refused",
		&acme.Error{ProblemType: "urn:y"}:                                          "urn:y",
		errSlow:                                                                    "the authority did not finish within 5m0s",
	} {
		if got := said(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if n := len(said(errors.New(strings.Repeat("é", 5000)))); n > maxSaid+10 {
		t.Errorf("%d bytes", n)
	}
}

// TestRun: Run asks for the certificates of all hosts, once, and ends with its context, also during a request.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, silent := range []bool{false, true} {
		m, _ := manager(t)
		if silent {
			m.Directory = "https://" + l.Addr().String() + "/dir"
		}
		m.Use([]string{"a.example", "b.example"}, false)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); m.Run(ctx) }()
		if silent {
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		} else {
			for limit := time.Now().Add(20 * time.Second); m.States()[0].Problem == "" || m.States()[1].Problem == ""; time.Sleep(time.Millisecond) {
				if time.Now().After(limit) {
					t.Fatal("nothing was tried")
				}
			}
		}
		cancel()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("Run does not end")
		}
		for _, s := range m.States() {
			if silent && s.Problem != "" {
				t.Errorf("the end counts as a failure: %s", s.Problem)
			}
		}
	}
}

// TestDirectories: each authority has a directory of its own, below the given one, whatever its URL is.
func TestDirectories(t *testing.T) {
	seen := map[string]bool{}
	for _, url := range []string{DefaultDirectory, "https://acme-staging-v02.api.letsencrypt.org/directory", "https://../..", "https://..", "https://127.0.0.1:1/a", "https://127.0.0.1:1/" + strings.Repeat("x", 5000)} {
		c := Config{Directory: url, Dir: "/state"}
		for _, file := range c.Files([]string{"h.example"}) {
			if dir := filepath.Dir(file); filepath.Dir(dir) != filepath.Clean("/state") || len(dir) > 200 || seen[file] {
				t.Errorf("%s: %s", url, file)
			}
			seen[file] = true
		}
	}
}

// TestALPNEnds: the listener for TLS-ALPN-01 serves no more than its limit at once, and its end closes what is open.
func TestALPNEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	m, _ := manager(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(ended); m.ServeALPN(ctx, l) }()
	for range 2 * maxConns {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(handshakeTime / 2):
		t.Fatal("it does not end before the connections do")
	}
}
