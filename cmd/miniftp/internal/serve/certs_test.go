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

// certificateFor returns the certificate that a client gets if it asks for name.
func certificateFor(t *testing.T, cs *certificates, name string) *x509.Certificate {
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

// TestCertificatesByName: the name that a client asks for selects the certificate. An unknown name gets
// the first one.
func TestCertificatesByName(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem")
	verbtest.CertFile(t, a, "a.example")
	second := verbtest.CertFile(t, b, "b.example")
	key := filepath.Join(dir, "b.key") // the key in a file of its own
	der, _ := x509.MarshalPKCS8PrivateKey(second.PrivateKey)
	verbtest.WriteFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	verbtest.WriteFile(t, b, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: second.Certificate[0]})))
	cs, err := loadCertificates([]string{b, a}, []string{key})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "c.example": "b.example", "": "b.example"} {
		if got := certificateFor(t, cs, name).Subject.CommonName; got != want {
			t.Errorf("a client that asks for %q gets the certificate of %s, want that of %s", name, got, want)
		}
	}
	for _, files := range [][2][]string{{{a}, {key}}, {{filepath.Join(dir, "none")}, nil}, {{key}, nil}, {{a}, {a, key}}} {
		if _, err := loadCertificates(files[0], files[1]); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v", files, err)
		}
	}
}

// TestCertificatesChange: a renewed certificate is used without a restart. If the new file is broken, the
// old certificate stays in use, and that is logged once.
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
		if got := certificateFor(t, cs, "h.example"); !got.Equal(want.Leaf) {
			t.Errorf("%s: wrong certificate", when)
		}
	}
	later := func() { cs.looked = time.Now().Add(-2 * lookAgain) }
	is(first, "at first")
	second := verbtest.CertFile(t, file, "h.example")
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)); err != nil { // a change that any filesystem shows
		t.Fatal(err)
	}
	is(first, "before the next check")
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
	if s := log.String(); strings.Count(s, "certificate reloaded") != 2 || strings.Count(s, "the old one stays") != 2 {
		t.Errorf("the log says\n%s", s)
	}
}

// TestSelfSigned: the self-signed certificate is kept with mode 0600 and used until it expires.
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
			t.Errorf("the certificate is in %s, want it below %s", file, state)
		}
		fi, err := os.Stat(file)
		if err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("the file has mode %v (%v), want 0600", fi.Mode(), err)
		}
		cs, err := loadCertificates([]string{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cs.pairs[0].cert.Leaf
		if leaf.VerifyHostname("127.0.0.1") != nil || leaf.VerifyHostname("localhost") != nil || leaf.PublicKeyAlgorithm != x509.ECDSA {
			t.Errorf("the certificate is for %v, with a key of type %v", leaf.DNSNames, leaf.PublicKeyAlgorithm)
		}
		return cs.fingerprint()
	}
	first := kept()
	if again := kept(); again != first || !strings.HasPrefix(first, "sha256:") {
		t.Errorf("the fingerprint is %s, then %s", first, again)
	}
	file := filepath.Join(state, "miniftp", "self-signed.pem")
	if err := local.SavePEM(file, verbtest.MakeCert(t, "old", time.Now().Add(-time.Minute), nil)); err != nil {
		t.Fatal(err)
	}
	if again := kept(); again == first {
		t.Error("the expired certificate was not replaced")
	}
	verbtest.WriteFile(t, file, "nonsense")
	var local *client.LocalError
	if _, err := selfSigned(); !errors.As(err, &local) || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a broken file: %v", err)
	}
}

// TestClientCertificates: with --tls-client-ca, only clients with a certificate of that authority are
// admitted.
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
		{nil, verb.ExitTLS, "give one with --cert and --key"},
	} {
		args := append([]string{"ls", "--retries", "0", "--user", "good", "--ca-cert", filepath.Join(dir, "miniftp", "self-signed.pem")}, tt.flags...)
		if code, out, errs := try(t, append(args, "ftpes://"+addr+"/")...); code != tt.exit || !strings.Contains(errs, tt.says) {
			t.Errorf("%v: exit %d: %s%s", tt.flags, code, out, errs)
		}
	}
}

// TestClientCertificateLogsIn: with --tls-client-user, a certificate logs in the user whose name it has,
// and no other user.
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

// TestCertificateOutOfTime: serve and config check warn of a certificate that clients will refuse
// because of its dates.
func TestCertificateOutOfTime(t *testing.T) {
	dir := t.TempDir()
	expired := verbtest.MakeCert(t, "old", time.Now().Add(-time.Minute), nil)
	later := *expired.Leaf
	later.NotBefore, later.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	if got := early(&later, time.Now()); !strings.Contains(got, "not valid before") {
		t.Errorf("not yet valid: %q", got)
	}
	if got := early(expired.Leaf, time.Now()); got != "" {
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
			p.Await(text) // the log line may follow that with the address
		}
	}
}
