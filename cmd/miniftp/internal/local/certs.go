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

// Authorities reads a file of certificates of authorities.
func Authorities(file string) (*x509.CertPool, error) {
	b, _, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, verb.At(file, &client.LocalError{Err: errors.New("the file holds no certificate in PEM format")})
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
		return pair, verb.At(what, &client.LocalError{Err: fmt.Errorf("not a certificate with its private key: %s", strings.TrimPrefix(err.Error(), "tls: "))})
	}
	return pair, nil
}

// Fingerprint returns the SHA-256 of a certificate in the form that --pin accepts.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// SavePEM writes a certificate and its key to a file that only this user can read. Like ReplaceFile, it
// renames the file into place.
func SavePEM(file string, cert tls.Certificate) error {
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	return ReplaceFile(file, b, nil)
}
