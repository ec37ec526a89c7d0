package local

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// KeepOwner does nothing, because new files inherit their access rights from the directory.
func KeepOwner(*os.File, fs.FileInfo) error { return nil }

// mayWrite returns nil, because only creating a file would show whether it is allowed.
func mayWrite(string) error { return nil }

// tryLock locks FILE.lock, because the file itself is replaced. It returns errLocked if another process
// holds the lock.
func tryLock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		err = errLocked
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// ClosedAtStart returns false: on Windows, reading from a closed standard file is an error anyway.
func ClosedAtStart(*os.File) bool { return false }
