package peers

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"testing"
)

func TestCerts(t *testing.T) {
	c, other := NewCerts(t), NewCerts(t)
	server := c.Server.Leaf
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: c.CA, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: c.CA, DNSName: "example.org"}); err == nil {
		t.Error("the certificate is valid for example.org")
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: other.CA}); err == nil {
		t.Error("the certificate is valid with another authority")
	}

	cert, certFile, keyFile := c.Client(t, "somebody")
	if got := cert.Leaf.Subject.CommonName; got != "somebody" {
		t.Errorf("the client is %q", got)
	}
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: c.CA, KeyUsages: usage}); err != nil {
		t.Errorf("client: %v", err)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: c.CA}); err == nil {
		t.Error("a client's certificate is valid for a server")
	}

	for certFile, keyFile := range map[string]string{c.CertFile: c.KeyFile, certFile: keyFile} {
		if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
			t.Error(err)
		}
		if fi, err := os.Stat(keyFile); err != nil || fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read the key: %v, %v", fi, err)
		}
	}
	out, err := exec.Command(Client(t, "openssl"), "verify", "-x509_strict", "-CAfile", c.CAFile, c.CertFile, certFile).CombinedOutput()
	if err != nil {
		t.Errorf("openssl: %v: %s", err, out)
	}
}

// All servers accept an RSA key.
func TestRSACerts(t *testing.T) {
	t.Parallel()
	c := NewRSACerts(t)
	if _, ok := c.Server.PrivateKey.(*rsa.PrivateKey); !ok {
		t.Errorf("the key is a %T", c.Server.PrivateKey)
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			s := Start(t, name, t.TempDir(), Options{TLS: Explicit, Certs: c})
			conn, lines, err := secure(t, s, Options{TLS: Explicit}, &tls.Config{RootCAs: c.CA, ServerName: "127.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			if shown := conn.ConnectionState().PeerCertificates[0]; !shown.Equal(c.Server.Leaf) {
				t.Errorf("the server sends another certificate, of %v", shown.Subject)
			}
			clearData(t, s, conn, lines)
		})
	}
}
