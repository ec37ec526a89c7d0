// Package local reads and writes the files of this machine that belong to the program, not to a
// transfer: configuration, passwords, certificates, locks and state. Each is read up to a limit and
// replaced in one step.
//
// It uses package verb for its errors, and must not depend on what the files mean.
package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"miniftp/cmd/miniftp/internal/verb"
)

// StateDir returns the directory for state that the program keeps between runs.
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

// Geteuid returns the effective user ID, or -1 on systems without one. Tests replace it.
var Geteuid = os.Geteuid

// MaxFile is the maximum size of a file that ReadFile accepts.
const MaxFile = 4 << 20

// ReadFile reads a file that a person has written: a configuration, a users file, a certificate or a key.
// It refuses files larger than MaxFile, and files that are not regular: reading a pipe to which nobody
// writes would block forever, and a device may be endless. A byte order mark is removed.
func ReadFile(name string) ([]byte, os.FileMode, error) {
	// Without O_NONBLOCK, opening such a pipe would block.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, verb.LocalProblem(name, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
	case fi.IsDir():
		err = errors.New("is a directory")
	case !fi.Mode().IsRegular():
		err = errors.New("not a regular file but a pipe or a device")
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, MaxFile+1))
	}
	if err == nil && len(text) > MaxFile {
		err = fmt.Errorf("the file is larger than %d bytes", MaxFile)
	}
	if err != nil {
		return nil, 0, verb.LocalProblem(name, err)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), fi.Mode(), nil
}

// ReplaceFile writes a file that only this user can read. It writes to a temporary file and renames that,
// so that nobody reads half of the file, and a failure leaves the old one unchanged. If prepare is not
// nil, it is called before the rename, for example to change the owner.
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

// MayAppend returns the error that opening a log for appending would give, as far as that can be found
// without creating the file.
func MayAppend(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
	switch {
	case err == nil:
		return f.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return verb.LocalProblem(name, err)
	}
	dir := filepath.Dir(name)
	if to, err := os.Readlink(name); err == nil { // a link to a file that does not exist yet
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		dir = filepath.Dir(to)
	}
	return mayMake(name, dir)
}

// MayCreate returns the error that creating a file and its missing directories would give.
func MayCreate(name string) error {
	dir := filepath.Dir(name)
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return mayMake(name, dir)
		}
		dir = filepath.Dir(dir)
	}
}

// mayMake returns an error that names the file if no file can be created in dir.
func mayMake(name, dir string) error {
	fi, err := os.Stat(dir)
	if err == nil && !fi.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = mayWrite(dir)
	}
	if err != nil {
		return verb.LocalProblem(name, err)
	}
	return nil
}
