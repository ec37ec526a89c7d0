package acmecert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
)

// unsafeRune matches what is replaced in the name of a directory.
var unsafeRune = regexp.MustCompile(`[^A-Za-z0-9.-]`)

// home returns the directory of this authority. Each has its own, so that a change from a test authority to the real one
// does not keep the certificates of the first.
func (c *Config) home() string {
	_, name, _ := strings.Cut(c.Directory, "://")
	name = unsafeRune.ReplaceAllString(name, "_")
	return filepath.Join(c.Dir, "a-"+name[:min(len(name), 100)]) // never "." or ".."
}

// file returns the file of the certificate for a name, with its chain and key.
func (c *Config) file(name string) string { return filepath.Join(c.home(), name+".pem") }

// Files returns the files that hold keys, whether they exist or not, for the given names.
func (c *Config) Files(names []string) []string {
	all := []string{c.accountFile()}
	for _, name := range names {
		all = append(all, c.file(name))
	}
	return all
}

func (c *Config) accountFile() string { return filepath.Join(c.home(), "account.key") }

// load reads the stored certificate for a name. It returns nil if none is stored.
func (m *Manager) load(name string) (*tls.Certificate, error) {
	cert, err := local.KeyPair(m.file(name), m.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = verb.At(m.file(name), check(&cert, name))
	}
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// save keeps a certificate.
func (m *Manager) save(name string, cert *tls.Certificate) error {
	var text bytes.Buffer
	for _, der := range cert.Certificate {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	return m.write(m.file(name), cert.PrivateKey, text.Bytes())
}

// write writes a private key and more text to a file that only this user can read.
func (m *Manager) write(file string, key any, text []byte) error {
	if err := os.MkdirAll(m.home(), 0o700); err != nil {
		return verb.LocalProblem(m.home(), err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return local.ReplaceFile(file, append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil)
}

// accountKey returns the key of the account. It creates the key on first use.
func (m *Manager) accountKey() (crypto.Signer, error) {
	file := m.accountFile()
	text, _, err := local.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return key, m.write(file, key, nil)
	}
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
	}
	return nil, fmt.Errorf("%s: not a private key: remove the file to have a new account made", file)
}
