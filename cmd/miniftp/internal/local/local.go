// Package local reads and writes the files of this machine that belong to the program, not to a
// transfer: configuration, passwords, certificates, locks and state. Each is read up to a limit and
// replaced in one step.
//
// It stands on verb, for its errors, and must not know what the files say.
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

// StateDir returns the directory in which the programs of this user keep their state.
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

// MaxFile bounds what is read of a file that a person wrote: a configuration, a users
// file, a certificate or a key.
const MaxFile = 4 << 20

// ReadFile reads a file that a person has written, and no more of it than one
// would. What is no regular file is refused: a pipe to which nobody writes would hold
// the program for good, a device may have no end. A byte order mark is left out.
func ReadFile(name string) ([]byte, os.FileMode, error) {
	// Without O_NONBLOCK the open of such a pipe is what waits.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, verb.LocalProblem(name, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
	case fi.IsDir():
		err = errors.New("it is a directory")
	case !fi.Mode().IsRegular():
		err = errors.New("it is a pipe or a device, not a file")
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, MaxFile+1))
	}
	if err == nil && len(text) > MaxFile {
		err = fmt.Errorf("it has more than %d bytes", MaxFile)
	}
	if err != nil {
		return nil, 0, verb.LocalProblem(name, err)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), fi.Mode(), nil
}

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

// MayAppend returns the reason why a log can't be appended to, as far as that can be told without making
// the file.
func MayAppend(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
	switch {
	case err == nil:
		return f.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return verb.LocalProblem(name, err)
	}
	dir := filepath.Dir(name)
	if to, err := os.Readlink(name); err == nil { // a link to a file that is not there yet
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		dir = filepath.Dir(to)
	}
	return mayMake(name, dir)
}

// MayCreate returns the reason why a file can't be made, whose missing directories are made, too.
func MayCreate(name string) error {
	dir := filepath.Dir(name)
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return mayMake(name, dir)
		}
		dir = filepath.Dir(dir)
	}
}

// mayMake returns the reason why the file of that name can't be made in dir.
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
