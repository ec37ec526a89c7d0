// Package osfile does with open files of the host what package os has no calls for: it
// copies their owner, mode and attributes, and locks them.
package osfile

import (
	"io/fs"
	"os"
)

// Inherit gives the file to the owner, the group, the mode, the access control list and
// the extended attributes of from, as far as writing to from itself would have kept them:
// the set-user-ID bit, the set-group-ID bit of a program and file capabilities go, as the
// kernel takes them from a file that is written to. An error says what this process may
// not do, or the filesystem can't.
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

// Lock marks an open file as in use until it is closed. It reports false if it is marked
// already, by any process of this host. On network filesystems, where a mark may be asked
// of a server that does not answer, the error is errors.ErrUnsupported.
func Lock(f *os.File) (bool, error) { return lock(f) }
