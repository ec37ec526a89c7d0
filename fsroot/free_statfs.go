//go:build linux || darwin

package fsroot

import (
	"math"
	"os"
	"syscall"
)

// freeSpace returns the number of bytes that are available to an unprivileged user.
func freeSpace(f *os.File) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	size := uint64(st.Bsize)
	if size != 0 && st.Bavail > math.MaxInt64/size {
		return math.MaxInt64, nil
	}
	return int64(st.Bavail * size), nil
}
