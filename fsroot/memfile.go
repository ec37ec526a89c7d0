package fsroot

import (
	"errors"
	"io"
	"sync"
	"syscall"

	afmem "github.com/spf13/afero/mem"
)

// memFile is an open file of mem. It behaves like a file on disk, where an afero file does not. In
// afero:
//
//   - ReadAt and WriteAt move the position.
//   - ReadAt can return fewer bytes without io.EOF, and a read past the end does not return io.EOF.
//   - A negative position causes a panic.
//   - Seek to the end races with writers.
//   - O_APPEND only sets the position when the file is opened.
type memFile struct {
	*afmem.File
	appends *sync.RWMutex // for O_APPEND: held while a write goes to the end; else nil
}

func (f memFile) Write(b []byte) (int, error) {
	if f.appends == nil {
		return f.File.Write(b)
	}
	f.appends.Lock()
	defer f.appends.Unlock()
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// WriteString is like Write.
func (f memFile) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

func (f memFile) Read(b []byte) (int, error) {
	n, err := f.File.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// ReadAt may be called concurrently.
func (f memFile) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathError("readat", f.Name(), syscall.EINVAL)
	}
	own := memFile{File: afmem.NewReadOnlyFileHandle(f.Data())}
	if _, err := own.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(own, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

func (f memFile) WriteAt(b []byte, off int64) (int, error) {
	at, err := f.File.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := f.Write(b)
	_, back := f.Seek(at, io.SeekStart)
	return n, errors.Join(err, back)
}

func (f memFile) Seek(offset int64, whence int) (int64, error) {
	base := int64(0)
	switch whence {
	case io.SeekCurrent:
		at, err := f.File.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, err
		}
		base = at
	case io.SeekEnd:
		base = f.Info().Size()
	}
	if base+offset < 0 {
		return 0, pathError("seek", f.Name(), syscall.EINVAL)
	}
	return f.File.Seek(base+offset, io.SeekStart)
}
