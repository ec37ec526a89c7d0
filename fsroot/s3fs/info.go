package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// Version identifies the content of a file. FileInfo.Sys returns it for files, and nil for
// directories. It is comparable.
type Version struct{ ETag string }

// object is a file or directory of the bucket.
type object struct {
	key  string // of a directory without the slash
	dir  bool
	size int64
	etag string
	mod  time.Time

	stored minio.ObjectInfo // what HEAD returned, for files
}

// info is a fs.FileInfo.
type info struct {
	name    string
	size    int64
	mode    fs.FileMode
	mod     time.Time
	version Version
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.mod }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any {
	if i.IsDir() {
		return nil
	}
	return i.version
}

// noTime is the time of directories. Only some have an object whose time is known, and no listing shows it.
var noTime = time.Unix(0, 0)

func (f *Fs) info(o object) info {
	name := base(o.key)
	if o.key == f.root {
		name = "/"
	}
	if o.dir {
		return info{name: name, mode: fs.ModeDir | 0o755, mod: noTime}
	}
	return info{name: name, size: o.size, mode: 0o644, mod: o.mod, version: Version{o.etag}}
}

// timeKey is the key of the metadata with the time that a client has set. The value is that of rclone: seconds
// since 1970 with a fraction.
const timeKey = "mtime"

// formatTime returns the value of timeKey.
func formatTime(t time.Time) string {
	nano := strconv.Itoa(1e9 + t.Nanosecond()) // a 1 and nine digits
	return strconv.FormatInt(t.Unix(), 10) + "." + nano[1:]
}

// parseTime parses the value of timeKey.
func parseTime(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec < -1<<40 || sec > 1<<40 {
		return time.Time{}, false
	}
	nano, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(sec, int64(nano)), true
}

// modified returns the time of a file: the one that a client has set, or else that of the store. It has whole
// seconds in the latter case, because HEAD has no fraction and listings do.
func modified(o minio.ObjectInfo) time.Time {
	for key, value := range o.UserMetadata {
		if strings.EqualFold(key, timeKey) {
			if t, ok := parseTime(value); ok {
				return t
			}
		}
	}
	return o.LastModified.Truncate(time.Second)
}

// head returns the object with that key. It does not look for directories.
func (f *Fs) head(ctx context.Context, key string) (object, error) {
	o, err := retry(ctx, f, func(ctx context.Context) (minio.ObjectInfo, error) {
		o, err := f.core.StatObject(ctx, f.bucket, key, minio.StatObjectOptions{})
		var answer minio.ErrorResponse
		if errors.As(err, &answer) && (answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusForbidden) {
			// The reply to HEAD has no body, and so does not say why. That to GET does.
			if body, _, _, e := f.core.GetObject(ctx, f.bucket, key, minio.GetObjectOptions{}); e != nil {
				err = e
			} else {
				body.Close()
			}
		}
		return o, err
	})
	if err != nil {
		if errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
			err = fs.ErrNotExist // VersityGW; the caller finds out more
		}
		return object{}, err
	}
	return object{key: key, size: o.Size, etag: o.ETag, mod: modified(o), stored: o}, nil
}

// dirExists reports whether a directory has a marker or a key below it.
func (f *Fs) dirExists(key string) (bool, error) {
	if key == f.root {
		return true, nil
	}
	page, err := f.page(pageOf{prefix: key + "/", max: 1})
	return len(page.entries) > 0, err
}

// lookup returns the file or directory with that key, without a look at its parents.
func (f *Fs) lookup(ctx context.Context, key string) (object, error) {
	if key != f.root {
		o, err := f.head(ctx, key)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
	}
	ok, err := f.dirExists(key)
	if err == nil && !ok {
		err = fs.ErrNotExist
	}
	return object{key: key, dir: true}, err
}

// find is like lookup. If a parent of key is a file, the error is ENOTDIR.
func (f *Fs) find(ctx context.Context, key string) (object, error) {
	o, err := f.lookup(ctx, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return o, err
	}
	for at := key; ; {
		at = parent(at)
		if at == f.root || at == "" {
			return object{}, fs.ErrNotExist
		}
		switch o, err := f.lookup(ctx, at); {
		case err == nil && !o.dir:
			return object{}, syscall.ENOTDIR
		case err == nil:
			return object{}, fs.ErrNotExist
		case !errors.Is(err, fs.ErrNotExist):
			return object{}, err
		}
	}
}

// findParent checks that the parent of key is a directory.
func (f *Fs) findParent(ctx context.Context, key string) error {
	o, err := f.find(ctx, parent(key))
	if err == nil && !o.dir {
		err = syscall.ENOTDIR
	}
	return err
}

// Stat implements afero.Fs.
func (f *Fs) Stat(name string) (fs.FileInfo, error) {
	key, err := f.key(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	o, err := f.find(f.life, key)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return f.info(o), nil
}

// LstatIfPossible implements afero.Lstater. There are no symlinks, so it is the same as Stat.
func (f *Fs) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	fi, err := f.Stat(name)
	return fi, false, err
}
