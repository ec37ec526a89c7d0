package server

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"time"

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

	// An UploadFs makes files of uploads itself. It is for storages that can't rename a file in one step, or
	// can't write to a part of one, such as object stores. Without it the Server writes a file under a hidden
	// name and renames it.
	//
	// Upload begins an upload to name, whose directory exists. Nothing of it may be visible under name before
	// Commit. ctx ends the calls of Write. Besides those of afero.Fs, the following errors have a meaning:
	//
	//   - fs.ErrExist, of Commit with UploadOptions.New: there is a file of that name.
	//   - syscall.ESTALE: the file to append to, or to change a part of, was replaced or removed meanwhile.
	//   - syscall.EBUSY: the upload to be resumed is still running.
	//   - an error with a method ResumeAt() int64: the interrupted upload can be resumed only at that offset.
	//
	// Kept returns how many bytes of an interrupted upload of the owner can be resumed, and when the last of
	// them was stored; Discard removes them. Their error is fs.ErrNotExist if there are none.
	UploadFs interface {
		Upload(ctx context.Context, name string, o UploadOptions) (Upload, error)
		Kept(ctx context.Context, name, owner string) (int64, time.Time, error)
		Discard(ctx context.Context, name, owner string) error
	}

	// A HoldFs can hold uploads back until a Gate has decided: with UploadOptions.Hold, its uploads are HeldUploads.
	// KeptHeld is like Kept, but only for uploads that were held back.
	HoldFs interface {
		UploadFs
		KeptHeld(ctx context.Context, name, owner string) (int64, time.Time, error)
	}

	// A SweepFs is an UploadFs that can remove the interrupted uploads to which nothing was added since a time.
	SweepFs interface {
		SweepUploads(ctx context.Context, before time.Time) (removed int, err error)
	}

	// A ReadDirFs can list a directory as a stream, without opening it first. Each FileInfo is as that of Lstat.
	// If the directory can't be read, the first pair has the error, and it is the only one.
	ReadDirFs interface {
		ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error]
	}

	// A MoveDirFs moves a directory by moving its files one by one. MoveDir calls progress, from one goroutine
	// at a time, with how many were moved. If it fails, some of the files may have both names, but none is
	// lost. newname does not exist, but its directory does.
	MoveDirFs interface {
		MoveDir(ctx context.Context, oldname, newname string, progress func(files int)) error
	}

	// A MountFs combines several storages in one tree. At returns the storage that a path is in, and the path inside
	// that storage. The Server asks for the other interfaces of that storage, and not of the MountFs. Missing returns
	// which of the storages could not be opened, and why, or nil; it is reported at each login. An error that is
	// syscall.ENODEV says the same to the client.
	MountFs interface {
		At(name string) (storage afero.Fs, inside string)
		Missing() error
	}

	// A CheckAuthenticator can check its users. New and Reload fail with the error of Check.
	CheckAuthenticator interface {
		Check() error
	}

	// A UsersAuthenticator consults a Static among others, and can return it. SITE CHMOD then does not lock its users out
	// of their roots and homes, as if it were the Authenticator.
	UsersAuthenticator interface {
		Users() Static
	}

	// An FXPAuthenticator can report whether any of its users may copy from server to server (Account.FXP). If
	// so, FEAT lists SSCN and CPSV even before the login, where some clients look for them.
	FXPAuthenticator interface {
		FXP() bool
	}
)

// UploadOptions say how the bytes of an upload to an UploadFs become a file.
type UploadOptions = struct {
	Owner string // identifies who may resume it if it is interrupted

	// Offset, if not 0, resumes the interrupted upload of Owner to the same version of the file. If there is
	// none, the bytes replace those of the existing file from Offset on, and any after them are kept.
	Offset int64

	// Append adds the bytes to the existing file, or to the interrupted upload of Owner if there is no file. If
	// there is neither, it makes a new file.
	Append bool

	New bool // the file must not replace one

	// Hold asks a HoldFs for a HeldUpload. It excludes changes of existing files and appending to them: the error is
	// then errors.ErrUnsupported.
	Hold bool
}

// Upload is an upload to an UploadFs. Its methods are called one after the other. The last call is Commit, Keep
// or Abort. It is an alias of an unnamed interface, so that storages can return it without importing this package.
type Upload = interface {
	io.Writer

	// Start returns the position of the first byte in the file.
	Start() int64

	// Commit makes the file. When it returns nil, the storage has confirmed the whole content. modified, if not
	// zero, is the time of the file; else it is the current time. If Commit fails, what can be resumed is kept.
	Commit(ctx context.Context, modified time.Time) error

	// Keep ends an interrupted upload and returns how many bytes of the file can be resumed. They are always fewer than
	// were written: SIZE returns them, and a client that finds all of them there would take the file for stored.
	Keep(ctx context.Context) (int64, error)

	// Abort removes all that was stored.
	Abort(ctx context.Context) error
}

// HeldUpload is an upload that a HoldFs holds back: its content can be read before Commit makes the file. It is an alias
// like Upload.
type HeldUpload = interface {
	Upload

	// Hold is called after the last Write. When it returns nil, the storage has confirmed the whole content. If it
	// fails, the next call is Keep or Abort.
	Hold(ctx context.Context) error

	// Content returns the content after Hold. It can be read until ctx ends or the upload does.
	Content(ctx context.Context) (content io.ReaderAt, size int64, err error)
}

// Directory is opened by a DirFs: a storage with that directory as its root. It is an alias of an unnamed
// interface, so that storages can return it without importing this package.
type Directory = interface {
	afero.Fs
	io.Closer
}
