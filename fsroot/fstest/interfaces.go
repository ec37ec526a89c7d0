package fstest

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
)

// The optional interfaces of storages. Those of package server are the same, and documented there.
type (
	dirFs interface {
		Dir(name string) (directory, error)
	}
	renameNewFs interface {
		RenameNew(oldname, newname string) error
	}
	inheritFs interface {
		Inherit(dst, src afero.File) error
	}
	syncDirFs interface{ SyncDir(name string) error }
	lockFs    interface {
		Lock(f afero.File) (bool, error)
	}
	freeFs interface {
		Free(name string) (int64, error)
	}
	sysFs interface {
		Sys(fi fs.FileInfo) (fsroot.Sys, bool)
	}
	uploadFs interface {
		Upload(ctx context.Context, name string, o uploadOptions) (upload, error)
		Kept(ctx context.Context, name, owner string) (int64, time.Time, error)
		Discard(ctx context.Context, name, owner string) error
	}
	sweepFs interface {
		SweepUploads(ctx context.Context, before time.Time) (removed int, err error)
	}
	readDirFs interface {
		ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error]
	}
	moveDirFs interface {
		MoveDir(ctx context.Context, oldname, newname string, progress func(files int)) error
	}
)

// These are aliases of unnamed types, as in package server, so that the methods have the same types.
type (
	directory = interface {
		afero.Fs
		io.Closer
	}
	uploadOptions = struct {
		Owner  string
		Offset int64
		Append bool
		New    bool
		Hold   bool
	}
	upload = interface {
		io.Writer
		Start() int64
		Commit(ctx context.Context, modified time.Time) error
		Keep(ctx context.Context) (int64, error)
		Abort(ctx context.Context) error
	}
	heldUpload = interface {
		upload
		Hold(ctx context.Context) error
		Content(ctx context.Context) (content io.ReaderAt, size int64, err error)
	}
)
