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

// This file has the steps that turn an upload into a file: a rename that replaces no file, the
// copy of attributes from a file to its replacement, and the sync of a directory.

// RenameNew moves oldname to newname. If newname exists, the error is fs.ErrExist and nothing
// has changed. The check and the move are one atomic step, so if several callers want the same
// name, only one of them gets it. Symlinks are moved, not followed.
func (r *Root) RenameNew(oldname, newname string) error {
	return r.move(oldname, newname, r.renameNew)
}

func (r *Root) renameNew(from, to string) error {
	err := r.renameExclusive(from, to)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	// A hard link also fails if the name exists. It is only the second choice, because it needs
	// a second step, and because programs that watch the directory for files moved into it do
	// not notice a link.
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
	// Hard links are unsupported here, or from is a directory: create the name, then replace it.
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

// parents opens the directories of from and to. If they are the same, it returns only one.
func (r *Root) parents(from, to string) (dirs []*os.File, err error) {
	for _, dir := range []string{path.Dir(from), path.Dir(to)} {
		if len(dirs) == 1 && dir == path.Dir(from) {
			break
		}
		f, err := r.root.OpenFile(dir, os.O_RDONLY|openFlags, 0) // openFlags: dir may have become a FIFO
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

// Inherit copies the owner, the group, the mode, the access control list and the extended
// attributes of src to dst, which will replace src. It omits what the kernel removes from a file
// that is written to: the set-user-ID bit, the set-group-ID bit of a program, and file
// capabilities.
//
// Inherit returns an error if this process may not set one of them, or if the filesystem does not
// support it. dst must then not replace src.
func (r *Root) Inherit(dst, src afero.File) error {
	to, okTo := dst.(*os.File)
	from, okFrom := src.(*os.File)
	if !okTo || !okFrom {
		return pathError("inherit", "", errors.ErrUnsupported)
	}
	return pathError("inherit", "", osfile.Inherit(to, from))
}

// SyncDir writes the entries of a directory to the disk, so that they survive a power
// failure. It does nothing where the host cannot sync directories.
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

// Lock locks an open file of this Root until it is closed. It returns false if the file is
// already locked, by this or another process of the host. On network filesystems the error is
// errors.ErrUnsupported, because a lock could wait for a server that does not respond.
func (r *Root) Lock(f afero.File) (bool, error) {
	file, ok := f.(*os.File)
	if !ok {
		return false, errors.ErrUnsupported
	}
	return osfile.Lock(file)
}

// RenameNew is like Root.RenameNew.
func (m *mem) RenameNew(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(newname); err == nil {
		return pathError("rename", oldname, fs.ErrExist)
	}
	return pathError("rename", oldname, m.rename(virtual(oldname), virtual(newname)))
}

// Inherit is like Root.Inherit. A file in memory has only a mode.
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
