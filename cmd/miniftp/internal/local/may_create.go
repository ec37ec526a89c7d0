package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"miniftp/cmd/miniftp/internal/verb"
)

// MayAppend is why a log can't be appended to, as far as that can be told without
// making the file.
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

// MayCreate is why a file, whose directories are made where they are missing, can't be
// made.
func MayCreate(name string) error {
	dir := filepath.Dir(name)
	for {
		fi, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
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
}
