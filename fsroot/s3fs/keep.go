package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"
)

// This file has the ends of an upload that does not become a file: what is kept of it, and how it is removed.

// Keep ends an interrupted upload. What is in the buffer is stored if a part of that size may be followed by another
// one. It returns how many bytes of the file can be resumed; if none can, everything is removed. They are always fewer
// than were written.
func (u *upload) Keep(ctx context.Context) (int64, error) {
	if u.ended {
		return 0, pathError("keep", u.name, fs.ErrClosed)
	}
	n, err := u.keepNow(ctx)
	u.close()
	return n, pathError("keep", u.name, err)
}

func (u *upload) keepNow(ctx context.Context) (int64, error) {
	switch {
	case u.held != nil && u.held.size < 2:
		return 0, u.f.deleteKey(ctx, u.key)
	case u.held != nil:
		u.supersede(ctx)
		return u.held.size - 1, nil
	case u.failed != nil && u.spoiled(u.failed):
		return 0, u.remove(ctx)
	}
	n, err := u.keep(ctx)
	if u.hold && u.start == 0 && u.at > 0 {
		u.supersede(ctx)
	}
	return n, err
}

func (u *upload) keep(ctx context.Context) (int64, error) {
	err := u.settle(ctx)
	switch n := len(u.buf.b); {
	case err != nil || u.lost:
	case int64(n) > u.f.sizes.least:
		u.buf.b = u.buf.b[:n-1]
		err = u.flush(ctx, true)
	case n == 0:
		err = u.forgetLast(ctx)
	}
	if errors.Is(err, syscall.ESTALE) {
		return 0, errors.Join(err, u.remove(ctx))
	}
	size := int64(0)
	for _, p := range u.parts {
		if p.size < u.f.sizes.least {
			break
		}
		size += p.size
	}
	if u.record == nil {
		return 0, err
	}
	if size == 0 || (u.into && size <= u.record.Start) || u.superseded(ctx) {
		return 0, errors.Join(err, u.remove(ctx))
	}
	return size, err
}

// forgetLast makes the last part one that does not count, because all that was written is in parts.
func (u *upload) forgetLast(ctx context.Context) error {
	last := len(u.parts) - 1
	if u.record == nil || last < 0 {
		return nil
	}
	r := *u.record
	r.From, r.Stale = last, []string{u.parts[last].etag}
	if err := u.f.putRecord(ctx, &r); err != nil {
		return err
	}
	u.record, u.parts = &r, u.parts[:last]
	return nil
}

// partGrace is how long Abort lets a part on its way arrive. A store may still receive a part whose request was ended, and
// keep it after the multipart upload was aborted. Then it would stay, since no record leads to it any more.
const partGrace = 2 * time.Second

// Abort removes all that was stored.
func (u *upload) Abort(ctx context.Context) error {
	if u.ended {
		return pathError("abort", u.name, fs.ErrClosed)
	}
	if s := u.sending; s != nil {
		select {
		case <-s.done:
		case <-time.After(partGrace):
		case <-ctx.Done():
		}
		s.stop()
		<-s.done
	}
	var err error
	if u.held != nil {
		err = u.f.deleteKey(ctx, u.key)
	} else {
		err = u.remove(ctx)
	}
	u.close()
	return pathError("abort", u.name, err)
}

// remove ends the multipart upload, unless another session has resumed it.
func (u *upload) remove(ctx context.Context) error {
	if u.record == nil {
		return nil
	}
	if err := u.owned(ctx); err != nil {
		if errors.Is(err, syscall.ESTALE) {
			return nil
		}
		return err
	}
	return u.f.discard(ctx, u.record)
}

// owned returns ESTALE if another session has resumed the upload.
func (u *upload) owned(ctx context.Context) error {
	r, err := u.f.getRecord(ctx, u.record.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // completing finds out
	case err != nil:
		return err
	case r.UploadID == u.record.UploadID && r.Nonce != u.nonce:
		u.lost = true
	}
	if u.lost {
		return syscall.ESTALE
	}
	return nil
}

// superseded reports whether the record is that of a newer upload, so this one can't be resumed.
func (u *upload) superseded(ctx context.Context) bool {
	r, err := u.f.getRecord(ctx, u.record.name)
	return err == nil && r.UploadID != u.record.UploadID
}

// close frees the memory, and lets other uploads have the name.
func (u *upload) close() {
	u.ended = true
	u.closeContent()
	if u.hold {
		u.f.release(u.key)
	}
	if s := u.sending; s != nil {
		s.stop()
		u.sending = nil
		u.f.start(func() {
			<-s.done
			s.buf.free(u.f, false)
		})
	}
	u.buf.free(u.f, false)
	u.f.release(u.claims)
}
