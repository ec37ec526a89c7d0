package verbtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/local"
)

// MakeCert is a certificate for a name, signed by parent or, without one, itself.
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

// CertFile writes a new certificate for a name, with its key.
func CertFile(t *testing.T, file, name string) tls.Certificate {
	t.Helper()
	cert := MakeCert(t, name, time.Now().Add(time.Hour), nil)
	if err := local.SavePEM(file, cert); err != nil {
		t.Fatal(err)
	}
	return cert
}
