package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// kept is what can be resumed of an interrupted upload.
type kept struct {
	record *record
	parts  []part
	size   int64     // of the parts
	newest time.Time // when the last of them was stored
	later  []string  // ETags of the parts after these
}

// listParts returns all parts of a multipart upload.
func (f *Fs) listParts(ctx context.Context, key, uploadID string) ([]minio.ObjectPart, error) {
	var all []minio.ObjectPart
	marker := 0
	for {
		r, err := retry(ctx, f, func(ctx context.Context) (minio.ListObjectPartsResult, error) {
			return f.core.ListObjectParts(ctx, f.bucket, key, uploadID, marker, 1000)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, r.ObjectParts...)
		if !r.IsTruncated || r.NextPartNumberMarker <= marker {
			return all, nil
		}
		marker = r.NextPartNumberMarker
	}
}

// keptOf returns what is kept of the upload of a record. The error is fs.ErrNotExist if its multipart upload has
// ended.
func (f *Fs) keptOf(ctx context.Context, r *record) (*kept, error) {
	listed, err := f.listParts(ctx, r.Key, r.UploadID)
	if errors.Is(err, errNoUpload) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	k := &kept{record: r, newest: r.Time}
	whole := true
	for i, p := range listed {
		etag := strings.Trim(p.ETag, `"`)
		old := p.PartNumber - 1 - r.From
		stale := old >= 0 && old < len(r.Stale) && r.Stale[old] == etag
		// A part after one that is too small could never be assembled.
		if whole = whole && p.PartNumber == i+1 && p.Size >= f.sizes.least && !stale; !whole {
			for len(k.parts)+len(k.later)+1 < p.PartNumber {
				k.later = append(k.later, "")
			}
			k.later = append(k.later, etag)
			continue
		}
		k.parts = append(k.parts, part{number: p.PartNumber, size: p.Size, etag: etag})
		k.size += p.Size
		if p.LastModified.After(k.newest) {
			k.newest = p.LastModified
		}
	}
	return k, nil
}

// findKept returns what is kept of the upload with that record. The error is fs.ErrNotExist if there is nothing, and
// ESTALE if the file that it replaces has changed.
func (f *Fs) findKept(ctx context.Context, name string, now object, exists bool) (*kept, error) {
	r, err := f.getRecord(ctx, name)
	if err != nil {
		return nil, err
	}
	if r.Base != now.etag || (r.Base == "") == exists {
		return nil, syscall.ESTALE
	}
	k, err := f.keptOf(ctx, r)
	if err == nil && (k.size == 0 || (r.Into && k.size <= r.Start)) {
		err = fs.ErrNotExist
	}
	return k, err
}

// target returns the file that an upload to key would replace. exists is false if there is none.
func (f *Fs) target(ctx context.Context, key string) (o object, exists bool, err error) {
	if key == f.root {
		return o, false, syscall.EISDIR
	}
	o, err = f.lookup(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return object{key: key}, false, nil
	case err == nil && o.dir:
		err = syscall.EISDIR
	}
	return o, err == nil, err
}

// Kept returns how many bytes of the interrupted upload of an owner can be resumed, and when the last of them was
// stored. The error is fs.ErrNotExist if there is none or if the file that it was to replace has changed, and
// syscall.EBUSY if the upload is still running in this process.
func (f *Fs) Kept(ctx context.Context, name, owner string) (int64, time.Time, error) {
	n, when, err := f.sizeKept(ctx, name, owner, false)
	return n, when, pathError("kept", name, err)
}

// KeptHeld is like Kept, but only for uploads that were held back (UploadOptions.Hold).
func (f *Fs) KeptHeld(ctx context.Context, name, owner string) (int64, time.Time, error) {
	n, when, err := f.sizeKept(ctx, name, owner, true)
	return n, when, pathError("kept", name, err)
}

func (f *Fs) sizeKept(ctx context.Context, name, owner string, held bool) (int64, time.Time, error) {
	key, err := f.key(name)
	if err != nil {
		return 0, time.Time{}, err
	}
	now, exists, err := f.target(ctx, key)
	if err != nil {
		return 0, time.Time{}, err
	}
	record := f.recordName(key, owner)
	if f.isRunning(record) {
		return 0, time.Time{}, syscall.EBUSY
	}
	k, err := f.findKept(ctx, record, now, exists)
	switch {
	case err == nil && (!held || k.record.isHeld(f, key, owner)):
		return k.size, k.newest, nil
	case err == nil, errors.Is(err, syscall.ESTALE), errors.Is(err, fs.ErrNotExist):
		o, err := f.findHeld(ctx, key, owner, now)
		if err != nil {
			return 0, time.Time{}, err
		}
		return o.size - 1, o.stored.LastModified, nil
	}
	return 0, time.Time{}, err
}

// Discard removes the interrupted upload of an owner. The errors are those of Kept, but an upload to a file that has
// changed is removed as well.
func (f *Fs) Discard(ctx context.Context, name, owner string) error {
	key, err := f.key(name)
	if err != nil {
		return pathError("discard", name, err)
	}
	record := f.recordName(key, owner)
	if f.isRunning(record) {
		return pathError("discard", name, syscall.EBUSY)
	}
	r, err := f.getRecord(ctx, record)
	if err == nil {
		err = f.discard(ctx, r)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		n, dropErr := f.dropHeld(ctx, key, owner)
		if dropErr != nil || n > 0 {
			err = dropErr
		}
	}
	return pathError("discard", name, err)
}

func (f *Fs) discard(ctx context.Context, r *record) error {
	if err := f.abort(ctx, r.Key, r.UploadID); err != nil {
		return err
	}
	return f.dropRecord(ctx, r)
}

// SweepUploads removes the interrupted uploads to which nothing was added since a time, and returns how many.
// Records whose upload has ended are removed, too, and not counted. Multipart uploads of other programs are left
// alone. The first error ends the sweep.
func (f *Fs) SweepUploads(ctx context.Context, before time.Time) (removed int, err error) {
	for e, err := range f.keys(f.recordsBelow()) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return removed, err
		}
		if f.isRunning(e.key) {
			continue
		}
		done, err := f.sweep(ctx, e, before)
		if err != nil {
			return removed, err
		}
		if done {
			removed++
		}
	}
	n, err := f.sweepHeld(ctx, before)
	return removed + n, err
}

func (f *Fs) sweep(ctx context.Context, e entry, before time.Time) (bool, error) {
	r, err := f.getRecord(ctx, e.key)
	if errors.Is(err, fs.ErrNotExist) { // gone, or malformed
		if e.object.LastModified.Before(before) {
			return false, f.deleteKey(ctx, e.key)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	k, err := f.keptOf(ctx, r)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, f.dropRecord(ctx, r)
	case err != nil:
		return false, err
	case !k.newest.Before(before) || !e.object.LastModified.Before(before):
		return false, nil
	}
	return true, f.discard(ctx, r)
}

// claim notes that an upload runs in this process. It returns whether it is the only one with that record.
func (f *Fs) claim(record string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[record]++
	return f.running[record] == 1
}

func (f *Fs) release(record string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[record]--; f.running[record] == 0 {
		delete(f.running, record)
	}
}

func (f *Fs) isRunning(record string) bool { return f.runs(record) > 0 }

// runs returns how many uploads with that record run in this process.
func (f *Fs) runs(record string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[record]
}
