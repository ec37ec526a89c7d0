package s3fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"time"
)

// Upload and UploadOptions are the types of the same names in miniftp/ftp/server. They are aliases of unnamed types,
// so the packages need not import each other.
type (
	// Upload is an upload that is running. Its methods are called one after the other; the last is Commit, Keep or
	// Abort.
	Upload = interface {
		io.Writer
		Start() int64
		Commit(ctx context.Context, modified time.Time) error
		Keep(ctx context.Context) (int64, error)
		Abort(ctx context.Context) error
	}

	// UploadOptions say how the bytes of an upload become a file. If Offset is not 0, they continue the
	// interrupted upload of Owner, or replace bytes of the file from there on. Append adds them to the file, or to
	// the interrupted upload if there is no file. New means that the file must not replace another one. Hold means that
	// the content is to be read before it becomes visible; see Fs.Upload.
	UploadOptions = struct {
		Owner  string
		Offset int64
		Append bool
		New    bool
		Hold   bool
	}
)

// part is a part of a multipart upload that the store has confirmed.
type part struct {
	number int
	size   int64
	etag   string
}

// upload implements Upload.
type upload struct {
	f       *Fs
	ctx     context.Context // of Write
	name    string
	key     string // of the object that the bytes become
	final   string // the key of the file
	owner   string
	isNew   bool
	base    object // the version that is replaced or changed
	exists  bool   // base exists
	version string // of the file that is replaced, for baseKey

	into   bool  // base is changed from start on
	start  int64 // the position of the first byte
	at     int64 // the position of the next byte
	nonce  string
	claims string // the name of the record
	tailed bool   // what follows the new bytes in base was added

	record  *record // nil as long as there is no multipart upload
	parts   []part
	buf     buffer
	sending *sending
	lost    bool // another session has resumed the upload
	ended   bool

	// Of an upload that is held back:
	hold        bool
	held        *object // after Hold
	failed      error   // of Hold
	content     *readFile
	stopContent func() bool
}

// Upload begins an upload to name, whose directory must exist. ctx ends the calls of Write.
//
// An upload with Append begins at the end of the file, even if another append to it was interrupted. Only if there is no
// file does it continue the interrupted upload of the owner.
//
// An upload with Offset continues the interrupted upload of the owner. The offset must be the end of one of its
// parts; at any other offset, the error has a method ResumeAt() int64. If the owner has no interrupted upload, the
// bytes replace those of the file from the offset on, which must not be beyond its end. Further errors are
// syscall.EBUSY if the interrupted upload is still running, or another process has just resumed it, and
// syscall.ESTALE if the file was replaced since it was interrupted.
//
// Write waits while the pool of memory is used up. Commit returns an error of the following kinds besides those of
// the store: fs.ErrExist with New if there is a file of that name, and syscall.ESTALE if the file that is changed
// was replaced or removed, or if another session has resumed the upload.
//
// With Hold, the upload also has the methods Hold and Content, with which its content can be read before Commit makes
// it visible. Then no file can be changed or appended to: the error is errors.ErrUnsupported.
func (f *Fs) Upload(ctx context.Context, name string, o UploadOptions) (Upload, error) {
	u, err := f.newUpload(ctx, name, o)
	if err != nil {
		return nil, pathError("upload", name, err)
	}
	return u, nil
}

func (f *Fs) newUpload(ctx context.Context, name string, o UploadOptions) (*upload, error) {
	key, err := f.key(name)
	if err != nil {
		return nil, err
	}
	u := &upload{f: f, ctx: ctx, name: name, key: key, final: key, owner: o.Owner, isNew: o.New, nonce: newNonce()}
	if u.base, u.exists, err = f.target(ctx, key); err != nil {
		return nil, err
	}
	if u.exists && o.New {
		return nil, fs.ErrExist
	}
	u.claims, u.version = f.recordName(key, o.Owner), baseOf(u.base)
	if o.Hold {
		u.holdBack()
	}
	alone := f.claim(u.claims)
	if !alone && (o.Offset > 0 || o.Append) {
		err = syscall.EBUSY
	} else {
		err = u.open(o)
	}
	if err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// open finds out where the upload begins.
func (u *upload) open(o UploadOptions) error {
	if o.Offset == 0 && !o.Append {
		return nil
	}
	k, err := u.f.findKept(u.ctx, u.claims, u.base, u.exists)
	if ok, err := u.openHeld(k, err, o); ok {
		return err
	}
	switch {
	case err == nil && o.Append && u.exists:
		// The interrupted upload stays as it is. A client that appends counts from the size of the file.
	case err == nil && o.Append:
		return u.resume(k, k.size)
	case err == nil:
		return u.resume(k, o.Offset)
	case errors.Is(err, syscall.ESTALE) && o.Append, errors.Is(err, fs.ErrNotExist):
	default:
		return err
	}
	offset := o.Offset
	if o.Append {
		offset = u.base.size
	}
	if offset > u.base.size {
		return &resumeError{u.base.size}
	}
	return u.change(offset)
}

// change makes the upload change the version in base from an offset on.
func (u *upload) change(offset int64) error {
	u.into, u.start, u.at = u.exists, offset, offset
	if u.start >= u.f.sizes.least {
		return nil // the store copies what precedes the new bytes
	}
	return u.read(0, u.start)
}

// resume continues an interrupted upload at an offset.
func (u *upload) resume(k *kept, offset int64) error {
	n, end := 0, int64(0)
	for n < len(k.parts) && end < offset {
		end += k.parts[n].size
		n++
	}
	if end != offset {
		return &resumeError{k.size}
	}
	r := k.record
	r.Nonce, r.Time, r.From, r.Stale = u.nonce, time.Now(), n, nil
	r.Start = min(r.Start, offset)
	for _, p := range k.parts[n:] {
		r.Stale = append(r.Stale, p.etag)
	}
	r.Stale = append(r.Stale, k.later...)
	err := u.f.putRecord(u.ctx, r)
	if errors.Is(err, errPrecondition) || errors.Is(err, fs.ErrNotExist) {
		return syscall.EBUSY // another process has resumed it at the same time
	}
	if err != nil {
		return err
	}
	u.record, u.parts, u.into = r, k.parts[:n:n], r.Into
	u.start, u.at = offset, offset
	return nil
}

// read appends bytes of the old version to the buffer.
func (u *upload) read(from, to int64) error { return u.readFor(u.ctx, from, to) }

func (u *upload) readFor(ctx context.Context, from, to int64) error {
	n := int(to - from)
	if n == 0 {
		return nil
	}
	if err := u.buf.room(ctx, u.f, n, u.limit()); err != nil {
		return err
	}
	end := len(u.buf.b)
	if _, err := u.f.readFull(ctx, u.base, u.buf.b[end:end+n], from); err != nil {
		return err
	}
	u.buf.b = u.buf.b[:end+n]
	return nil
}

// limit returns the size of the part that is in the buffer.
func (u *upload) limit() int64 {
	n := len(u.parts) + 1
	if u.sending != nil {
		n++
	}
	return max(u.f.sizes.of(n), u.buf.held)
}

// Start returns the position of the first byte in the file.
func (u *upload) Start() int64 { return u.start }

// Write adds bytes. Those that it has returned may still be on their way to the store.
func (u *upload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, pathError("write", u.name, fs.ErrClosed)
	}
	n := 0
	for n < len(p) {
		limit := u.limit()
		if int64(len(u.buf.b)) >= limit {
			if err := u.flush(u.ctx, false); err != nil {
				return n, pathError("write", u.name, err)
			}
			continue
		}
		k := int(min(int64(len(p)-n), limit-int64(len(u.buf.b))))
		if len(u.buf.b) < freeBuffer {
			k = min(k, freeBuffer-len(u.buf.b))
		}
		if err := u.buf.room(u.ctx, u.f, k, limit); err != nil {
			return n, pathError("write", u.name, err)
		}
		u.buf.b = append(u.buf.b, p[n:n+k]...)
		u.at += int64(k)
		n += k
		if u.at > maxFile {
			return n, pathError("write", u.name, syscall.EFBIG)
		}
	}
	return n, nil
}
