// Package local reads and writes the files of this machine that belong to the program, not to a
// transfer: configuration, passwords, certificates, locks and state. Each is read up to a limit and
// replaced in one step.
//
// It stands on verb, for its errors, and must not know what the files say.
package local

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
)

// StateDir is where this user's programs keep what they made themselves.
func StateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "miniftp"), nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		dir, err := os.UserConfigDir()
		return filepath.Join(dir, "miniftp"), err
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "miniftp"), err
}

// Geteuid is the user that the process runs as; -1 where there is no such number.
var Geteuid = os.Geteuid

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
