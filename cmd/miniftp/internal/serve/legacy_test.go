package serve

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTLSLegacy: old devices that support only the RSA key exchange and CBC can connect only with
// --tls-legacy. Broken ciphers (RC4, 3DES) are not offered even then.
func TestTLSLegacy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rsa.pem")
	rsaCertificate(t, file)
	for _, legacy := range []bool{false, true} {
		args := []string{"--listen", ":0", "--tls-cert", file}
		if legacy {
			args = append(args, "--tls-legacy")
		}
		roots := newRoots(t.Context())
		defer roots.end()
		cf := parsed(t, args...)
		opts, _ := cf.prepare(roots)
		for _, err := range cf.Problems {
			t.Fatal(err)
		}
		for suite, works := range map[uint16]bool{
			tls.TLS_RSA_WITH_AES_128_CBC_SHA: legacy, tls.TLS_RSA_WITH_AES_256_GCM_SHA384: legacy, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: legacy,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: true, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA: false, tls.TLS_RSA_WITH_RC4_128_SHA: false,
		} {
			here, there := net.Pipe()
			server := tls.Server(there, opts.TLS)
			go func() { _ = server.HandshakeContext(t.Context()); _ = there.Close() }()
			device := tls.Client(here, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
			err := device.HandshakeContext(t.Context())
			_ = here.Close()
			if (err == nil) != works {
				t.Errorf("with --tls-legacy=%v, a handshake with %s: %v", legacy, tls.CipherSuiteName(suite), err)
			}
		}
	}
	for _, id := range legacySuites() {
		if name := tls.CipherSuiteName(id); strings.Contains(name, "RC4") || strings.Contains(name, "3DES") {
			t.Errorf("%s is offered", name)
		}
	}
}

// rsaCertificate writes a certificate with an RSA key, and the key, to file.
func rsaCertificate(t *testing.T, file string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
