package fsroot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/spf13/afero"
	afmem "github.com/spf13/afero/mem"

	"miniftp/internal/osfile"
)

// This file has the steps by which an upload becomes a file: a rename that replaces
// nothing, the attributes of the file that is replaced, and writing to the disk.

// RenameNew moves oldname to newname, which must not exist: else the error is
// fs.ErrExist and nothing has changed. It is one step, so of several callers that want
// one name only one gets it. Symlinks are moved, not followed.
func (r *Root) RenameNew(oldname, newname string) error {
	return r.move(oldname, newname, r.renameNew)
}

func (r *Root) renameNew(from, to string) error {
	err := r.renameExclusive(from, to)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	// A hard link is as exclusive. It needs a second step, so it comes second: who
	// watches the directory for files that are moved into it does not notice a link.
	err = r.root.Link(from, to)
	switch {
	case err == nil:
		if err = r.root.Remove(from); err != nil {
			_ = r.root.Remove(to)
		}
		return err
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return err
	}
	// No hard links either, or a directory: make the name, then replace it.
	fi, err := r.root.Lstat(from)
	if err != nil {
		return err
	}
	if fi.IsDir() {
		err = r.root.Mkdir(to, 0o700)
	} else {
		var f *os.File
		if f, err = r.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			_ = f.Close()
		}
	}
	if err != nil {
		return err
	}
	if err = r.root.Rename(from, to); err != nil {
		_ = r.root.Remove(to)
	}
	return err
}

// parents opens the directories of from and to; there is one if they are the same.
func (r *Root) parents(from, to string) (dirs []*os.File, err error) {
	for _, dir := range []string{path.Dir(from), path.Dir(to)} {
		if len(dirs) == 1 && dir == path.Dir(from) {
			break
		}
		f, err := r.root.OpenFile(dir, os.O_RDONLY|openFlags, 0) // which does not wait for the writer of a FIFO
		if err != nil {
			closeAll(dirs)
			return nil, err
		}
		dirs = append(dirs, f)
	}
	return dirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// Inherit gives dst the owner, the group, the mode, the access control list and the
// extended attributes of src, as far as writing to src itself would have kept them: the
// set-user-ID bit, the set-group-ID bit of a program and file capabilities go, as the
// kernel takes them from a file that is written to. An error says what this process may
// not do, or the filesystem can't; dst is then to be given up.
func (r *Root) Inherit(dst, src afero.File) error {
	to, okTo := dst.(*os.File)
	from, okFrom := src.(*os.File)
	if !okTo || !okFrom {
		return pathError("inherit", "", errors.ErrUnsupported)
	}
	return pathError("inherit", "", osfile.Inherit(to, from))
}

// SyncDir writes the names in a directory to the disk, so that they survive a power
// failure. Where a directory can't be synced nothing is done.
func (r *Root) SyncDir(name string) error {
	f, err := r.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	_ = f.Close()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) { // some network filesystems, Windows
		err = nil
	}
	return pathError("sync", name, err)
}

// Lock marks an open file of this Root as in use until it is closed. It reports false
// if it is marked already, by any process of this host. On network filesystems, where a
// mark may be asked of a server that does not answer, the error is
// errors.ErrUnsupported.
func (r *Root) Lock(f afero.File) (bool, error) {
	file, ok := f.(*os.File)
	if !ok {
		return false, errors.ErrUnsupported
	}
	return osfile.Lock(file)
}

// RenameNew is Root.RenameNew.
func (m *mem) RenameNew(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(newname); err == nil {
		return pathError("rename", oldname, fs.ErrExist)
	}
	return pathError("rename", oldname, m.rename(virtual(oldname), virtual(newname)))
}

// Inherit is Root.Inherit.
func (m *mem) Inherit(dst, src afero.File) error {
	to, okTo := dst.(memFile)
	from, okFrom := src.(memFile)
	if !okTo || !okFrom {
		return pathError("inherit", "", errors.ErrUnsupported)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	afmem.SetMode(to.Data(), from.Info().Mode())
	return nil
}
