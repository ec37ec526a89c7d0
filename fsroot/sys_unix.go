//go:build unix

package fsroot

import (
	"io/fs"
	"syscall"
)

// openFlags holds the flags that keep the open of a FIFO from blocking, and a terminal
// from becoming the controlling terminal. They have no effect on files and directories.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

func sysOf(fi fs.FileInfo) (Sys, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return Sys{}, false
	}
	return Sys{UID: st.Uid, GID: st.Gid, Links: uint64(st.Nlink), Dev: uint64(st.Dev), Ino: st.Ino}, true
}
