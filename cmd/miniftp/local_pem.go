package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"miniftp/ftp/client"
)

// authorities reads a file of certificates.
func authorities(file string) (*x509.CertPool, error) {
	b, _, err := readLimited(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, at(file, &client.LocalError{Err: errors.New("there is no certificate (PEM) in it")})
	}
	return pool, nil
}

// keyPair reads a certificate and its private key.
func keyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, _, err := readLimited(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, _, err := readLimited(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		what := certFile
		if keyFile != certFile {
			what += " and " + keyFile
		}
		return pair, at(what, &client.LocalError{Err: fmt.Errorf("no certificate with its key: %s", strings.TrimPrefix(err.Error(), "tls: "))})
	}
	return pair, nil
}

// fingerprint names a certificate.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}
