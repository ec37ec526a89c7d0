package s3fs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"strings"
	"syscall"
	"time"
)

// An upload with UploadOptions.Hold becomes an object below .miniftp/held first, which clients can't see. There its
// content can be read until it is decided whether it becomes the file. Commit lets the store copy it to its name.
// S3 has no other way: the parts of a multipart upload can't be read before it is complete, and then it is visible.
//
//	begin ── Write … ──→ Hold ──→ Content ──→ Commit: copied to the name of the file, then removed
//	           │                     │──────→ Keep: stays, and all but its last byte counts as kept
//	           └──→ Keep, Abort      └──────→ Abort: removed
//
// An object that stays can be resumed: its beginning and what follows become another object. It belongs to one name, one
// owner and one version of the file that it is to replace. Each object has a key of its own, and is written once: so what
// is copied is what was read, even if another upload of the same owner to the same name has the same ETag, which is an
// MD5 that can be forged.

// baseKey is the key of the metadata with the ETag of the version that a held object is to replace, or noBase.
const (
	baseKey = "miniftp-base"
	noBase  = "-"
)

// heldBelow returns the prefix of the keys of held objects.
func (f *Fs) heldBelow() string { return f.below(f.root) + reserved + "/held/" }

// heldPrefix returns what the keys of the objects begin with that hold uploads of an owner to a key.
func (f *Fs) heldPrefix(key, owner string) string {
	k, o := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(owner))
	return f.heldBelow() + hex.EncodeToString(k[:16]) + "-" + hex.EncodeToString(o[:16]) + "-"
}

// isHeld reports whether a record is that of an upload that is held back.
func (r *record) isHeld(f *Fs, key, owner string) bool {
	return strings.HasPrefix(r.Key, f.heldPrefix(key, owner))
}

// findHeld returns the newest object that holds an upload of an owner to a key, and that no upload of this process
// uses. The error is fs.ErrNotExist if there is none for this version of the file, or nothing of it can be resumed.
func (f *Fs) findHeld(ctx context.Context, key, owner string, now object) (object, error) {
	newest := entry{}
	for e, err := range f.keys(f.heldPrefix(key, owner)) {
		if err != nil {
			return object{}, err
		}
		if !f.isRunning(e.key) && (newest.key == "" || e.object.LastModified.After(newest.object.LastModified)) {
			newest = e
		}
	}
	if newest.key == "" {
		return object{}, fs.ErrNotExist
	}
	o, err := f.head(ctx, newest.key)
	if err == nil && (valueOf(o, baseKey) != baseOf(now) || o.size < 2) {
		err = fs.ErrNotExist
	}
	return o, err
}

// dropHeld removes the objects that hold uploads of an owner to a key, except those that uploads of this process use. It
// returns how many there were.
func (f *Fs) dropHeld(ctx context.Context, key, owner string) (removed int, err error) {
	for e, err := range f.keys(f.heldPrefix(key, owner)) {
		if err == nil && !f.isRunning(e.key) {
			err = f.deleteKey(ctx, e.key)
			removed++
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// baseOf returns the value of baseKey for a version of a file, or for none.
func baseOf(now object) string {
	if now.etag == "" {
		return noBase
	}
	return now.etag
}

// valueOf returns the metadata of an object with that name, whose letter case is up to the store.
func valueOf(o object, name string) string {
	for k, v := range o.stored.UserMetadata {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// holdBack makes the upload one that is held back, under a new key.
func (u *upload) holdBack() { u.holdAt(u.f.heldPrefix(u.final, u.owner) + u.nonce) }

func (u *upload) holdAt(key string) {
	if u.hold {
		u.f.release(u.key)
	}
	u.hold, u.key = true, key
	u.f.claim(key)
}

// openHeld prepares a resumed or appended upload that is held back. It returns false if the caller should handle the
// upload as usual.
func (u *upload) openHeld(k *kept, found error, o UploadOptions) (bool, error) {
	if found == nil && !k.record.isHeld(u.f, u.final, u.owner) {
		if u.hold { // what is there of it would become visible with its last part
			return true, errors.ErrUnsupported
		}
		return false, nil
	}
	if o.Append && u.exists {
		if u.hold {
			return true, errors.ErrUnsupported
		}
		return false, nil
	}
	if found == nil {
		u.holdAt(k.record.Key)
		if o.Append {
			o.Offset = k.size
		}
		return true, u.resume(k, o.Offset)
	}
	if !errors.Is(found, fs.ErrNotExist) && !errors.Is(found, syscall.ESTALE) {
		return false, nil
	}
	whole, err := u.f.findHeld(u.ctx, u.final, u.owner, u.base)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !u.hold:
		return false, nil
	case errors.Is(err, fs.ErrNotExist) && o.Append:
		return true, nil
	case errors.Is(err, fs.ErrNotExist) && u.exists:
		return true, errors.ErrUnsupported
	case errors.Is(err, fs.ErrNotExist):
		return true, &resumeError{0}
	case err != nil:
		return true, err
	}
	offset := o.Offset
	if o.Append {
		offset = whole.size - 1
	}
	if offset >= whole.size {
		return true, &resumeError{whole.size - 1}
	}
	u.holdBack()
	u.base, u.exists = whole, true
	return true, u.change(offset)
}

// Hold completes an upload that is held back, and compares what the store says of it. Nothing is visible then. If Hold
// fails, the upload has to be ended by Keep or Abort.
func (u *upload) Hold(ctx context.Context) error {
	return pathError("hold", u.name, u.holdNow(ctx))
}

func (u *upload) holdNow(ctx context.Context) error {
	switch {
	case u.ended:
		return fs.ErrClosed
	case !u.hold:
		return errors.ErrUnsupported
	case u.held != nil:
		return nil
	}
	err := u.commit(ctx, time.Time{})
	if err == nil {
		var o object
		o, err = u.f.head(ctx, u.key)
		if err == nil {
			u.held = &o
		}
	}
	if err != nil {
		u.failed = err
		return err
	}
	u.discardRecord(ctx)
	u.buf.free(u.f, false)
	return nil
}

// discardRecord removes the record of a multipart upload that is complete.
func (u *upload) discardRecord(ctx context.Context) {
	if u.record != nil {
		_ = u.f.dropRecord(ctx, u.record) // the sweep removes it otherwise
		u.record = nil
	}
}

// Content returns the content of an upload after Hold. It can be read until the upload or ctx ends. ReadAt may be called
// concurrently.
func (u *upload) Content(ctx context.Context) (content io.ReaderAt, size int64, err error) {
	if u.held == nil || u.ended {
		return nil, 0, pathError("read", u.name, fs.ErrClosed)
	}
	u.closeContent()
	u.content = u.f.newReader(u.name, *u.held)
	u.stopContent = context.AfterFunc(ctx, u.content.cancel)
	return u.content, u.held.size, nil
}

func (u *upload) closeContent() {
	if u.content != nil {
		u.stopContent()
		_ = u.content.Close()
		u.content = nil
	}
}

// publish copies the held object to the name of the file.
func (u *upload) publish(ctx context.Context, modified time.Time) error {
	meta := maps.Clone(u.held.stored.UserMetadata)
	maps.DeleteFunc(meta, func(k, _ string) bool { return strings.EqualFold(k, baseKey) })
	if !modified.IsZero() {
		setMeta(meta, timeKey, formatTime(modified))
	}
	o := *u.held
	o.stored.UserMetadata = meta
	if target, err := u.f.lookup(ctx, u.final); err == nil && target.dir {
		return syscall.EISDIR
	}
	if err := u.f.copyObject(ctx, o, u.final, u.isNew, meta); err != nil {
		return err
	}
	if err := u.f.checkCopy(ctx, o, u.final); err != nil {
		return err
	}
	_ = u.f.deleteKey(ctx, u.key) // the sweep removes it otherwise
	u.supersede(ctx)
	return nil
}

// supersede removes what is held of older uploads, which can't be resumed any more.
func (u *upload) supersede(ctx context.Context) {
	_, _ = u.f.dropHeld(ctx, u.final, u.owner) // the sweep removes it otherwise
}

// sweepHeld removes the held objects that are older than a time.
func (f *Fs) sweepHeld(ctx context.Context, before time.Time) (removed int, err error) {
	for e, err := range f.keys(f.heldBelow()) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && e.object.LastModified.Before(before) {
			err = f.deleteKey(ctx, e.key)
			removed++
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}
