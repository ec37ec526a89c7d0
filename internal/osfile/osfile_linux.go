package osfile

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// lostOnWrite holds the attributes that describe the content of a file. The kernel removes them
// when the file is written to.
var lostOnWrite = []string{"security.capability", "security.ima", "security.evm"}

// accessList is the attribute that holds the access control list of a file.
const accessList = "system.posix_acl_access"

// inheritAttributes copies the extended attributes, which include the access control list. If from
// has no such list, it also removes the list that to has got from its directory, because that may
// admit users who could not read from.
func inheritAttributes(to, from *os.File) error {
	return withFD(from, func(from int) error {
		names, err := listAttributes(from)
		if err != nil {
			return err
		}
		return withFD(to, func(to int) error {
			if !slices.Contains(names, accessList) {
				err := unix.Fremovexattr(to, accessList)
				if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENOSYS) {
					return err
				}
			}
			if len(names) == 0 {
				return nil
			}
			return copyAttributes(to, from, names)
		})
	})
}

// maxAttribute is the kernel's limit in bytes for the list of names, and for a value. It is a variable because buffers
// of a constant size would be on the stack, and the stack of each session that replaces a file would grow by them.
var maxAttribute = 64 << 10

func listAttributes(fd int) ([]string, error) {
	var few [1 << 10]byte
	names := few[:]
	n, err := unix.Flistxattr(fd, names)
	if errors.Is(err, unix.ERANGE) {
		names = make([]byte, maxAttribute)
		n, err = unix.Flistxattr(fd, names)
	}
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil, nil
	}
	if err != nil || n == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00"), nil
}

// attribute returns the value of an attribute, in few if it has room for it.
func attribute(fd int, name string, few []byte) ([]byte, error) {
	n, err := unix.Fgetxattr(fd, name, few)
	if errors.Is(err, unix.ERANGE) {
		few = make([]byte, maxAttribute)
		n, err = unix.Fgetxattr(fd, name, few)
	}
	if err != nil {
		return nil, err
	}
	return few[:n], nil
}

func copyAttributes(to, from int, names []string) error {
	var few, fewOld [512]byte
	for _, name := range names {
		if slices.Contains(lostOnWrite, name) {
			continue
		}
		value, err := attribute(from, name, few[:])
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return err
		}
		old, err := attribute(to, name, fewOld[:])
		if err == nil && bytes.Equal(old, value) {
			continue // it may be a label that only the system may set
		}
		if err := unix.Fsetxattr(to, name, value, 0); err != nil {
			return err
		}
	}
	return nil
}

// networkFilesystems holds the types (statfs(2)) of filesystems whose locks another machine manages.
var networkFilesystems = map[uint32]bool{
	0x6969: true, 0x517b: true, 0xff534d42: true, 0xfe534d42: true, // NFS, SMB, CIFS, SMB2
	0x65735546: true, 0x01021997: true, 0x00c36400: true, // FUSE, 9P, Ceph
	0x0bd00bd0: true, 0x5346414f: true, 0x73757245: true, 0x01161970: true, // Lustre, AFS, Coda, GFS2
}

func lock(f *os.File) (bool, error) {
	err := withFD(f, func(fd int) error {
		var st unix.Statfs_t
		if err := unix.Fstatfs(fd, &st); err != nil || networkFilesystems[uint32(st.Type)] {
			return errors.ErrUnsupported
		}
		return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, nil
	}
	return false, errors.ErrUnsupported
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
