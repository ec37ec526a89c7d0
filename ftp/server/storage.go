package server

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"
)

// openFile calls fsys.OpenFile and works around two storages of afero. OpenFile of RegexpFs and CacheOnReadFs
// creates no file, but their Create does. CacheOnReadFs can open for writing only files that it has read before.
func openFile(fsys afero.Fs, name string, flag int, perm fs.FileMode) (afero.File, error) {
	if _, known := fsys.(RenameNewFs); known {
		return fsys.OpenFile(name, flag, perm)
	}
	creates := flag&os.O_CREATE != 0
	if _, err := fsys.Stat(name); err == nil && flag&os.O_EXCL != 0 {
		return nil, fs.ErrExist
	} else if err == nil {
		creates = false
	}
	f, err := fsys.OpenFile(name, flag, perm)
	if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EBADF) {
		return f, err
	}
	if creates { // CacheOnReadFs.OpenFile leaves an empty file when it fails
		return fsys.Create(name)
	}
	r, readErr := fsys.Open(name)
	if readErr != nil {
		return nil, err
	}
	_ = r.Close()
	return fsys.OpenFile(name, flag, perm)
}

// renameNew renames without replacing anything. If the storage can't do that in one step, renameNew creates an
// empty file under the new name first. That fails for all but one caller, and the rename then replaces the
// empty file.
func renameNew(fsys afero.Fs, oldname, newname string) error {
	if r, ok := fsys.(RenameNewFs); ok {
		return r.RenameNew(oldname, newname)
	}
	f, err := openFile(fsys, newname, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_ = f.Close()
	if err := fsys.Rename(oldname, newname); err != nil {
		_ = fsys.Remove(newname)
		return err
	}
	return nil
}

// sameFile reports whether a and b describe the same file. If the storage has no identities, it can only
// compare their types.
func sameFile(a, b fs.FileInfo) bool {
	if isSameFile(a, b) {
		return true
	}
	_, okA := fileID(a)
	_, okB := fileID(b)
	return !okA && !okB && a.Mode().Type() == b.Mode().Type()
}

// isSameFile reports whether a and b are known to describe the same file.
func isSameFile(a, b fs.FileInfo) bool {
	if os.SameFile(a, b) {
		return true
	}
	idA, okA := fileID(a)
	idB, okB := fileID(b)
	return okA && okB && idA == idB
}

// fileID returns a value that identifies a file while it is open. ok is false if the storage has no identities.
func fileID(fi fs.FileInfo) (id any, ok bool) {
	if sys, ok := sysOf(fi); ok {
		return sys, true
	}
	if data := memData(fi); data != nil {
		return data, true
	}
	return nil, false
}

// memData returns what identifies a file of afero's MemMapFs, or nil for any other file.
func memData(fi fs.FileInfo) *mem.FileData {
	if m, ok := fi.(*mem.FileInfo); ok {
		return m.FileData
	}
	data, _ := fi.Sys().(*mem.FileData)
	return data
}

// lock calls LockFs.Lock if the storage has it.
func lock(fsys afero.Fs, f afero.File) (bool, error) {
	if l, ok := fsys.(LockFs); ok {
		return l.Lock(f)
	}
	return false, errors.ErrUnsupported
}
