package mountfs

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Unavailable returns a storage for a mount whose own can't be opened, because of why. All its methods return an error
// that is syscall.ENODEV and does not show why; FS.Missing does.
func Unavailable(why error) afero.Fs {
	return &failing{look: syscall.ENODEV, change: syscall.ENODEV, why: why}
}

// absent is the storage of the files in a directory that exists only for mount points: there are none, and none can
// be made.
var absent afero.Fs = &failing{look: fs.ErrNotExist, change: fs.ErrPermission}

// failing is a storage whose methods all fail.
type failing struct {
	look, change error // of methods that look, and of those that change something
	why          error
}

func (s *failing) no(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: s.change}
}

func (s *failing) Name() string { return fmt.Sprintf("Failing(%v)", s.look) }

func (s *failing) Stat(name string) (fs.FileInfo, error) {
	return nil, &fs.PathError{Op: "stat", Path: name, Err: s.look}
}

func (s *failing) Open(name string) (afero.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: s.look}
}

func (s *failing) OpenFile(name string, flag int, _ fs.FileMode) (afero.File, error) {
	if flag == 0 {
		return s.Open(name)
	}
	return nil, s.no("open", name)
}

func (s *failing) Create(name string) (afero.File, error)    { return nil, s.no("open", name) }
func (s *failing) Mkdir(name string, _ fs.FileMode) error    { return s.no("mkdir", name) }
func (s *failing) MkdirAll(name string, _ fs.FileMode) error { return s.no("mkdir", name) }
func (s *failing) Chmod(name string, _ fs.FileMode) error    { return s.gone("chmod", name) }
func (s *failing) Chown(name string, _, _ int) error         { return s.gone("chown", name) }
func (s *failing) Chtimes(name string, _, _ time.Time) error { return s.gone("chtimes", name) }
func (s *failing) Remove(name string) error                  { return s.gone("remove", name) }
func (s *failing) Rename(_, newname string) error            { return s.no("rename", newname) }

// RemoveAll succeeds if there is nothing.
func (s *failing) RemoveAll(name string) error {
	if s.look == fs.ErrNotExist { //nolint:errorlint // it is the value itself
		return nil
	}
	return s.gone("remove", name)
}

// gone is for methods that need a file.
func (s *failing) gone(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: s.look} }

// noFile has the methods of a file that a directory does not have.
type noFile struct{}

func noFileErr(op string) error { return &fs.PathError{Op: op, Path: "", Err: syscall.EISDIR} }

func (noFile) Read([]byte) (int, error)           { return 0, noFileErr("read") }
func (noFile) ReadAt([]byte, int64) (int, error)  { return 0, noFileErr("read") }
func (noFile) Write([]byte) (int, error)          { return 0, noFileErr("write") }
func (noFile) WriteAt([]byte, int64) (int, error) { return 0, noFileErr("write") }
func (noFile) WriteString(string) (int, error)    { return 0, noFileErr("write") }
func (noFile) Truncate(int64) error               { return noFileErr("truncate") }
func (noFile) Seek(int64, int) (int64, error)     { return 0, noFileErr("seek") }
func (noFile) Sync() error                        { return nil }
