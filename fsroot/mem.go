package fsroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"
	afmem "github.com/spf13/afero/mem"
)

// NewMem returns an empty filesystem in memory that behaves like a disk: a missing
// parent is fs.ErrNotExist, Remove refuses a directory that is not empty
// (syscall.ENOTEMPTY), Rename replaces no directory, new files have mode 0644, and a
// FileInfo does not change with its file. Symlinks are unsupported.
//
// The filesystem is safe for concurrent use. An open file is not, except for ReadAt.
// An open directory shows its entries at the time it was opened.
func NewMem() afero.Fs { return &mem{inner: afero.NewMemMapFs()} }

// mem wraps afero.MemMapFs, which creates missing parents, leaves the children of a
// removed directory behind, and can crash in concurrent renames.
type mem struct {
	mu    sync.RWMutex // guards the tree of names
	inner afero.Fs
}

// umask is removed from the mode of new files, as on disk.
const umask = 0o022

func (m *mem) Name() string { return "Mem" }

// find returns the FileInfo of a path. If the path does not exist, the error is
// ENOTDIR if one of its parents is a file, and else fs.ErrNotExist.
func (m *mem) find(name string) (fs.FileInfo, error) {
	if _, err := local(name); err != nil {
		return nil, err
	}
	at := virtual(name)
	fi, err := m.inner.Stat(filepath.FromSlash(at))
	if err == nil {
		return snapshot(fi), nil
	}
	for at != "/" {
		at = path.Dir(at)
		if fi, err := m.inner.Stat(filepath.FromSlash(at)); err == nil {
			if !fi.IsDir() {
				return nil, syscall.ENOTDIR
			}
			break
		}
	}
	return nil, fs.ErrNotExist
}

// findParent checks that the parent of name exists and is a directory.
func (m *mem) findParent(name string) error {
	parent, err := m.find(path.Dir(virtual(name)))
	if err == nil && !parent.IsDir() {
		err = syscall.ENOTDIR
	}
	return err
}

func (m *mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	fi, err := m.find(name)
	return fi, pathError("stat", name, err)
}

func (m *mem) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	fi, err := m.Stat(name)
	return fi, false, err
}

func (m *mem) Create(name string) (afero.File, error) {
	return m.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (m *mem) Open(name string) (afero.File, error) {
	return m.OpenFile(name, os.O_RDONLY, 0)
}

func (m *mem) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	if flag&writeFlags == 0 {
		m.mu.RLock()
		defer m.mu.RUnlock()
	} else {
		m.mu.Lock()
		defer m.mu.Unlock()
	}
	f, err := m.open(name, flag, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return f, nil
}

func (m *mem) open(name string, flag int, perm fs.FileMode) (afero.File, error) {
	fi, err := m.find(name)
	switch {
	case err == nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case err == nil && fi.IsDir() && flag&writeFlags != 0:
		return nil, syscall.EISDIR
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		err = m.findParent(name)
	}
	if err != nil {
		return nil, err
	}
	host := filepath.FromSlash(virtual(name))
	f, err := m.inner.OpenFile(host, flag&^(os.O_APPEND|os.O_EXCL), perm.Perm()&^umask)
	if err != nil {
		return nil, err
	}
	if fi != nil && fi.IsDir() {
		return readDir(f)
	}
	file := memFile{File: f.(*afmem.File)}
	if flag&os.O_APPEND != 0 {
		file.appends = &m.mu
		_, err = file.Seek(0, io.SeekEnd)
	}
	return file, err
}

func (m *mem) Mkdir(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pathError("mkdir", name, m.mkdir(name, perm))
}

func (m *mem) mkdir(name string, perm fs.FileMode) error {
	_, err := m.find(name)
	if err == nil {
		return fs.ErrExist
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := m.findParent(name); err != nil {
		return err
	}
	return m.inner.Mkdir(filepath.FromSlash(virtual(name)), perm.Perm()&^umask)
}

func (m *mem) MkdirAll(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pathError("mkdir", name, m.mkdirAll(virtual(name), perm))
}

func (m *mem) mkdirAll(name string, perm fs.FileMode) error {
	var missing []string
	for {
		fi, err := m.find(name)
		if err == nil && !fi.IsDir() {
			return syscall.ENOTDIR
		}
		if err == nil {
			break
		}
		missing = append(missing, name)
		name = path.Dir(name)
	}
	for _, dir := range slices.Backward(missing) {
		if err := m.mkdir(dir, perm); err != nil {
			return err
		}
	}
	return nil
}

func (m *mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fi, err := m.find(name)
	switch {
	case err != nil:
	case isTop(name):
		err = fs.ErrPermission
	case fi.IsDir() && !m.empty(name):
		err = syscall.ENOTEMPTY
	default:
		err = m.inner.Remove(filepath.FromSlash(virtual(name)))
	}
	return pathError("remove", name, err)
}

func (m *mem) empty(name string) bool {
	f, err := m.inner.Open(filepath.FromSlash(virtual(name)))
	if err != nil {
		return false
	}
	inside, err := f.Readdir(-1)
	return err == nil && len(inside) == 0
}

func (m *mem) RemoveAll(name string) error {
	if isTop(name) {
		return pathError("remove", name, fs.ErrPermission)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := local(name); err != nil {
		return pathError("remove", name, err)
	}
	if _, err := m.find(name); err != nil {
		return nil
	}
	return pathError("remove", name, m.inner.RemoveAll(filepath.FromSlash(virtual(name))))
}

func (m *mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pathError("rename", oldname, m.rename(virtual(oldname), virtual(newname)))
}

func (m *mem) rename(from, to string) error {
	if from == "/" || to == "/" {
		return fs.ErrPermission
	}
	source, err := m.find(from)
	if err != nil {
		return err
	}
	if err := m.findParent(to); err != nil {
		return err
	}
	if _, err := local(to); err != nil {
		return err
	}
	if source.IsDir() && len(to) > len(from) && to[:len(from)+1] == from+"/" {
		return syscall.EINVAL // a directory cannot move into itself
	}
	if target, err := m.find(to); err == nil && from != to {
		if target.IsDir() {
			return fs.ErrExist
		}
		if source.IsDir() {
			return syscall.ENOTDIR
		}
	}
	return m.inner.Rename(filepath.FromSlash(from), filepath.FromSlash(to))
}

// change calls f with a path that exists, in the form that inner expects.
func (m *mem) change(op, name string, f func(host string) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.find(name)
	if err == nil {
		err = f(filepath.FromSlash(virtual(name)))
	}
	return pathError(op, name, err)
}

func (m *mem) Chmod(name string, mode fs.FileMode) error {
	return m.change("chmod", name, func(host string) error { return m.inner.Chmod(host, mode) })
}

func (m *mem) Chown(name string, uid, gid int) error {
	return m.change("chown", name, func(host string) error { return m.inner.Chown(host, uid, gid) })
}

func (m *mem) Chtimes(name string, atime, mtime time.Time) error {
	return m.change("chtimes", name, func(host string) error {
		if mtime.IsZero() {
			return nil // unchanged, as on disk
		}
		return m.inner.Chtimes(host, atime, mtime)
	})
}
