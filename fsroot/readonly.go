package fsroot

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/spf13/afero"
)

// ReadOnly returns a filesystem that refuses every change to inner with
// fs.ErrPermission. Files and directories are those that inner opens, without a
// wrapper. The methods for Lstat, Readlink, Free and Sys call those of inner, if it has
// them.
//
// afero.NewReadOnlyFs, in contrast, hides Free and Sys, and its errors contain no path.
func ReadOnly(inner afero.Fs) afero.Fs {
	r := &readOnly{inner: inner}
	if s, ok := inner.(streamer); ok {
		return &streamedReadOnly{r, s}
	}
	return r
}

// streamer is a storage that lists directories as a stream.
type streamer interface {
	ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error]
}

// streamedReadOnly is a readOnly with the stream of inner. It is a type of its own because callers find out from the
// method whether a storage has streams.
type streamedReadOnly struct {
	*readOnly
	streamer
}

type readOnly struct {
	refusing
	inner afero.Fs
}

// refusing has the methods of a filesystem that change something. Each of them fails.
type refusing struct{}

var _ afero.Symlinker = (*readOnly)(nil)

func refuse(op, name string) error { return pathError(op, name, fs.ErrPermission) }

func (r *readOnly) Name() string { return "ReadOnly(" + r.inner.Name() + ")" }

func (r *readOnly) Open(name string) (afero.File, error) { return r.inner.Open(name) }

func (r *readOnly) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	if flag&writeFlags != 0 {
		return nil, refuse("open", name)
	}
	return r.inner.OpenFile(name, flag, perm)
}

// writeFlags holds the flags of OpenFile that can change something.
const writeFlags = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREATE | os.O_TRUNC

func (r *readOnly) Stat(name string) (fs.FileInfo, error) { return r.inner.Stat(name) }

func (refusing) Create(name string) (afero.File, error)    { return nil, refuse("open", name) }
func (refusing) Mkdir(name string, _ fs.FileMode) error    { return refuse("mkdir", name) }
func (refusing) MkdirAll(name string, _ fs.FileMode) error { return refuse("mkdir", name) }
func (refusing) Remove(name string) error                  { return refuse("remove", name) }
func (refusing) RemoveAll(name string) error               { return refuse("remove", name) }
func (refusing) Rename(oldname, _ string) error            { return refuse("rename", oldname) }
func (refusing) Chmod(name string, _ fs.FileMode) error    { return refuse("chmod", name) }
func (refusing) Chown(name string, _, _ int) error         { return refuse("chown", name) }
func (refusing) Chtimes(name string, _, _ time.Time) error { return refuse("chtimes", name) }
func (refusing) SymlinkIfPossible(_, newname string) error { return refuse("symlink", newname) }

func (r *readOnly) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	if l, ok := r.inner.(afero.Lstater); ok {
		return l.LstatIfPossible(name)
	}
	fi, err := r.inner.Stat(name)
	return fi, false, err
}

func (r *readOnly) ReadlinkIfPossible(name string) (string, error) {
	if l, ok := r.inner.(afero.LinkReader); ok {
		return l.ReadlinkIfPossible(name)
	}
	return "", pathError("readlink", name, afero.ErrNoReadlink)
}

// Free calls Free of the inner filesystem; see Root.Free.
func (r *readOnly) Free(name string) (int64, error) {
	if f, ok := r.inner.(interface {
		Free(name string) (int64, error)
	}); ok {
		return f.Free(name)
	}
	return 0, pathError("free", name, errors.ErrUnsupported)
}

// Sys calls Sys of the inner filesystem; see Root.Sys.
func (r *readOnly) Sys(fi fs.FileInfo) (Sys, bool) {
	if s, ok := r.inner.(interface {
		Sys(fi fs.FileInfo) (Sys, bool)
	}); ok {
		return s.Sys(fi)
	}
	return Sys{}, false
}
