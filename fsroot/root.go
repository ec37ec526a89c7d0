package fsroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Root is a directory of the host as an afero.Fs. No path leads out of it. Root works
// through os.Root, which checks every step of a path in the operation itself, so
// replacing a directory by a symlink at the right moment does not help an attacker.
//
// Symlinks work if their target is inside the directory, also if it is an absolute path.
// Every method refuses a symlink that leads out with fs.ErrPermission. Errors are
// *fs.PathError with the virtual path. Opened files are *os.File, so that sendfile and
// splice work with them.
//
// A Root is safe for concurrent use.
type Root struct {
	root     *os.Root
	prefixes []string // the host paths of this directory, without a slash at the end
	escape   error    // the error of os.Root for a path that leads out
	upward   bool     // see WithUpwardLinks
}

var (
	_ afero.Fs        = (*Root)(nil)
	_ afero.Symlinker = (*Root)(nil)
)

// errSpecial is returned for FIFOs, sockets and devices. Opening one may block or have
// side effects.
var errSpecial = &specialError{}

type specialError struct{}

func (*specialError) Error() string        { return "neither a regular file nor a directory" }
func (*specialError) Is(target error) bool { return target == fs.ErrInvalid }

// OpenRoot opens the directory dir. Symlinks in dir itself are followed.
func OpenRoot(dir string) (*Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// The separator at the end makes the open of a FIFO fail at once.
	root, err := os.OpenRoot(trimSeparator(abs) + string(filepath.Separator))
	if err != nil {
		return nil, err
	}
	r := &Root{root: root, prefixes: []string{trimSeparator(abs)}}
	if resolved, err := filepath.EvalSymlinks(abs); err == nil && resolved != abs {
		r.prefixes = append(r.prefixes, trimSeparator(resolved))
	}
	// Package os does not export the error, so use a path that leads out to get it.
	_, err = root.Lstat("/")
	r.escape = cause(err)
	return r, nil
}

// Close closes the directory. Open files can still be used. All other methods then
// fail with fs.ErrClosed.
func (r *Root) Close() error { return r.root.Close() }

// Name returns "Root".
func (r *Root) Name() string { return "Root" }

// Create creates or truncates a file for reading and writing, with mode 0666 before
// umask. The file is an *os.File.
func (r *Root) Create(name string) (afero.File, error) {
	return r.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open opens a file or directory for reading. The result is an *os.File.
func (r *Root) Open(name string) (afero.File, error) {
	return r.OpenFile(name, os.O_RDONLY, 0)
}

// OpenFile opens a regular file or a directory with the flags of os.OpenFile. The
// result is an *os.File. For anything else, such as a FIFO, a socket or a device, the
// error is fs.ErrInvalid; OpenFile does not block.
func (r *Root) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	exclusive := flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL
	var f *os.File
	err := r.inRoot("open", name, !exclusive, func(rel string) (err error) {
		f, err = r.root.OpenFile(rel, flag|openFlags, perm.Perm())
		return err
	})
	if errors.Is(err, syscall.ENXIO) { // a socket, or a FIFO without a reader
		return nil, pathError("open", name, errSpecial)
	}
	if err != nil {
		return nil, err
	}
	if exclusive { // this call created it, so it is a regular file
		return f, nil
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
		err = errSpecial
	}
	if err != nil {
		_ = f.Close()
		return nil, pathError("open", name, err)
	}
	return f, nil
}

// Mkdir creates a directory. Its parent must exist.
func (r *Root) Mkdir(name string, perm fs.FileMode) error {
	return r.inRoot("mkdir", name, false, func(rel string) error {
		return r.root.Mkdir(rel, perm.Perm())
	})
}

// MkdirAll creates a directory and its missing parents. If the directory exists,
// it does nothing.
func (r *Root) MkdirAll(name string, perm fs.FileMode) error {
	return r.inRoot("mkdir", name, true, func(rel string) error {
		return r.root.MkdirAll(rel, perm.Perm())
	})
}

// Remove removes a file, a symlink (not its target) or an empty directory. "/"
// is refused with fs.ErrPermission.
func (r *Root) Remove(name string) error {
	if isTop(name) {
		return pathError("remove", name, fs.ErrPermission)
	}
	return r.inRoot("remove", name, false, r.root.Remove)
}

// RemoveAll removes a file, or a directory and everything in it. It does not follow
// symlinks. If name does not exist, it returns nil. "/" is refused with
// fs.ErrPermission.
func (r *Root) RemoveAll(name string) error {
	if isTop(name) {
		return pathError("remove", name, fs.ErrPermission)
	}
	return r.inRoot("remove", name, false, r.root.RemoveAll)
}

// Rename moves oldname to newname. It replaces a file at newname, but not a directory.
// Symlinks are moved, not followed. The error is fs.ErrPermission if one of the names is
// "/".
//
// The error is also fs.ErrPermission if a symlink with ".." in its target could lead out of
// the tree after the move: if oldname is such a symlink and is moved to another directory,
// or if it is a directory that contains such symlinks, or too many entries to check for them,
// and is moved to a higher level.
func (r *Root) Rename(oldname, newname string) error {
	return r.move(oldname, newname, r.root.Rename)
}

// move checks whether oldname may be moved to newname, and calls step with their relative paths.
// All renames use move.
func (r *Root) move(oldname, newname string, step func(from, to string) error) error {
	if isTop(oldname) || isTop(newname) {
		return pathError("rename", oldname, fs.ErrPermission)
	}
	if err := r.mayMove(oldname, newname); err != nil {
		return r.fail("rename", oldname, err)
	}
	return r.inRoot("rename", oldname, false, func(from string) error {
		to, err := local(newname)
		if err != nil {
			return err
		}
		err = step(from, to)
		if errors.Is(err, r.escape) {
			if to, err = r.resolve(to, false); err == nil {
				err = step(from, to)
			}
		}
		return err
	})
}

// Stat returns the FileInfo of a file. It follows symlinks.
func (r *Root) Stat(name string) (fs.FileInfo, error) {
	var fi fs.FileInfo
	err := r.inRoot("stat", name, true, func(rel string) (err error) {
		fi, err = r.root.Stat(rel)
		return err
	})
	return fi, err
}

// Chmod changes the mode of a file. It follows symlinks.
func (r *Root) Chmod(name string, mode fs.FileMode) error {
	return r.inRoot("chmod", name, true, func(rel string) error {
		return r.root.Chmod(rel, mode)
	})
}

// Chown changes the owner and the group of a file. It follows symlinks. -1 leaves an ID
// unchanged.
func (r *Root) Chown(name string, uid, gid int) error {
	return r.inRoot("chown", name, true, func(rel string) error {
		return r.root.Chown(rel, uid, gid)
	})
}

// Chtimes changes the access and modification times of a file. It follows symlinks. A
// zero time leaves a time unchanged.
func (r *Root) Chtimes(name string, atime, mtime time.Time) error {
	return r.inRoot("chtimes", name, true, func(rel string) error {
		return r.root.Chtimes(rel, atime, mtime)
	})
}

// Directory is the result of Dir. It is an alias of an unnamed interface for the same
// reason as Sys.
type Directory = interface {
	afero.Fs
	io.Closer
}

// Dir opens a directory for several operations in it. They all use the same directory,
// even if it is renamed meanwhile, and do not resolve its path again. Paths are relative to
// the directory, and no symlink leads out of it. The caller must close the result.
func (r *Root) Dir(name string) (Directory, error) {
	d := &Root{escape: r.escape}
	err := r.inRoot("open", name, true, func(rel string) (err error) {
		d.root, err = openDir(r.root, rel)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Sub opens the directory name in r as a new Root. Symlinks in name are followed only if
// they stay inside r, so a user who can write in r cannot make name lead out of it.
func (r *Root) Sub(name string) (*Root, error) {
	sub := &Root{escape: r.escape}
	err := r.inRoot("open", name, true, func(rel string) (err error) {
		sub.root, err = openDir(r.root, rel)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, prefix := range r.prefixes {
		sub.prefixes = append(sub.prefixes, trimSeparator(prefix+filepath.FromSlash(virtual(name))))
	}
	return sub, nil
}

// Free returns the number of bytes that an unprivileged user can still write to the
// filesystem of name. The error is errors.ErrUnsupported if the host does not report it.
func (r *Root) Free(name string) (int64, error) {
	f, err := r.Open(name)
	if err != nil {
		return 0, err
	}
	n, err := freeSpace(f.(*os.File))
	_ = f.Close()
	return n, pathError("free", name, err)
}

// Sys holds attributes of a file that fs.FileInfo does not have. It is an alias of an
// unnamed struct, so that other packages can declare an interface with the method Sys
// without importing this one.
type Sys = struct {
	UID, GID uint32
	Links    uint64 // hard links
	Dev, Ino uint64 // together they identify the file on its host
}

// Sys returns the attributes of a file. fi must be from this Root. It returns false if the
// host does not provide them.
func (r *Root) Sys(fi fs.FileInfo) (Sys, bool) { return sysOf(fi) }

// inRoot calls f with the path relative to the directory. If os.Root reports that the
// path leads out, the reason may be an absolute symlink to a file inside, which os.Root
// does not follow. In this case inRoot resolves the symlinks and calls f once more;
// os.Root checks the new path again. follow must be true if f follows a symlink at the
// end of the path.
func (r *Root) inRoot(op, name string, follow bool, f func(rel string) error) error {
	rel, err := local(name)
	if err == nil {
		err = f(rel)
	}
	if errors.Is(err, r.escape) {
		if rel, err = r.resolve(rel, follow); err == nil {
			err = f(rel)
		}
	}
	return r.fail(op, name, err)
}

// fail adds the virtual path to an error. The error of os.Root for a path that leads out becomes
// fs.ErrPermission.
func (r *Root) fail(op, name string, err error) error {
	if errors.Is(err, r.escape) {
		err = fs.ErrPermission
	}
	return pathError(op, name, err)
}
