//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// KeepOwner gives f the owner and group of the file that it replaces, if this user may do that. In that
// case, the group can read f if it could read the old file.
func KeepOwner(f *os.File, old fs.FileInfo) error {
	st, ok := old.Sys().(*syscall.Stat_t)
	if !ok || f.Chown(int(st.Uid), int(st.Gid)) != nil {
		return nil
	}
	return f.Chmod(0o600 | old.Mode().Perm()&0o040)
}

// mayWrite returns an error if no file can be created in dir.
func mayWrite(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// tryLock locks the directory of a file, because the file itself is replaced. It returns errLocked if
// another process holds the lock. If the file system does not support locks, or the directory is not
// readable, it succeeds without a lock.
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

// ClosedAtStart reports whether f, one of the standard files, was closed when the program
// started. The Go runtime opens /dev/null for reading and writing in its place (checkfds in
// package runtime), whereas a shell's </dev/null is for reading only.
func ClosedAtStart(f *os.File) bool {
	is, err := f.Stat()
	if err != nil {
		return false
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(is, null) {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}
