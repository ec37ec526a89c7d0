package server

import (
	"io"

	"github.com/spf13/afero"
)

// Storages and Authenticators may have more methods than afero.Fs and Authenticator require. The Server uses
// those of the interfaces below, and of afero.Lstater and afero.Symlinker, if they exist, and works without
// them otherwise; docs/storages.md says how. fsroot.Root implements all interfaces for storages, and Static
// both for Authenticators.
//
// A storage that is wrapped in another one, such as those of afero, loses these methods.
type (
	// A DirFs can hold a directory open. The steps of an upload then do not walk the path again, and a path
	// that changes meanwhile can't redirect them. The names are relative to the directory.
	DirFs interface {
		Dir(name string) (Directory, error)
	}

	// A RenameNewFs can rename without replacing: if newname exists, the error is fs.ErrExist. The method also
	// shows that the storage can rename. Other storages have to be tried for that.
	RenameNewFs interface {
		RenameNew(oldname, newname string) error
	}

	// An InheritFs can give dst the owner, group, mode, access control list and extended attributes of src.
	// Both are open files of the storage. An error means that the storage, or the rights of this process, do
	// not permit it. In that case the old file is overwritten instead of replaced.
	InheritFs interface {
		Inherit(dst, src afero.File) error
	}

	// A SyncDirFs can write the names of a directory to the disk (SyncFull).
	SyncDirFs interface {
		SyncDir(name string) error
	}

	// A LockFs can mark an open file as in use until it is closed. Lock returns false if another open file, in
	// this or another process, has the mark. The error is errors.ErrUnsupported if such marks are not reliable,
	// as on network filesystems.
	LockFs interface {
		Lock(f afero.File) (bool, error)
	}

	// A FreeFs can return how many bytes can still be written at a path (ALLO, AVBL), or errors.ErrUnsupported.
	FreeFs interface {
		Free(name string) (int64, error)
	}

	// A CheckAuthenticator can check its users. New and Reload fail with the error of Check.
	CheckAuthenticator interface {
		Check() error
	}

	// An FXPAuthenticator can report whether any of its users may copy from server to server (Account.FXP). If
	// so, FEAT lists SSCN and CPSV even before the login, where some clients look for them.
	FXPAuthenticator interface {
		FXP() bool
	}
)

// Directory is opened by a DirFs: a storage with that directory as its root. It is an alias of an unnamed
// interface, so that storages can return it without importing this package.
type Directory = interface {
	afero.Fs
	io.Closer
}
