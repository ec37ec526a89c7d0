//go:build unix

package local

import (
	"os"

	"golang.org/x/sys/unix"
)

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
