package s3fs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Open implements afero.Fs.
func (f *Fs) Open(name string) (afero.File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

// Create implements afero.Fs, but the file is open for writing only.
func (f *Fs) Create(name string) (afero.File, error) {
	return f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0)
}

// OpenFile implements afero.Fs. A file is opened for reading, or for writing with O_APPEND, O_TRUNC or O_EXCL, or if it
// does not exist. What is written appears when the file is closed, and that is when most errors are returned. Other
// flags are errors.ErrUnsupported. The mode is ignored.
func (f *Fs) OpenFile(name string, flag int, _ fs.FileMode) (afero.File, error) {
	key, err := f.key(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	var file afero.File
	if flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND) == 0 {
		file, err = f.openRead(name, key)
	} else {
		file, err = f.openWrite(name, key, flag)
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return file, nil
}

func (f *Fs) openRead(name, key string) (afero.File, error) {
	o, err := f.find(f.life, key)
	switch {
	case err != nil:
		return nil, err
	case o.dir:
		return &dirFile{f: f, name: virtual(name), dir: o}, nil
	}
	return f.newReader(name, o), nil
}

func (f *Fs) openWrite(name, key string, flag int) (afero.File, error) {
	o, err := f.find(f.life, key)
	exists := err == nil
	switch {
	case exists && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case exists && o.dir:
		return nil, syscall.EISDIR
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		err = f.findParent(f.life, key)
	}
	if err != nil {
		return nil, err
	}
	if flag&os.O_WRONLY == 0 || (exists && flag&(os.O_APPEND|os.O_TRUNC) == 0) {
		return nil, errors.ErrUnsupported
	}
	u, err := f.newUpload(f.life, name, UploadOptions{
		Owner:  "file " + newNonce(), // nobody can resume it
		Append: flag&os.O_APPEND != 0 && flag&os.O_TRUNC == 0,
		New:    flag&os.O_EXCL != 0,
	})
	if err != nil {
		return nil, err
	}
	return &writeFile{f: f, u: u, name: virtual(name), key: key}, nil
}

// writeFile is a file that is open for writing.
type writeFile struct {
	f    *Fs
	u    *upload
	name string
	key  string
	err  error // of a Write
}

func (w *writeFile) Name() string { return w.name }

func (w *writeFile) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.u.Write(p)
	w.err = err
	return n, err
}

// WriteString is like Write.
func (w *writeFile) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// WriteAt is unsupported unless the position is that of the next Write.
func (w *writeFile) WriteAt(p []byte, off int64) (int, error) {
	if off != w.u.at {
		return 0, pathError("write", w.name, errors.ErrUnsupported)
	}
	return w.Write(p)
}

// Close stores the file, unless a Write has failed.
func (w *writeFile) Close() error {
	switch {
	case w.u.ended:
		return pathError("close", w.name, fs.ErrClosed)
	case w.err != nil:
		_ = w.u.Abort(w.f.life)
		return w.err
	}
	err := w.u.Commit(w.f.life, time.Time{})
	if err != nil {
		_ = w.f.Discard(w.f.life, w.name, w.u.owner) // nobody can resume it
	}
	return pathError("close", w.name, err)
}

// Seek can only return the position.
func (w *writeFile) Seek(offset int64, whence int) (int64, error) {
	if (whence == io.SeekStart && offset != w.u.at) || (whence != io.SeekStart && offset != 0) {
		return 0, pathError("seek", w.name, errors.ErrUnsupported)
	}
	return w.u.at, nil
}

// Stat returns what has been written so far.
func (w *writeFile) Stat() (fs.FileInfo, error) {
	return w.f.info(object{key: w.key, size: w.u.at, mod: time.Now()}), nil
}

// Sync does nothing: the store has the file after Close.
func (w *writeFile) Sync() error { return nil }

// Truncate is unsupported unless the size is that of what was written.
func (w *writeFile) Truncate(size int64) error {
	if size != w.u.at {
		return pathError("truncate", w.name, errors.ErrUnsupported)
	}
	return nil
}

func (w *writeFile) Read([]byte) (int, error) { return 0, pathError("read", w.name, syscall.EBADF) }
func (w *writeFile) ReadAt([]byte, int64) (int, error) {
	return 0, pathError("read", w.name, syscall.EBADF)
}

func (w *writeFile) Readdir(int) ([]fs.FileInfo, error) {
	return nil, pathError("readdir", w.name, syscall.ENOTDIR)
}

func (w *writeFile) Readdirnames(int) ([]string, error) {
	return nil, pathError("readdir", w.name, syscall.ENOTDIR)
}
