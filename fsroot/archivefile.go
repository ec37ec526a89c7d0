package fsroot

import (
	"io"
	"io/fs"
	"sync"
	"syscall"
)

// archiveFile has what open files and directories of an archive have in common.
type archiveFile struct {
	name   string
	info   archiveInfo
	closed bool
}

func (f *archiveFile) fail(op string, err error) error { return pathError(op, f.name, err) }

func (f *archiveFile) Name() string { return f.name }

func (f *archiveFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *archiveFile) Close() error {
	if f.closed {
		return f.fail("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *archiveFile) Sync() error               { return nil }
func (f *archiveFile) Write([]byte) (int, error) { return 0, f.fail("write", fs.ErrPermission) }
func (f *archiveFile) WriteAt([]byte, int64) (int, error) {
	return 0, f.fail("write", fs.ErrPermission)
}
func (f *archiveFile) WriteString(string) (int, error)   { return 0, f.fail("write", fs.ErrPermission) }
func (f *archiveFile) Truncate(int64) error              { return f.fail("truncate", fs.ErrPermission) }
func (f *archiveFile) Read([]byte) (int, error)          { return 0, f.fail("read", syscall.EISDIR) }
func (f *archiveFile) ReadAt([]byte, int64) (int, error) { return 0, f.fail("read", syscall.EISDIR) }
func (f *archiveFile) Seek(int64, int) (int64, error)    { return 0, f.fail("seek", syscall.EISDIR) }
func (f *archiveFile) Readdir(int) ([]fs.FileInfo, error) {
	return nil, f.fail("readdir", syscall.ENOTDIR)
}

func (f *archiveFile) Readdirnames(n int) (s []string, e error) {
	return nil, f.fail("readdir", syscall.ENOTDIR)
}

// archiveDir is an open directory.
type archiveDir struct {
	archiveFile
	rest []fs.FileInfo
}

// Readdir returns the next count entries, or all that are left if count is not positive. If count is positive
// and no entry is left, the error is io.EOF.
func (d *archiveDir) Readdir(count int) ([]fs.FileInfo, error) {
	if d.closed {
		return nil, d.fail("readdir", fs.ErrClosed)
	}
	if count > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if count <= 0 || count > len(d.rest) {
		count = len(d.rest)
	}
	out := d.rest[:count]
	d.rest = d.rest[count:]
	return out, nil
}

// Readdirnames is like Readdir, but returns only the names.
func (d *archiveDir) Readdirnames(count int) ([]string, error) {
	infos, err := d.Readdir(count)
	names := make([]string, len(infos))
	for i, fi := range infos {
		names[i] = fi.Name()
	}
	return names, err
}

// storedFile is an open file whose bytes are in the archive as they are.
type storedFile struct {
	archiveFile
	*io.SectionReader
}

func (f *storedFile) Read(b []byte) (int, error) {
	if f.closed {
		return 0, f.fail("read", fs.ErrClosed)
	}
	n, err := f.SectionReader.Read(b)
	return n, f.readError(err)
}

func (f *storedFile) ReadAt(b []byte, off int64) (int, error) {
	if f.closed {
		return 0, f.fail("read", fs.ErrClosed)
	}
	if off < 0 {
		return 0, f.fail("read", syscall.EINVAL)
	}
	n, err := f.SectionReader.ReadAt(b, off)
	return n, f.readError(err)
}

func (f *storedFile) Seek(offset int64, whence int) (int64, error) {
	if f.closed {
		return 0, f.fail("seek", fs.ErrClosed)
	}
	at, err := f.SectionReader.Seek(offset, whence)
	if err != nil {
		err = syscall.EINVAL
	}
	return at, f.fail("seek", err)
}

// readError adds the path to an error, except to io.EOF.
func (f *archiveFile) readError(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // readers return io.EOF itself
		return err
	}
	return f.fail("read", err)
}

// packedFile is an open file whose bytes are compressed. A Seek forward decompresses what is between, and a Seek
// back starts from the beginning.
type packedFile struct {
	archiveFile
	at   int64
	main stream

	mu    sync.Mutex // guards other
	other stream     // of ReadAt, which must not move the position of Read
}

// stream reads a compressed file from one position on.
type stream struct {
	open func() (io.ReadCloser, error)
	r    io.ReadCloser
	pos  int64
}

// read reads at off.
func (s *stream) read(b []byte, off int64) (int, error) {
	if s.r == nil || s.pos > off {
		s.close()
		r, err := s.open()
		if err != nil {
			return 0, err
		}
		s.r = r
	}
	if s.pos < off {
		n, err := io.CopyN(io.Discard, s.r, off-s.pos)
		s.pos += n
		if err != nil {
			return 0, err
		}
	}
	n, err := s.r.Read(b)
	s.pos += int64(n)
	return n, err
}

func (s *stream) close() {
	if s.r != nil {
		_ = s.r.Close()
	}
	s.r, s.pos = nil, 0
}

func (f *packedFile) Read(b []byte) (int, error) {
	switch {
	case f.closed:
		return 0, f.fail("read", fs.ErrClosed)
	case f.at > f.info.size:
		return 0, io.EOF
	}
	n, err := f.main.read(b, f.at) // also at the end, where the checksum is compared
	f.at += int64(n)
	return n, f.readError(err)
}

func (f *packedFile) ReadAt(b []byte, off int64) (int, error) {
	switch {
	case f.closed:
		return 0, f.fail("read", fs.ErrClosed)
	case off < 0:
		return 0, f.fail("read", syscall.EINVAL)
	case off >= f.info.size:
		return 0, io.EOF
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	done := 0
	for done < len(b) {
		n, err := f.other.read(b[done:], off+int64(done))
		if done += n; err != nil {
			return done, f.readError(err)
		}
	}
	return done, nil
}

func (f *packedFile) Seek(offset int64, whence int) (int64, error) {
	if f.closed {
		return 0, f.fail("seek", fs.ErrClosed)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.info.size
	default:
		return 0, f.fail("seek", syscall.EINVAL)
	}
	if offset < 0 {
		return 0, f.fail("seek", syscall.EINVAL)
	}
	f.at = offset
	return offset, nil
}

func (f *packedFile) Close() error {
	if err := f.archiveFile.Close(); err != nil {
		return err
	}
	f.main.close()
	f.mu.Lock()
	f.other.close()
	f.mu.Unlock()
	return nil
}
