package mountfs

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// change runs do on the storage of name. It returns fixedErr for a mount point or a directory above one.
func (f *FS) change(op, name string, fixedErr error, do func(storage afero.Fs, inside string) error) error {
	name = clean(name)
	if f.fixed(name) {
		return &fs.PathError{Op: op, Path: name, Err: fixedErr}
	}
	storage, inside := f.locate(name)
	return asNamed(do(storage, inside), name)
}

// asNamed returns err with the path in the tree instead of that in the storage.
func asNamed(err error, name string) error {
	if inPath, ok := err.(*fs.PathError); ok { //nolint:errorlint // one that is wrapped has a text of its own
		return &fs.PathError{Op: inPath.Op, Path: name, Err: inPath.Err}
	}
	return err
}

// Create makes a file, or empties the one of that name.
func (f *FS) Create(name string) (file afero.File, err error) {
	err = f.change("open", name, syscall.EISDIR, func(storage afero.Fs, inside string) (err error) {
		file, err = storage.Create(inside)
		return err
	})
	return file, err
}

// OpenFile opens a file. It is that of the storage, without a wrapper.
func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (file afero.File, err error) {
	if flag&(os.O_WRONLY|os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC) == 0 && f.above[clean(name)] != nil {
		return f.Open(name)
	}
	open := func(storage afero.Fs, inside string) (err error) {
		file, err = storage.OpenFile(inside, flag, perm)
		return err
	}
	if name = clean(name); f.isMount(name) && f.above[name] == nil { // the storage refuses to write to its top
		storage, inside := f.find(name)
		return file, asNamed(open(storage, inside), name)
	}
	err = f.change("open", name, syscall.EISDIR, open)
	return file, err
}

// Mkdir makes a directory.
func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	return f.change("mkdir", name, fs.ErrExist, func(storage afero.Fs, inside string) error { return storage.Mkdir(inside, perm) })
}

// MkdirAll makes a directory with its parents. In directories that exist only for mount points it can make nothing.
func (f *FS) MkdirAll(name string, perm fs.FileMode) error {
	name = clean(name)
	if f.fixed(name) {
		return nil
	}
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if f.above[dir] == nil || f.mountOf(dir) != f.mountOf(name) {
			continue
		}
		switch there, err := f.exists(dir); {
		case err != nil:
			return &fs.PathError{Op: "mkdir", Path: name, Err: err}
		case !there:
			return &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrPermission}
		}
	}
	storage, inside := f.find(name)
	return asNamed(storage.MkdirAll(inside, perm), name)
}

// Remove removes a file or an empty directory.
func (f *FS) Remove(name string) error {
	return f.change("remove", name, fs.ErrPermission, func(storage afero.Fs, inside string) error { return storage.Remove(inside) })
}

// RemoveAll removes a file, or a directory and all in it.
func (f *FS) RemoveAll(name string) error {
	return f.change("remove", name, fs.ErrPermission, func(storage afero.Fs, inside string) error { return storage.RemoveAll(inside) })
}

// Rename renames a file or a directory. If the names are in different storages, the error is syscall.EXDEV, and
// nothing is changed.
func (f *FS) Rename(oldname, newname string) error {
	newname = clean(newname)
	return f.change("rename", oldname, fs.ErrPermission, func(storage afero.Fs, from string) error {
		return f.change("rename", newname, fs.ErrPermission, func(target afero.Fs, to string) error {
			switch {
			case f.mountOf(clean(oldname)) != f.mountOf(newname):
				return &fs.PathError{Op: "rename", Path: newname, Err: syscall.EXDEV}
			case target == absent:
				return target.Rename(from, to)
			}
			return storage.Rename(from, to)
		})
	})
}

// Chmod changes the mode of a file.
func (f *FS) Chmod(name string, mode fs.FileMode) error {
	return f.change("chmod", name, fs.ErrPermission, func(storage afero.Fs, inside string) error { return storage.Chmod(inside, mode) })
}

// Chown changes the owner of a file.
func (f *FS) Chown(name string, uid, gid int) error {
	return f.change("chown", name, fs.ErrPermission, func(storage afero.Fs, inside string) error { return storage.Chown(inside, uid, gid) })
}

// Chtimes changes the times of a file.
func (f *FS) Chtimes(name string, atime, mtime time.Time) error {
	return f.change("chtimes", name, fs.ErrPermission, func(storage afero.Fs, inside string) error { return storage.Chtimes(inside, atime, mtime) })
}

// SymlinkIfPossible makes a symlink to a file in the same storage.
func (f *FS) SymlinkIfPossible(target, name string) error {
	return f.change("symlink", name, fs.ErrExist, func(storage afero.Fs, inside string) error {
		l, ok := storage.(afero.Linker)
		if !ok {
			return &fs.PathError{Op: "symlink", Path: name, Err: afero.ErrNoSymlink}
		}
		if name := clean(name); !strings.HasPrefix(target, "/") && f.mountOf(path.Join(path.Dir(name), target)) != f.mountOf(name) {
			return &fs.PathError{Op: "symlink", Path: name, Err: syscall.EXDEV}
		}
		return l.SymlinkIfPossible(target, inside)
	})
}
