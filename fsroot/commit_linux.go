package fsroot

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// renameExclusive is errors.ErrUnsupported where the kernel or the filesystem has no
// such rename, as NFS.
func (r *Root) renameExclusive(from, to string) error {
	dirs, err := r.parents(from, to)
	if err != nil {
		return err
	}
	defer closeAll(dirs)
	err = withFD(dirs[0], func(fromDir int) error {
		return withFD(dirs[len(dirs)-1], func(toDir int) error {
			return unix.Renameat2(fromDir, path.Base(from), toDir, path.Base(to), unix.RENAME_NOREPLACE)
		})
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}

// withFD calls f with the descriptor. Unlike File.Fd it leaves the file as it is.
func withFD(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if controlErr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); controlErr != nil {
		return controlErr
	}
	return err
}
