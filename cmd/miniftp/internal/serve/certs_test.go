package serve

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/client"
)

// shows is the certificate that a client who asks for name is shown.
func shows(t *testing.T, cs *certificates, name string) *x509.Certificate {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() {
		_ = tls.Server(a, &tls.Config{GetCertificate: cs.get, MinVersion: tls.VersionTLS12}).Handshake()
	}()
	c := tls.Client(b, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

// TestCertificatesByName: the name that a client asks for chooses; an unknown one gets
// the first.
func TestCertificatesByName(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem")
	verbtest.CertFile(t, a, "a.example")
	second := verbtest.CertFile(t, b, "b.example")
	key := filepath.Join(dir, "b.key") // and a key of its own file
	der, _ := x509.MarshalPKCS8PrivateKey(second.PrivateKey)
	verbtest.WriteFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	verbtest.WriteFile(t, b, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: second.Certificate[0]})))
	cs, err := loadCertificates([]string{b, a}, []string{key})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "c.example": "b.example", "": "b.example"} {
		if got := shows(t, cs, name).Subject.CommonName; got != want {
			t.Errorf("%s is shown that of %s", name, got)
		}
	}
	for _, files := range [][2][]string{{{a}, {key}}, {{filepath.Join(dir, "none")}, nil}, {{key}, nil}, {{a}, {a, key}}} {
		if _, err := loadCertificates(files[0], files[1]); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v", files, err)
		}
	}
}

// TestCertificatesChange: a renewed certificate is used from then on; one that is broken
// leaves the old one, and is said once.
func TestCertificatesChange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.pem")
	first := verbtest.CertFile(t, file, "h.example")
	var log bytes.Buffer
	cs, err := loadCertificates([]string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cs.log = slog.New(slog.NewTextHandler(&log, nil))
	is := func(want tls.Certificate, when string) {
		t.Helper()
		if got := shows(t, cs, "h.example"); !got.Equal(want.Leaf) {
			t.Errorf("%s: another certificate", when)
		}
	}
	later := func() { cs.looked = time.Now().Add(-2 * lookAgain) }
	is(first, "at first")
	second := verbtest.CertFile(t, file, "h.example")
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)); err != nil { // whatever the clock of the disk
		t.Fatal(err)
	}
	is(first, "before it is time to look")
	later()
	is(second, "renewed")
	verbtest.WriteFile(t, file, "nonsense")
	for range 2 {
		later()
		is(second, "broken")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	later()
	is(second, "gone")
	third := verbtest.CertFile(t, file, "h.example")
	later()
	is(third, "repaired")
	if s := log.String(); strings.Count(s, "certificate read again") != 2 || strings.Count(s, "the old one stays") != 2 {
		t.Errorf("the log says\n%s", s)
	}
}

// TestSelfSigned: the certificate is kept, for its owner's eyes, until it runs out.
func TestSelfSigned(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	kept := func() string {
		t.Helper()
		file, err := selfSigned()
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(filepath.Dir(file)) != state {
			t.Errorf("it is in %s", file)
		}
		fi, err := os.Stat(file)
		if err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", fi.Mode(), err)
		}
		cs, err := loadCertificates([]string{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cs.pairs[0].cert.Leaf
		if leaf.VerifyHostname("127.0.0.1") != nil || leaf.VerifyHostname("localhost") != nil || leaf.PublicKeyAlgorithm != x509.ECDSA {
			t.Errorf("it is for %v", leaf.DNSNames)
		}
		return cs.fingerprint()
	}
	first := kept()
	if again := kept(); again != first || !strings.HasPrefix(first, "sha256:") {
		t.Errorf("%s, then %s", first, again)
	}
	file := filepath.Join(state, "miniftp", "self-signed.pem")
	if err := local.SavePEM(file, verbtest.MakeCert(t, "old", time.Now().Add(-time.Minute), nil)); err != nil {
		t.Fatal(err)
	}
	if again := kept(); again == first {
		t.Error("one that has run out is as it was")
	}
	verbtest.WriteFile(t, file, "nonsense")
	var local *client.LocalError
	if _, err := selfSigned(); !errors.As(err, &local) || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("nonsense: %v", err)
	}
}

// TestClientCertificates: with --tls-client-ca only who has one of that authority comes
// in.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	ca := verbtest.CertFile(t, filepath.Join(dir, "ca.pem"), "authority")
	for name, by := range map[string]*tls.Certificate{"good": &ca, "stranger": nil} {
		if err := local.SavePEM(filepath.Join(dir, name), verbtest.MakeCert(t, name, time.Now().Add(time.Hour), by)); err != nil {
			t.Fatal(err)
		}
	}
	p := serveHere(t, "--tls", "required", "--tls-self-signed", "--tls-client-ca", filepath.Join(dir, "ca.pem"), "--user", "good:pw", "mem://")
	_, addr, ok := strings.Cut(p.Log.String(), "ftpes://")
	addr, _, ok2 := strings.Cut(addr, "/")
	if !ok || !ok2 {
		t.Fatalf("no URL in %s", p.Log.String())
	}
	t.Setenv("MINIFTP_PASSWORD", "pw")
	for _, tt := range []struct {
		flags []string
		exit  int
		says  string
	}{
		{[]string{"--cert", filepath.Join(dir, "good")}, verb.ExitOK, ""},
		{[]string{"--cert", filepath.Join(dir, "stranger")}, verb.ExitTLS, "certificate"},
		{nil, verb.ExitTLS, "show one with --cert and --key"},
	} {
		args := append([]string{"ls", "--retries", "0", "--user", "good", "--ca-cert", filepath.Join(dir, "miniftp", "self-signed.pem")}, tt.flags...)
		if code, out, errs := try(t, append(args, "ftpes://"+addr+"/")...); code != tt.exit || !strings.Contains(errs, tt.says) {
			t.Errorf("%v: exit %d: %s%s", tt.flags, code, out, errs)
		}
	}
}

// TestClientCertificateLogsIn: with --tls-client-user the certificate is the login, of a
// user without a password; its name is no login for others.
func TestClientCertificateLogsIn(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	ca := verbtest.CertFile(t, filepath.Join(dir, "ca.pem"), "authority")
	if err := local.SavePEM(filepath.Join(dir, "cam"), verbtest.MakeCert(t, "cam", time.Now().Add(time.Hour), &ca)); err != nil {
		t.Fatal(err)
	}
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "mem://"
[limits]
failure-delay = "0s"
[tls]
mode = "required"
self-signed = true
client-ca = "ca.pem"
client-user = true
[users.cam]
[users.other]
password = "pw"
`)
	p := serveHere(t, "--config", file)
	_, addr, _ := strings.Cut(p.Log.String(), "ftpes://")
	addr, _, _ = strings.Cut(addr, "/")
	t.Setenv("MINIFTP_PASSWORD", "wrong")
	for user, want := range map[string]int{"cam": 0, "other": verb.ExitLogin} {
		code, out, errs := try(t, "ls", "--retries", "0", "--user", user, "--cert", filepath.Join(dir, "cam"),
			"--ca-cert", filepath.Join(dir, "miniftp", "self-signed.pem"), "ftpes://"+addr+"/")
		if code != want {
			t.Errorf("%s: exit %d: %s%s", user, code, out, errs)
		}
	}
}

// TestCertificateOutOfTime: a certificate that clients will refuse is a warning, at the start
// and of config check.
func TestCertificateOutOfTime(t *testing.T) {
	dir := t.TempDir()
	expired := verbtest.MakeCert(t, "old", time.Now().Add(-time.Minute), nil)
	early := *expired.Leaf
	early.NotBefore, early.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	if got := outOfTime(&early, time.Now()); !strings.Contains(got, "not valid before") {
		t.Errorf("early: %q", got)
	}
	if got := outOfTime(verbtest.MakeCert(t, "new", time.Now().Add(time.Hour), nil).Leaf, time.Now()); got != "" {
		t.Errorf("valid: %q", got)
	}
	file := filepath.Join(dir, "old.pem")
	if err := local.SavePEM(file, expired); err != nil {
		t.Fatal(err)
	}
	name := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "[tls]\ncert = \"old.pem\"\n")
	if code, _, errs := try(t, "config", "check", name); code != verb.ExitOK || strings.Count(errs, "old.pem: the certificate expired on ") != 1 || strings.Count(errs, "expired") != 1 {
		t.Errorf("config check: exit %d: %s", code, errs)
	}
	if filepath.Separator == '/' {
		p := verbtest.StartServer(t, dir, "--tls-cert", file)
		if text := "old.pem: the certificate expired on "; !strings.Contains(strings.Join(p.Read, "\n"), text) {
			p.Await(text) // the log may come after the address
		}
	}
}
