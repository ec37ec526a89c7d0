package local

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/client"
)

// Authorities reads a file of certificates.
func Authorities(file string) (*x509.CertPool, error) {
	b, _, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, verb.At(file, &client.LocalError{Err: errors.New("there is no certificate (PEM) in it")})
	}
	return pool, nil
}

// KeyPair reads a certificate and its private key.
func KeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, _, err := ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, _, err := ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		what := certFile
		if keyFile != certFile {
			what += " and " + keyFile
		}
		return pair, verb.At(what, &client.LocalError{Err: fmt.Errorf("no certificate with its key: %s", strings.TrimPrefix(err.Error(), "tls: "))})
	}
	return pair, nil
}

// Fingerprint returns the SHA-256 of a certificate, as --pin takes it.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// SavePEM writes a certificate and its key, for this user's eyes only. It is
// renamed into place, so that nobody reads half of it.
func SavePEM(file string, cert tls.Certificate) error {
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	return ReplaceFile(file, b, nil)
}
