package server

import (
	"io"

	"github.com/spf13/afero"
)

// Storages and Authenticators may have more methods than afero.Fs and Authenticator ask for. The
// Server looks for those of the interfaces below, and for afero.Lstater and afero.Symlinker, and does
// without where they are missing; docs/storages.md says how. fsroot.Root has all that are named
// after a storage, and Static both that are named after an Authenticator.
//
// A storage that is wrapped in another one, as those of afero are, no longer has them.
type (
	// A DirFs holds a directory open: the steps of one upload do not walk to it again, and are not
	// led elsewhere if a path changes meanwhile. Paths are as seen from it.
	DirFs interface {
		Dir(name string) (Directory, error)
	}

	// A RenameNewFs renames without replacing: if newname exists, the error is fs.ErrExist. It
	// says, too, that the storage can rename at all, which is tried otherwise.
	RenameNewFs interface {
		RenameNew(oldname, newname string) error
	}

	// An InheritFs gives dst the owner, group, mode, access control list and extended attributes
	// of src; both are open files of it. An error says that the storage, or the rights of this
	// process, do not allow it: the old file is written to then, and not replaced.
	InheritFs interface {
		Inherit(dst, src afero.File) error
	}

	// A SyncDirFs writes a directory's names to the disk (SyncFull).
	SyncDirFs interface {
		SyncDir(name string) error
	}

	// A LockFs marks an open file as in use until it is closed. It reports false if another open
	// file, in this process or another, has the mark. The error is errors.ErrUnsupported where such
	// marks are not reliable, as on network filesystems.
	LockFs interface {
		Lock(f afero.File) (bool, error)
	}

	// A FreeFs tells how many bytes can still be written at a path (ALLO, AVBL), or returns
	// errors.ErrUnsupported.
	FreeFs interface {
		Free(name string) (int64, error)
	}

	// A CheckAuthenticator finds what is wrong with its users. New and Reload fail with that error.
	CheckAuthenticator interface {
		Check() error
	}

	// An FXPAuthenticator tells whether any of its users may copy from server to server
	// (Account.FXP). Then FEAT lists SSCN and CPSV before the login, where some clients look.
	FXPAuthenticator interface {
		FXP() bool
	}
)

// Directory is what a DirFs opens: a storage that is one directory. It is an alias of an unnamed
// interface, so that storages need not import this package to return it.
type Directory = interface {
	afero.Fs
	io.Closer
}
