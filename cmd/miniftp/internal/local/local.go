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
