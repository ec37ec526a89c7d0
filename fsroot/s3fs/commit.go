package s3fs

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// Commit makes the file and compares what the store says of it. modified is the time of the file if it is not zero. If
// Commit fails, what can be resumed is kept.
func (u *upload) Commit(ctx context.Context, modified time.Time) error {
	if u.ended {
		return pathError("commit", u.name, fs.ErrClosed)
	}
	err := u.commitNow(ctx, modified)
	// The reason why the upload failed is more useful than that of the cleaning up.
	switch {
	case err == nil:
		u.discardRecord(ctx)
	case u.lost:
	case u.held != nil: // it can be resumed, unless it never can become the file
		if errors.Is(err, fs.ErrExist) {
			_ = u.f.deleteKey(ctx, u.key)
		}
	case u.spoiled(err):
		_ = u.remove(ctx)
	default:
		_, _ = u.keep(ctx)
	}
	u.close()
	return pathError("commit", u.name, err)
}

// spoiled reports whether nothing can be resumed after an upload has failed with err.
func (u *upload) spoiled(err error) bool {
	return errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ESTALE) || u.tailed
}

func (u *upload) commitNow(ctx context.Context, modified time.Time) error {
	if !u.hold {
		return u.commit(ctx, modified)
	}
	if err := u.holdNow(ctx); err != nil {
		return err
	}
	return u.publish(ctx, modified)
}

// commit makes the object of the bytes.
func (u *upload) commit(ctx context.Context, modified time.Time) error {
	if u.into && !u.hold && u.record == nil && u.at == u.start {
		return nil // nothing is to be changed
	}
	if err := u.settle(ctx); err != nil {
		return err
	}
	switch {
	case u.into && u.hold: // what follows the new bytes is no longer wanted
		if u.record == nil && u.start >= u.f.sizes.least {
			if err := u.begin(ctx); err != nil {
				return err
			}
		}
	case u.into:
		if err := u.tail(ctx); err != nil {
			return err
		}
	}
	if u.record == nil && (!u.into || u.start < u.f.sizes.least) {
		return u.single(ctx, modified)
	}
	if len(u.buf.b) > 0 || len(u.parts) == 0 {
		if err := u.flush(ctx, true); err != nil {
			return err
		}
	}
	return u.complete(ctx, modified)
}

// tail adds the bytes of the old version that follow the new ones.
func (u *upload) tail(ctx context.Context) error {
	at, end := u.at, u.base.size
	if at >= end {
		return nil
	}
	u.tailed = true
	if u.record == nil && u.start < u.f.sizes.least && int64(len(u.buf.b))+end-at <= u.f.sizes.of(1) {
		return u.readFor(ctx, at, end)
	}
	if err := u.begin(ctx); err != nil {
		return err
	}
	if n := int64(len(u.buf.b)); n > 0 && n < u.f.sizes.least { // too small for a part before others
		fill := min(u.f.sizes.least-n, end-at)
		if err := u.readFor(ctx, at, at+fill); err != nil {
			return err
		}
		at += fill
	}
	if at == end {
		return nil // the buffer is the last part
	}
	if len(u.buf.b) > 0 {
		if err := u.flush(ctx, true); err != nil {
			return err
		}
	}
	return u.copyOld(ctx, at, end)
}

// condition sets the condition under which the file may be made.
func (u *upload) condition(opts *minio.PutObjectOptions) {
	switch {
	case u.hold: // nothing else has the key
	case u.isNew:
		opts.SetMatchETagExcept("*")
	case u.into:
		opts.SetMatchETag(u.base.etag)
	}
}

// refused returns the error for a condition that did not hold.
func (u *upload) refused(err error) error {
	switch {
	case !errors.Is(err, errPrecondition) && !errors.Is(err, errNoUpload) && !(u.into && errors.Is(err, fs.ErrNotExist)):
		return err
	case u.isNew && !u.hold && errors.Is(err, errPrecondition):
		return fs.ErrExist
	}
	return syscall.ESTALE
}

// single makes a file of one part.
func (u *upload) single(ctx context.Context, modified time.Time) error {
	opts := u.options(modified)
	u.condition(&opts)
	put, err := u.f.put(ctx, u.key, u.buf.b, opts)
	if err != nil {
		if !u.mine(ctx) { // else only the reply was lost
			return u.refused(err)
		}
	}
	return u.verify(ctx, put.ETag, int64(len(u.buf.b)), 0)
}

// mine reports whether the file is that of this upload.
func (u *upload) mine(ctx context.Context) bool {
	o, err := u.f.head(ctx, u.key)
	return err == nil && u.made(o)
}

// made reports whether this upload made an object.
func (u *upload) made(o object) bool {
	want := u.nonce
	if u.record != nil {
		want = u.record.Made
	}
	return valueOf(o, nonceKey) == want
}

// complete makes a file of several parts.
func (u *upload) complete(ctx context.Context, modified time.Time) error {
	if err := u.owned(ctx); err != nil {
		return err
	}
	if u.into {
		now, err := u.f.head(ctx, u.base.key)
		if err == nil && now.etag != u.base.etag {
			err = syscall.ESTALE
		}
		if err != nil {
			return u.refused(err)
		}
	}
	var opts minio.PutObjectOptions
	u.condition(&opts)
	etag, err := u.f.completeParts(ctx, u.key, u.record.UploadID, u.parts, opts, func() bool { return u.mine(ctx) })
	if err != nil {
		return u.refused(err)
	}
	if err := u.verify(ctx, etag, sum(u.parts), len(u.parts)); err != nil {
		return err
	}
	if !modified.IsZero() {
		// The metadata of a multipart upload is that of its beginning, when the time is not known.
		if o, err := u.f.head(ctx, u.key); err == nil && u.made(o) {
			_ = u.f.setTime(ctx, o, modified) // the file is whole without it
		}
	}
	return nil
}

// completeParts assembles a multipart upload. If a reply is lost, done has to find out whether that has happened.
func (f *Fs) completeParts(ctx context.Context, key, uploadID string, parts []part, opts minio.PutObjectOptions, done func() bool) (string, error) {
	list := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		list[i] = minio.CompletePart{PartNumber: p.number, ETag: p.etag}
	}
	for n := 1; ; n++ {
		put, err := f.core.CompleteMultipartUpload(ctx, f.bucket, key, uploadID, list, opts)
		if err == nil {
			return put.ETag, nil
		}
		if done() {
			return "", nil
		}
		if n == tries || !temporary(err) || ctx.Err() != nil {
			return "", f.mapError(err)
		}
		if err := pause(ctx, f.life, time.Duration(10*n)*f.backoff); err != nil {
			return "", err
		}
	}
}

// verify compares the file with what was sent. etag is that of the reply, or empty if the reply was lost; parts is
// their number, or 0.
func (u *upload) verify(ctx context.Context, etag string, size int64, parts int) error {
	damage := func(format string, args ...any) error { return &storeError{publicDamage, fmt.Errorf(format, args...)} }
	o, err := u.f.head(ctx, u.key)
	if errors.Is(err, fs.ErrNotExist) {
		return &storeError{publicFailed, errors.New("the file has disappeared before it could be checked")}
	}
	if err != nil {
		return err
	}
	if !u.made(o) && o.etag != etag {
		return nil // another upload has replaced it meanwhile; the store had confirmed this one
	}
	if o.size != size {
		return damage("%d bytes instead of %d", o.size, size)
	}
	if parts == 0 {
		if hash := md5.Sum(u.buf.b); !u.f.agrees(o.etag, hash[:]) {
			return damage("ETag %q, want %x", o.etag, hash)
		}
		return nil
	}
	if _, n, ok := strings.Cut(o.etag, "-"); ok && len(o.etag) == 33+len(n) && n != fmt.Sprint(parts) {
		return damage("ETag %q, want %d parts", o.etag, parts)
	}
	return nil
}
