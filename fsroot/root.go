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

// Root is a directory of the host as an afero.Fs that nothing leads out of: it
// works through os.Root, so each step of a path is checked by the operation that
// takes it, and a symlink swapped between a check and its use gains nothing.
//
// Symlinks that stay inside work, absolute ones too when their target lies under
// the directory. One that leads out is refused with fs.ErrPermission, by every
// method. Errors are *fs.PathError with the virtual path. Opened files are bare
// *os.File, so that sendfile and splice work on them.
//
// All methods may be used by several goroutines at once.
type Root struct {
	root     *os.Root
	prefixes []string // host paths that mean this directory, without final slash
	escape   error    // what os.Root answers for a path that leads out
	upward   bool     // see WithUpwardLinks
}

var (
	_ afero.Fs        = (*Root)(nil)
	_ afero.Symlinker = (*Root)(nil)
)

// errSpecial refuses to open what could block or has effects of its own.
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
	root, err := os.OpenRoot(trimSeparator(abs) + string(filepath.Separator)) // with it, a FIFO is refused at once
	if err != nil {
		return nil, err
	}
	r := &Root{root: root, prefixes: []string{trimSeparator(abs)}}
	if resolved, err := filepath.EvalSymlinks(abs); err == nil && resolved != abs {
		r.prefixes = append(r.prefixes, trimSeparator(resolved))
	}
	// The error is not exported by os; asking for a path that leads out yields it.
	_, err = root.Lstat("/")
	r.escape = cause(err)
	return r, nil
}

// Close releases the directory. Open files stay usable; every other method then
// fails with fs.ErrClosed.
func (r *Root) Close() error { return r.root.Close() }

// Name returns "Root".
func (r *Root) Name() string { return "Root" }

// Create creates or truncates a file for reading and writing, mode 0666 before
// umask. The file is a bare *os.File.
func (r *Root) Create(name string) (afero.File, error) {
	return r.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open opens a file or directory for reading. It is a bare *os.File.
func (r *Root) Open(name string) (afero.File, error) {
	return r.OpenFile(name, os.O_RDONLY, 0)
}

// OpenFile opens a regular file or a directory with the flags of os.OpenFile. The
// file is a bare *os.File. Whatever else has a name (FIFO, socket, device) is
// refused with an error that is fs.ErrInvalid, and never blocks.
func (r *Root) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	exclusive := flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL
	var f *os.File
	err := r.inRoot("open", name, !exclusive, func(rel string) (err error) {
		f, err = r.root.OpenFile(rel, flag|openFlags, perm.Perm())
		return err
	})
	if errors.Is(err, syscall.ENXIO) { // a socket, or a FIFO that nobody reads
		return nil, pathError("open", name, errSpecial)
	}
	if err != nil {
		return nil, err
	}
	if exclusive { // we made it, so it is a regular file
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

// Mkdir makes a directory; its parent must exist.
func (r *Root) Mkdir(name string, perm fs.FileMode) error {
	return r.inRoot("mkdir", name, false, func(rel string) error {
		return r.root.Mkdir(rel, perm.Perm())
	})
}

// MkdirAll makes a directory and what is missing above it. A directory that is
// there already is no error.
func (r *Root) MkdirAll(name string, perm fs.FileMode) error {
	return r.inRoot("mkdir", name, true, func(rel string) error {
		return r.root.MkdirAll(rel, perm.Perm())
	})
}

// Remove removes a file, a symlink (not its target) or an empty directory. "/"
// is refused with fs.ErrPermission.
func (r *Root) Remove(name string) error {
	if virtual(name) == "/" {
		return pathError("remove", name, fs.ErrPermission)
	}
	return r.inRoot("remove", name, false, r.root.Remove)
}

// RemoveAll removes a file or a directory with all that is in it. It follows no
// symlink. A missing name is no error; "/" is refused with fs.ErrPermission.
func (r *Root) RemoveAll(name string) error {
	if virtual(name) == "/" {
		return pathError("remove", name, fs.ErrPermission)
	}
	return r.inRoot("remove", name, false, r.root.RemoveAll)
}

// Rename moves oldname to newname, which it replaces if it is a file; a directory
// is never replaced. Symlinks are moved, not followed. "/" is refused with
// fs.ErrPermission on either side, and so is a move that would change what a link with
// ".." in its target leads to (see mayMove).
func (r *Root) Rename(oldname, newname string) error {
	return r.move(oldname, newname, r.root.Rename)
}

// move runs step, which renames one relative path to another, for two names that may be
// renamed so. All renames come through here.
func (r *Root) move(oldname, newname string, step func(from, to string) error) error {
	if virtual(oldname) == "/" || virtual(newname) == "/" {
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

// Stat describes a file, following symlinks.
func (r *Root) Stat(name string) (fs.FileInfo, error) {
	var fi fs.FileInfo
	err := r.inRoot("stat", name, true, func(rel string) (err error) {
		fi, err = r.root.Stat(rel)
		return err
	})
	return fi, err
}

// Chmod changes the mode, following symlinks.
func (r *Root) Chmod(name string, mode fs.FileMode) error {
	return r.inRoot("chmod", name, true, func(rel string) error {
		return r.root.Chmod(rel, mode)
	})
}

// Chown changes the owner and group, following symlinks; -1 leaves one as it is.
func (r *Root) Chown(name string, uid, gid int) error {
	return r.inRoot("chown", name, true, func(rel string) error {
		return r.root.Chown(rel, uid, gid)
	})
}

// Chtimes changes the times of access and modification, following symlinks; a
// zero time leaves one as it is.
func (r *Root) Chtimes(name string, atime, mtime time.Time) error {
	return r.inRoot("chtimes", name, true, func(rel string) error {
		return r.root.Chtimes(rel, atime, mtime)
	})
}

// Directory is what Dir opens. It is an alias of an unnamed interface for the same
// reason as Sys.
type Directory = interface {
	afero.Fs
	io.Closer
}

// Dir holds a directory open, for several operations in it: none of them walks to it
// again, whatever becomes of the path meanwhile. Paths are as seen from it, and no
// symlink leads out of it. Whoever asks closes it.
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

// Sub opens the directory name below r as a Root of its own. Symlinks on the way are
// followed only as far as they stay below r: whoever can change what is in r can't make
// the name lead to anything outside.
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

// Free returns the bytes that an unprivileged user can still write to the
// filesystem which holds name, or errors.ErrUnsupported where the host has no way
// to tell.
func (r *Root) Free(name string) (int64, error) {
	f, err := r.Open(name)
	if err != nil {
		return 0, err
	}
	n, err := freeSpace(f.(*os.File))
	_ = f.Close()
	return n, pathError("free", name, err)
}

// Sys says what the host knows about a file beyond fs.FileInfo. It is an alias of
// an unnamed struct so that a package which does not import this one can still
// ask any filesystem for it through an interface.
type Sys = struct {
	UID, GID uint32
	Links    uint64 // hard links
	Dev, Ino uint64 // together they identify the file on its host
}

// Sys returns the host's knowledge of a file that this Root described, and false
// where there is none.
func (r *Root) Sys(fi fs.FileInfo) (Sys, bool) { return sysOf(fi) }

// inRoot runs f on the path relative to the directory. When os.Root says that the
// path leads out, an absolute symlink may be the reason: the path is resolved by
// hand and tried once more, again through os.Root. follow says whether f follows
// a symlink at the end of the path.
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

// fail wraps an error with the virtual path; leading out becomes fs.ErrPermission.
func (r *Root) fail(op, name string, err error) error {
	if errors.Is(err, r.escape) {
		err = fs.ErrPermission
	}
	return pathError(op, name, err)
}
