package local

import (
	"os"
	"path/filepath"

	"miniftp/cmd/miniftp/internal/verb"
)

// ReplaceFile writes a file for this user's eyes only, and renames it into place, so
// that nobody reads half of it and a failure leaves the old one. prepare may change
// who owns it before that; it may be nil.
func ReplaceFile(file string, b []byte, prepare func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".miniftp-*") // 0600
	if err != nil {
		return verb.LocalProblem(file, err)
	}
	_, err = f.Write(b)
	if err == nil && prepare != nil {
		err = prepare(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return verb.LocalProblem(file, err)
	}
	return nil
}
