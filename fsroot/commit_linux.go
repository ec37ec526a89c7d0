package fsroot

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// renameExclusive renames from to to, which must not exist. It returns errors.ErrUnsupported if
// the kernel or the filesystem, such as NFS, has no such rename.
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

// withFD calls f with the descriptor of file. Unlike File.Fd, it does not make the file blocking.
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
