package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// copyObject lets the store copy a file to another key. With isNew the error is fs.ErrExist if that exists. If meta is
// not nil, it replaces the metadata that clients can set. The error is ESTALE if the file has changed.
func (f *Fs) copyObject(ctx context.Context, from object, key string, isNew bool, meta map[string]string) error {
	switch {
	case from.size > f.sizes.whole || (isNew && from.size > f.sizes.part):
		return f.copyLarge(ctx, from, key, isNew, meta)
	case isNew:
		return f.copyNew(ctx, from, key)
	}
	dst := minio.CopyDestOptions{Bucket: f.bucket, Object: key}
	if meta != nil {
		o := stored(from)
		dst.ReplaceMetadata, dst.UserMetadata = true, meta
		dst.ContentType, dst.ContentEncoding = o.ContentType, o.ContentEncoding
		dst.ContentDisposition, dst.ContentLanguage, dst.CacheControl = o.ContentDisposition, o.ContentLanguage, o.CacheControl
	}
	src := minio.CopySrcOptions{Bucket: f.bucket, Object: from.key, MatchETag: quote(from.etag)}
	done, err := retry(ctx, f, func(ctx context.Context) (minio.UploadInfo, error) {
		return f.core.Client.CopyObject(ctx, dst, src)
	})
	if err == nil && done.ETag == "" {
		err = &storeError{publicFailed, errors.New("the copy has no ETag")}
	}
	return changed(err)
}

// changed returns ESTALE for a condition that did not hold.
func changed(err error) error {
	if errors.Is(err, errPrecondition) {
		return errChanged
	}
	return err
}

// stored returns the settings for a copy of an object with the same metadata.
func stored(from object) minio.PutObjectOptions {
	o := from.stored
	return minio.PutObjectOptions{
		ContentType:        o.ContentType,
		ContentEncoding:    o.Metadata.Get("Content-Encoding"),
		ContentDisposition: o.Metadata.Get("Content-Disposition"),
		ContentLanguage:    o.Metadata.Get("Content-Language"),
		CacheControl:       o.Metadata.Get("Cache-Control"),
		UserMetadata:       maps.Clone(o.UserMetadata),
	}
}

// copyNew copies a small file through this process, because not every store can copy under a condition.
func (f *Fs) copyNew(ctx context.Context, from object, key string) error {
	var b buffer
	defer func() { b.free(f, false) }()
	if err := b.room(ctx, f, int(from.size), f.sizes.of(1)); err != nil {
		return err
	}
	b.b = b.b[:from.size]
	if _, err := f.readFull(ctx, from, b.b, 0); err != nil {
		return err
	}
	opts := stored(from)
	opts.SetMatchETagExcept("*")
	nonce := newNonce()
	if opts.UserMetadata == nil {
		opts.UserMetadata = map[string]string{}
	}
	setMeta(opts.UserMetadata, nonceKey, nonce)
	_, err := f.put(ctx, key, b.b, opts)
	if err != nil && f.hasMeta(ctx, key, nonceKey, nonce) {
		err = nil // only the reply was lost
	}
	if errors.Is(err, errPrecondition) {
		err = fs.ErrExist
	}
	return err
}

// setMeta sets metadata, whose keys come back from the store with other letter cases.
func setMeta(meta map[string]string, key, value string) {
	for k := range meta {
		if strings.EqualFold(k, key) {
			delete(meta, k)
		}
	}
	meta[key] = value
}

// hasMeta reports whether an object exists and has that metadata.
func (f *Fs) hasMeta(ctx context.Context, key, name, value string) bool {
	o, err := f.head(ctx, key)
	if err != nil {
		return false
	}
	return valueOf(o, name) == value
}

// copyLarge copies a file in parts.
func (f *Fs) copyLarge(ctx context.Context, from object, key string, isNew bool, meta map[string]string) error {
	opts := stored(from)
	if meta != nil {
		opts.UserMetadata = meta
	}
	if opts.UserMetadata == nil {
		opts.UserMetadata = map[string]string{}
	}
	nonce := newNonce()
	setMeta(opts.UserMetadata, nonceKey, nonce)
	id, err := once(ctx, f, func(ctx context.Context) (string, error) {
		return f.core.NewMultipartUpload(ctx, f.bucket, key, opts)
	})
	if err != nil {
		return err
	}
	var when minio.PutObjectOptions
	if isNew {
		when.SetMatchETagExcept("*")
	} else if key == from.key {
		when.SetMatchETag(from.etag)
	}
	parts, err := f.copyParts(ctx, from, key, id, 1, 0, from.size)
	if err == nil {
		_, err = f.completeParts(ctx, key, id, parts, when, func() bool { return f.hasMeta(ctx, key, nonceKey, nonce) })
	}
	if err != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.transport.timeout)
		defer cancel()
		_ = f.abort(late, key, id)
	}
	if errors.Is(err, errPrecondition) && isNew {
		return fs.ErrExist
	}
	return changed(err)
}

// setTime sets the time of a file in its metadata, by a copy onto itself.
func (f *Fs) setTime(ctx context.Context, o object, t time.Time) error {
	meta := maps.Clone(o.stored.UserMetadata)
	if meta == nil {
		meta = map[string]string{}
	}
	setMeta(meta, timeKey, formatTime(t))
	return f.copyObject(ctx, o, o.key, false, meta)
}

// Chtimes sets the time of a file. A zero mtime changes nothing, and atime is ignored. The time of a directory is
// unsupported. The ETag of the file may change, and then an interrupted upload that was to replace it can't be
// resumed.
func (f *Fs) Chtimes(name string, _, mtime time.Time) error {
	o, err := f.existing(name)
	switch {
	case err != nil || mtime.IsZero():
	case o.dir:
		err = errors.ErrUnsupported
	default:
		err = f.setTime(f.life, o, mtime)
	}
	return pathError("chtimes", name, err)
}

// Chmod returns errors.ErrUnsupported if the file exists.
func (f *Fs) Chmod(name string, _ fs.FileMode) error {
	_, err := f.existing(name)
	if err == nil {
		err = errors.ErrUnsupported
	}
	return pathError("chmod", name, err)
}

// Chown returns errors.ErrUnsupported if the file exists.
func (f *Fs) Chown(name string, _, _ int) error {
	_, err := f.existing(name)
	if err == nil {
		err = errors.ErrUnsupported
	}
	return pathError("chown", name, err)
}

func (f *Fs) existing(name string) (object, error) {
	key, err := f.key(name)
	if err != nil {
		return object{}, err
	}
	return f.find(f.life, key)
}

// checkCopy compares the size of a copy with that of the file.
func (f *Fs) checkCopy(ctx context.Context, from object, key string) error {
	o, err := f.head(ctx, key)
	if err == nil && o.size != from.size {
		err = &storeError{publicDamage, fmt.Errorf("a copy has %d bytes instead of %d", o.size, from.size)}
	}
	return err
}
