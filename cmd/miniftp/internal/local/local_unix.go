//go:build unix

package local

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// KeepOwner gives a file the owner of the one that it replaces, as far as this user
// can; the group of that one may go on reading it if it could.
func KeepOwner(f *os.File, old fs.FileInfo) error {
	st, ok := old.Sys().(*syscall.Stat_t)
	if !ok || f.Chown(int(st.Uid), int(st.Gid)) != nil {
		return nil
	}
	return f.Chmod(0o600 | old.Mode().Perm()&0o040)
}

// mayWrite is why no file can be made in a directory.
func mayWrite(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
