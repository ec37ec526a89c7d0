package s3fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// readFile is a file that is open for reading. It reads the version that was opened, by a request for all bytes
// from the position to the end. Such a request is made when the first byte is read, and after a Seek.
type readFile struct {
	noWrites
	f      *Fs
	name   string // virtual
	object object
	ctx    context.Context
	cancel context.CancelFunc

	pos  int64
	body io.ReadCloser // or nil; its next byte is that at pos
	bad  int           // failures since the last byte
}

func (f *Fs) newReader(name string, o object) *readFile {
	ctx, cancel := context.WithCancel(f.life)
	return &readFile{f: f, name: virtual(name), object: o, ctx: ctx, cancel: cancel}
}

func (r *readFile) Name() string { return r.name }

func (r *readFile) Stat() (fs.FileInfo, error) { return r.f.info(r.object), nil }

// Close implements afero.File.
func (r *readFile) Close() error {
	if r.ctx.Err() != nil && r.f.life.Err() == nil {
		return pathError("close", r.name, fs.ErrClosed)
	}
	r.drop()
	r.cancel()
	return nil
}

// drop ends the current request.
func (r *readFile) drop() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

// Read reads from the position. If the request breaks, the next one begins at the byte after the last one.
func (r *readFile) Read(p []byte) (int, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, pathError("read", r.name, fs.ErrClosed)
		}
		if len(p) == 0 {
			return 0, nil
		}
		if r.pos >= r.object.size {
			r.drop()
			return 0, io.EOF
		}
		n, err := r.read(p)
		if n > 0 {
			r.pos += int64(n)
			r.bad = 0
			return n, nil
		}
		r.drop()
		r.bad++
		if r.bad >= tries || !temporary(err) {
			return 0, pathError("read", r.name, r.f.readError(err))
		}
		if err := pause(r.ctx, r.f.life, time.Duration(r.bad)*r.f.backoff); err != nil {
			return 0, pathError("read", r.name, err)
		}
	}
}

func (r *readFile) read(p []byte) (int, error) {
	if r.body == nil {
		body, err := r.f.get(r.ctx, r.object, r.pos, -1)
		if err != nil {
			return 0, err
		}
		r.body = body
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.object.size-r.pos)])
	if n == 0 && (err == nil || errors.Is(err, io.EOF)) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readError maps the error of a request for bytes of an object.
func (f *Fs) readError(err error) error {
	err = f.mapError(err)
	if errors.Is(err, errPrecondition) || errors.Is(err, fs.ErrNotExist) {
		return syscall.ESTALE
	}
	return err
}

// get requests n bytes of an object, or all up to its end if n is negative. The error is not mapped.
func (f *Fs) get(ctx context.Context, o object, at, n int64) (io.ReadCloser, error) {
	opts := minio.GetObjectOptions{}
	if err := opts.SetMatchETag(o.etag); err != nil {
		return nil, err
	}
	end := o.size - 1
	if n >= 0 {
		end = min(end, at+n-1)
	}
	if at > 0 || end < o.size-1 {
		if err := opts.SetRange(at, end); err != nil {
			return nil, err
		}
	}
	body, _, _, err := f.core.GetObject(ctx, f.bucket, o.key, opts)
	return body, err
}

// ReadAt implements io.ReaderAt with a request of its own. It may be called concurrently.
func (r *readFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathError("readat", r.name, syscall.EINVAL)
	}
	if off >= r.object.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), r.object.size-off)
	n, err := r.f.readFull(r.ctx, r.object, p[:want], off)
	if err == nil && n < len(p) {
		return n, io.EOF
	}
	return n, pathError("readat", r.name, err)
}

// readFull reads len(p) bytes of an object.
func (f *Fs) readFull(ctx context.Context, o object, p []byte, at int64) (int, error) {
	n := 0
	for bad := 0; n < len(p); {
		body, err := f.get(ctx, o, at+int64(n), int64(len(p)-n))
		got := 0
		if err == nil {
			got, err = io.ReadFull(body, p[n:])
			body.Close()
			n += got
		}
		if err == nil {
			break
		}
		if got > 0 {
			bad = 0
		}
		if bad++; bad >= tries || !temporary(err) {
			return n, f.readError(err)
		}
		if err := pause(ctx, f.life, time.Duration(bad)*f.backoff); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Seek implements io.Seeker.
func (r *readFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.object.size
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, pathError("seek", r.name, syscall.EINVAL)
	}
	if offset != r.pos {
		r.drop()
		r.pos = offset
	}
	return offset, nil
}

func (r *readFile) Readdir(int) ([]fs.FileInfo, error) {
	return nil, pathError("readdir", r.name, syscall.ENOTDIR)
}

func (r *readFile) Readdirnames(int) ([]string, error) {
	return nil, pathError("readdir", r.name, syscall.ENOTDIR)
}

// noWrites is embedded by files that can't be written to.
type noWrites struct{}

func (noWrites) Write([]byte) (int, error)          { return 0, syscall.EBADF }
func (noWrites) WriteAt([]byte, int64) (int, error) { return 0, syscall.EBADF }
func (noWrites) WriteString(string) (int, error)    { return 0, syscall.EBADF }
func (noWrites) Truncate(int64) error               { return syscall.EBADF }
func (noWrites) Sync() error                        { return nil }
