// Package osfile has operations on open files that package os lacks: it copies owner, mode and
// attributes, and locks files.
package osfile

import (
	"io/fs"
	"os"
)

// Inherit copies the owner, the group, the mode, the access control list and the extended
// attributes of from to to. It omits what the kernel removes from a file that is written to: the
// set-user-ID bit, the set-group-ID bit of a program, and file capabilities. It returns an error
// if this process may not set one of them, or if the filesystem does not support it.
func Inherit(to, from *os.File) error {
	fi, err := from.Stat()
	if err != nil {
		return err
	}
	had, err := to.Stat()
	if err != nil {
		return err
	}
	if err := inheritOwner(to, had, fi); err != nil {
		return err
	}
	if err := inheritAttributes(to, from); err != nil {
		return err
	}
	mode := fi.Mode() & (fs.ModePerm | fs.ModeSticky | fs.ModeSetgid)
	if mode&0o010 != 0 {
		mode &^= fs.ModeSetgid
	}
	if had.Mode()&(fs.ModePerm|fs.ModeSticky|fs.ModeSetgid|fs.ModeSetuid) != mode {
		err = to.Chmod(mode)
	}
	return err
}

// Lock locks an open file until it is closed. It returns false if the file is already locked, by
// this or another process of the host. On network filesystems the error is errors.ErrUnsupported,
// because a lock could wait for a server that does not respond.
func Lock(f *os.File) (bool, error) { return lock(f) }
