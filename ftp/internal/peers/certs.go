package peers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certs holds a certificate authority for one test, and a server certificate that
// it signed for localhost, 127.0.0.1 and ::1. All keys are ECDSA on P-256, except the
// server's of NewRSACerts. The files are PEM, and are removed when the test ends.
type Certs struct {
	CA     *x509.CertPool // contains only the authority
	CAFile string

	Server   tls.Certificate
	CertFile string // of Server
	KeyFile  string // of Server, PKCS #8

	authority *x509.Certificate
	key       *ecdsa.PrivateKey
}

// NewCerts creates an authority and a server certificate. Each call creates another
// authority.
func NewCerts(tb testing.TB) *Certs {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("peers: a key: %v", err)
	}
	return certsFor(tb, key)
}

// NewRSACerts is like NewCerts, but the server's key is RSA with 2048 bits.
func NewRSACerts(tb testing.TB) *Certs {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatalf("peers: a key: %v", err)
	}
	return certsFor(tb, key)
}

// certsFor creates an authority and a certificate for a server's key.
func certsFor(tb testing.TB, key crypto.Signer) *Certs {
	tb.Helper()
	dir := tb.TempDir()
	c := &Certs{CA: x509.NewCertPool(), CAFile: filepath.Join(dir, "ca.pem")}
	if err := c.createAuthority(); err != nil {
		tb.Fatalf("peers: the test's certificate authority: %v", err)
	}
	var err error
	c.Server, c.CertFile, c.KeyFile, err = c.issue(dir, key, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost"},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		tb.Fatalf("peers: a server certificate: %v", err)
	}
	return c
}

// Client creates a client certificate with that common name, signed by the same
// authority, and writes it and its key to files.
func (c *Certs) Client(tb testing.TB, commonName string) (cert tls.Certificate, certFile, keyFile string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("peers: a key: %v", err)
	}
	cert, certFile, keyFile, err = c.issue(tb.TempDir(), key, &x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		tb.Fatalf("peers: a client certificate: %v", err)
	}
	return cert, certFile, keyFile
}

// createAuthority creates the authority and writes its file.
func (c *Certs) createAuthority() (err error) {
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "authority of a test"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if err := date(template); err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err != nil {
		return err
	}
	if c.authority, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	c.CA.AddCert(c.authority)
	return writePEM(c.CAFile, "CERTIFICATE", der)
}

// issue creates a certificate for a key and writes both to dir.
func (c *Certs) issue(dir string, key crypto.Signer, template *x509.Certificate) (cert tls.Certificate, certFile, keyFile string, err error) {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	if err = date(template); err != nil {
		return cert, "", "", err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.authority, key.Public(), c.key)
	if err != nil {
		return cert, "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return cert, "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(writePEM(certFile, "CERTIFICATE", der), writePEM(keyFile, "PRIVATE KEY", pkcs8))
	if err != nil {
		return cert, "", "", err
	}
	cert, err = tls.LoadX509KeyPair(certFile, keyFile)
	return cert, certFile, keyFile, err
}

// date sets the serial number of a certificate, and a validity of a day from now on.
func date(c *x509.Certificate) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("a serial number: %w", err)
	}
	c.SerialNumber = serial
	c.NotBefore = time.Now().Add(-time.Hour)
	c.NotAfter = time.Now().Add(24 * time.Hour)
	return nil
}

// writePEM writes a PEM file with mode 0600, which servers require for keys.
func writePEM(name, kind string, der []byte) error {
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
