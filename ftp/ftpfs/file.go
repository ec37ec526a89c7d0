package ftpfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"sync"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// The three types of open files of an Fs are reader, writer and dir. Each embeds notFile for the methods that it
// does not support.

// notFile has the methods of afero.File that a file does not support.
type notFile struct{}

func (notFile) Read([]byte) (int, error)           { return 0, errors.ErrUnsupported }
func (notFile) ReadAt([]byte, int64) (int, error)  { return 0, errors.ErrUnsupported }
func (notFile) Write([]byte) (int, error)          { return 0, errors.ErrUnsupported }
func (notFile) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (notFile) WriteString(string) (int, error)    { return 0, errors.ErrUnsupported }
func (notFile) Seek(int64, int) (int64, error)     { return 0, errors.ErrUnsupported }
func (notFile) Truncate(int64) error               { return errors.ErrUnsupported }
func (notFile) Readdir(int) ([]fs.FileInfo, error) { return nil, errors.New("not a directory") }
func (notFile) Readdirnames(int) ([]string, error) { return nil, errors.New("not a directory") }
func (notFile) Sync() error                        { return nil }

// reader is a file that is open for reading. It has at most one transfer, which continues as long as each read
// begins where the last one ended. A read at another offset starts a new RETR. It is safe for concurrent use;
// reads are serialized.
type reader struct {
	notFile
	fs   *Fs
	name string
	info fs.FileInfo

	mu        sync.Mutex
	pos       int64          // position of Read and Seek
	stream    io.ReadCloser  // nil before the first read
	streamPos int64          // offset in the file of the next byte of stream
	conn      *client.Client // the connection of stream
	closed    bool
}

func (r *reader) Name() string               { return r.name }
func (r *reader) Stat() (fs.FileInfo, error) { return r.info, nil }

func (r *reader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.readFrom(b, r.pos)
	r.pos += int64(n)
	return n, err
}

// ReadAt does not change the position of Read.
func (r *reader) ReadAt(b []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, &fs.PathError{Op: "readat", Path: r.name, Err: fs.ErrInvalid}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(b) && err == nil {
		var some int
		some, err = r.readFrom(b[n:], offset+int64(n))
		n += some
	}
	if n == len(b) {
		err = nil
	}
	return n, err
}

// readFrom reads some bytes at an offset, by a new transfer if the present one is at another.
func (r *reader) readFrom(b []byte, offset int64) (int, error) {
	if r.stream != nil && r.streamPos != offset {
		_ = r.stop() // its error does not concern the bytes to be read now
	}
	switch {
	case r.closed:
		return 0, fs.ErrClosed
	case len(b) == 0:
		return 0, nil
	case r.stream == nil && r.info.Size() > 0 && offset >= r.info.Size():
		return 0, io.EOF // servers refuse REST beyond the end of the file
	}
	if r.stream == nil {
		if err := r.start(offset); err != nil {
			return 0, pathError("read", r.name, err)
		}
	}
	n, err := r.stream.Read(b)
	r.streamPos += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = pathError("read", r.name, err)
	}
	return n, err
}

func (r *reader) start(offset int64) error {
	c, err := r.fs.getStream()
	if err != nil {
		return err
	}
	s, err := c.Open(r.fs.ctx, r.fs.at(r.name), offset)
	if err != nil {
		r.fs.putStream(c)
		return err
	}
	r.stream, r.streamPos, r.conn = s, offset, c
	return nil
}

// stop ends the transfer, possibly before the end of the file.
func (r *reader) stop() error {
	if r.stream == nil {
		return nil
	}
	err := r.stream.Close()
	r.fs.putStream(r.conn)
	r.stream, r.conn = nil, nil
	return err
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.info.Size()
	}
	switch {
	case r.closed:
		return 0, fs.ErrClosed
	case offset < 0:
		return 0, &fs.PathError{Op: "seek", Path: r.name, Err: fs.ErrInvalid}
	}
	r.pos = offset
	return r.pos, nil
}

func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fs.ErrClosed
	}
	r.closed = true
	return pathError("close", r.name, r.stop())
}

// writer is a file that is open for writing. STOR or APPE begins with the first Write. Close reports whether
// all of it arrived.
type writer struct {
	notFile
	fs     *Fs
	name   string
	fresh  bool // the file is new or truncated
	append bool
	pos    int64
	size   int64 // size of the existing file
	pipe   *io.PipeWriter
	result chan error
	closed bool
}

func (w *writer) Name() string { return w.name }

func (w *writer) Stat() (fs.FileInfo, error) {
	e := ftp.Entry{Name: path.Base(w.fs.at(w.name)), Type: ftp.FileEntry, Size: max(w.size, w.pos)}
	return entryInfo{e}, nil
}

func (w *writer) Write(b []byte) (int, error) {
	if w.closed {
		return 0, fs.ErrClosed
	}
	if w.pipe == nil && !w.fresh && !w.append && w.pos == 0 && w.size > 0 { // STOR would truncate the file
		return 0, &fs.PathError{Op: "write", Path: w.name, Err: errors.ErrUnsupported}
	}
	w.start()
	n, err := w.pipe.Write(b)
	w.pos += int64(n)
	if err != nil {
		err = pathError("write", w.name, err)
	}
	return n, err
}

// WriteString is like Write.
func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// WriteAt writes only at the current position, because a transfer can't move back or skip.
func (w *writer) WriteAt(b []byte, offset int64) (int, error) {
	if _, err := w.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	return w.Write(b)
}

// start begins the transfer in another goroutine.
func (w *writer) start() {
	if w.pipe != nil {
		return
	}
	var pr *io.PipeReader
	pr, w.pipe = io.Pipe()
	w.result = make(chan error, 1)
	offset := w.pos
	go func() {
		err := w.fs.withStream(func(c *client.Client) error {
			if w.append && !w.fresh {
				_, err := c.Append(w.fs.ctx, w.fs.at(w.name), pr)
				return err
			}
			_, err := c.StoreWith(w.fs.ctx, client.Transfer{Path: w.fs.at(w.name), Offset: offset}, pr)
			return err
		})
		_ = pr.CloseWithError(err) // a later Write returns err
		w.result <- err
	}()
}

// Seek sets where the transfer begins. After the first Write it can only return the current position.
func (w *writer) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.pos
	case io.SeekEnd:
		offset += max(w.size, w.pos)
	}
	switch {
	case w.closed:
		return 0, fs.ErrClosed
	case offset == w.pos:
		return w.pos, nil
	case offset < 0:
		return 0, &fs.PathError{Op: "seek", Path: w.name, Err: fs.ErrInvalid}
	case w.pipe != nil, w.append, offset > w.size: // no gaps
		return 0, &fs.PathError{Op: "seek", Path: w.name, Err: errors.ErrUnsupported}
	}
	w.pos = offset
	return offset, nil
}

// Truncate empties a file before its first Write. Any other change of the size is unsupported.
func (w *writer) Truncate(size int64) error {
	switch {
	case w.closed:
		return fs.ErrClosed
	case size == max(w.size, w.pos):
		return nil
	case size == 0 && w.pipe == nil:
		w.fresh, w.size, w.pos = true, 0, 0
		return nil
	}
	return &fs.PathError{Op: "truncate", Path: w.name, Err: errors.ErrUnsupported}
}

func (w *writer) Close() error {
	if w.closed {
		return fs.ErrClosed
	}
	if w.fresh {
		w.start() // create an empty file
	}
	w.closed = true
	if w.pipe == nil {
		return nil
	}
	_ = w.pipe.Close()
	return pathError("close", w.name, <-w.result)
}

// dir is an open directory. It is listed once, at the first Readdir.
type dir struct {
	notFile
	fs   *Fs
	name string
	info fs.FileInfo
	all  *client.Listing // nil: not read yet
	next int
}

func (d *dir) Name() string               { return d.name }
func (d *dir) Stat() (fs.FileInfo, error) { return d.info, nil }

func (d *dir) Close() error {
	if d.all != nil {
		d.all.Close()
	}
	return nil
}

// Readdir is like that of os.File, but sorted by name.
func (d *dir) Readdir(n int) ([]fs.FileInfo, error) {
	if d.all == nil {
		err := d.fs.do("readdir", d.name, func(c *client.Client, p string) error { return d.list(d.fs.ctx, c, p) })
		if err != nil {
			return nil, err
		}
	}
	left := d.all.Len() - d.next
	if n > 0 && left <= 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > left {
		n = max(left, 0)
	}
	some := make([]fs.FileInfo, 0, n)
	for range n {
		e, err := d.all.At(d.next)
		if err != nil {
			return some, pathError("readdir", d.name, err)
		}
		some = append(some, entryInfo{e})
		d.next++
	}
	return some, nil
}

func (d *dir) list(ctx context.Context, c *client.Client, p string) error {
	all, err := c.ReadDir(ctx, p)
	if err != nil {
		return err
	}
	if len(all.Odd) > 0 {
		all.Close()
		return all.Odd[0]
	}
	d.all = all
	return nil
}

func (d *dir) Readdirnames(n int) ([]string, error) {
	infos, err := d.Readdir(n)
	names := make([]string, 0, len(infos))
	for _, fi := range infos {
		names = append(names, fi.Name())
	}
	return names, err
}
