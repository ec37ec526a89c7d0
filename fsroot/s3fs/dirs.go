package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"
)

// putMarker makes the object of a directory. With isNew the error is errPrecondition if it exists.
func (f *Fs) putMarker(ctx context.Context, key string, isNew bool) error {
	opts := minio.PutObjectOptions{ContentType: "application/x-directory"}
	if isNew {
		opts.SetMatchETagExcept("*")
	}
	_, err := f.put(ctx, key+"/", nil, opts)
	return err
}

// keepParent makes the object of the directory that contains key, if there is nothing else in it. It is called
// before key is removed or moved away.
func (f *Fs) keepParent(ctx context.Context, key string) error {
	dir := parent(key)
	if dir == f.root || dir == "" {
		return nil
	}
	page, err := f.page(pageOf{prefix: dir + "/", max: 2})
	if err != nil {
		return err
	}
	for _, e := range page.entries {
		if strings.TrimSuffix(e.key, "/") != key {
			return nil
		}
	}
	return f.putMarker(ctx, dir, false)
}

// Mkdir implements afero.Fs. The mode is ignored.
func (f *Fs) Mkdir(name string, _ fs.FileMode) error {
	key, err := f.key(name)
	if err == nil {
		err = f.mkdir(key)
	}
	return pathError("mkdir", name, err)
}

func (f *Fs) mkdir(key string) error {
	if _, err := f.find(f.life, key); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.findParent(f.life, key); err != nil {
		return err
	}
	err := f.putMarker(f.life, key, true)
	if errors.Is(err, errPrecondition) || errors.Is(err, syscall.EISDIR) {
		err = fs.ErrExist
	}
	return err
}

// MkdirAll implements afero.Fs. The mode is ignored.
func (f *Fs) MkdirAll(name string, _ fs.FileMode) error {
	key, err := f.key(name)
	if err == nil {
		err = f.mkdirAll(key)
	}
	return pathError("mkdir", name, err)
}

func (f *Fs) mkdirAll(key string) error {
	var missing []string
	for {
		o, err := f.lookup(f.life, key)
		if err == nil && !o.dir {
			return syscall.ENOTDIR
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, key)
		key = parent(key)
	}
	for _, dir := range slices.Backward(missing) {
		if err := f.putMarker(f.life, dir, true); err != nil && !errors.Is(err, errPrecondition) {
			return err
		}
	}
	return nil
}

// Remove implements afero.Fs. The error for a directory that is not empty is syscall.ENOTEMPTY. A directory with
// keys that listings leave out is not empty.
func (f *Fs) Remove(name string) error {
	key, err := f.key(name)
	if err == nil {
		err = f.remove(f.life, key)
	}
	return pathError("remove", name, err)
}

func (f *Fs) remove(ctx context.Context, key string) error {
	if key == f.root {
		return fs.ErrPermission
	}
	o, err := f.find(ctx, key)
	if err != nil {
		return err
	}
	if o.dir {
		page, err := f.page(pageOf{prefix: key + "/", max: 2})
		if err != nil {
			return err
		}
		for _, e := range page.entries {
			if e.key != key+"/" {
				return syscall.ENOTEMPTY
			}
		}
	}
	if err := f.keepParent(ctx, key); err != nil {
		return err
	}
	if o.dir {
		key += "/"
	}
	return f.deleteKey(ctx, key)
}

// RemoveAll implements afero.Fs. It removes all keys below a directory, also those that listings leave out.
func (f *Fs) RemoveAll(name string) error {
	key, err := f.key(name)
	if err == nil && key == f.root {
		err = fs.ErrPermission
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	o, err := f.find(f.life, key)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil
	case err == nil && !o.dir:
		err = f.remove(f.life, key)
	case err == nil:
		if err = f.keepParent(f.life, key); err == nil {
			err = f.removeBelow(f.life, key+"/", nil)
		}
	}
	return pathError("remove", name, err)
}

// removeBelow removes the keys below a prefix for which which returns true; nil means all. Directories are removed
// after what is in them.
func (f *Fs) removeBelow(ctx context.Context, prefix string, which func(entry) bool) error {
	var batch, dirs []string
	for e, err := range f.keys(prefix) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if which != nil && !which(e) {
			continue
		}
		if strings.HasSuffix(e.key, "/") {
			dirs = append(dirs, e.key)
			continue
		}
		if batch = append(batch, e.key); len(batch) == 1000 {
			if err := f.deleteKeys(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	slices.Reverse(dirs)
	return f.deleteKeys(ctx, append(batch, dirs...))
}

// deleteKeys removes objects, a thousand with each request.
func (f *Fs) deleteKeys(ctx context.Context, keys []string) error {
	for batch := range slices.Chunk(keys, 1000) {
		_, err := retry(ctx, f, func(ctx context.Context) (struct{}, error) {
			results, err := f.core.RemoveObjectsWithIter(ctx, f.bucket, func(yield func(minio.ObjectInfo) bool) {
				for _, key := range batch {
					if !yield(minio.ObjectInfo{Key: key}) {
						return
					}
				}
			}, minio.RemoveObjectsOptions{})
			if err != nil {
				return struct{}{}, err
			}
			for r := range results {
				if r.Err != nil && minio.ToErrorResponse(r.Err).Code != "NoSuchKey" {
					return struct{}{}, r.Err
				}
			}
			return struct{}{}, ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
