//go:build unix

package osfile

import (
	"io/fs"
	"os"
	"syscall"
)

func inheritOwner(to *os.File, had, want fs.FileInfo) error {
	now, okNow := had.Sys().(*syscall.Stat_t)
	st, ok := want.Sys().(*syscall.Stat_t)
	if !okNow || !ok || now.Uid == st.Uid && now.Gid == st.Gid {
		return nil
	}
	return to.Chown(int(st.Uid), int(st.Gid))
}
