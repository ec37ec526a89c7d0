// Package verbtest helps to test the verbs: it runs a verb in this process or the whole program in
// another one, with servers that are well-behaved, hostile or faulty.
//
// It must not depend on any verb: the tests of a verb pass it.
package verbtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/ftptest"
)

// Runner returns Run with the given verbs.
func Runner(verbs []verb.Verb) func(t *testing.T, args ...string) (code int, out, errs string) {
	return func(t *testing.T, args ...string) (code int, out, errs string) {
		t.Helper()
		return Run(t, verbs, args...)
	}
}

// Run runs the program with the given verbs in this process. It does not wait before retries.
func Run(t *testing.T, verbs []verb.Verb, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = flags.RunWith(t.Context(), verbs, append([]string{"miniftp"}, args...), verb.Stdio{In: strings.NewReader("from stdin"), Out: &o, Err: &e},
		func(int) time.Duration { return 0 })
	return code, o.String(), e.String()
}

// Pattern returns n bytes whose values depend on their position.
func Pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i / 251)
	}
	return b
}

// WithFile returns a server with the file /a.bin.
func WithFile(t *testing.T, data []byte, options ...ftptest.Option) *ftptest.Server {
	t.Helper()
	files := afero.NewMemMapFs()
	if err := afero.WriteFile(files, "/a.bin", data, 0o644); err != nil {
		t.Fatal(err)
	}
	return ftptest.NewServer(t, files, options...)
}

// ReadFile returns the content of a file of a test server.
func ReadFile(t *testing.T, fsys afero.Fs, name string) []byte {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// WriteFile writes a file that only its owner may read, and returns its name.
func WriteFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Forest makes a tree of n files, three levels deep, and returns their contents by name.
func Forest(t *testing.T, fsys afero.Fs, root string, n int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("d%d/e%d/f%d", i%3, i%5, i)
		all[name] = strings.Repeat(name, i)
		if err := fsys.MkdirAll(filepath.Dir(root+"/"+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := afero.WriteFile(fsys, root+"/"+name, []byte(all[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// HoldsAll fails the test unless the files of want exist below root with their contents.
func HoldsAll(t *testing.T, fsys afero.Fs, root string, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if b, err := afero.ReadFile(fsys, root+"/"+name); err != nil || string(b) != text {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

// Logins returns how many logins a server has had.
func Logins(s *ftptest.Server) (n int) {
	for _, e := range s.Events() {
		if _, ok := e.What.(ftp.LoggedInAs); ok {
			n++
		}
	}
	return n
}

// AwaitLeft waits until all sessions have ended at the server too, which may be a moment after the client
// has gone: a server that admits one session would refuse the next one until then.
func AwaitLeft(t *testing.T, s *ftptest.Server) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		open := 0
		for _, e := range s.Events() {
			switch e.What.(type) {
			case ftp.ControlOpened:
				open++
			case ftp.ControlClosed:
				open--
			}
		}
		if open == 0 {
			return
		}
	}
	t.Error("sessions do not end at the server")
}

// MakeCert returns a certificate for a name, signed by parent or, if that is nil, by itself.
func MakeCert(t *testing.T, name string, until time.Time, parent *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: parent == nil, BasicConstraintsValid: true,
	}
	by, sign := c, any(key)
	if parent != nil {
		by, sign = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, key.Public(), sign)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// CertFile writes a new certificate for a name, and its key, to a file.
func CertFile(t *testing.T, file, name string) tls.Certificate {
	t.Helper()
	cert := MakeCert(t, name, time.Now().Add(time.Hour), nil)
	if err := local.SavePEM(file, cert); err != nil {
		t.Fatal(err)
	}
	return cert
}
