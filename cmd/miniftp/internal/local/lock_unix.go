//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tryLock locks the directory of a file, as the file itself is replaced. It returns
// errLocked if another process holds the lock. Where a file system knows no locks, or
// the directory may not be read, nothing is locked.
func tryLock(file string) (unlock func(), err error) {
	d, err := os.Open(filepath.Dir(file))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return func() {}, nil
	case err != nil:
		return nil, err
	}
	err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		_ = d.Close()
		return nil, errLocked
	case err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.ENOSYS):
		_ = d.Close()
		return nil, err
	}
	return func() { _ = d.Close() }, nil
}
