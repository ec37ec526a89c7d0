package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot/s3fs"
)

// readTime limits the reading of a small file of a bucket.
const readTime = 30 * time.Second

// ReadFile reads a small file for settings or users: of this host (see local.ReadFile) or of a storage, as in
// s3://BUCKET/PATH. A file of a storage has the mode 0600, because the storage decides who can read it.
func ReadFile(name string) (text []byte, mode fs.FileMode, err error) {
	if !Is(name) {
		return local.ReadFile(name)
	}
	err = withFile(name, func(files afero.Fs, p string) error {
		f, err := files.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, local.MaxFile+1))
		if err == nil && len(text) > local.MaxFile {
			err = fmt.Errorf("the file is larger than %d bytes", local.MaxFile)
		}
		return err
	})
	return []byte(strings.TrimPrefix(string(text), "\ufeff")), 0o600, err
}

// Beside returns a name that a file of a storage contains: relative to the directory of that file, unless it is absolute
// or a URL.
func Beside(file, name string) string {
	place, err := Split(file)
	if err != nil || name == "" || verb.IsURL(name) || strings.HasPrefix(name, "/") {
		return name
	}
	return place.Head + path.Join(path.Dir(place.Path), name) + place.Tail
}

// Version returns a text that changes with the content of a file of a storage. It is "" if the file does not exist.
func Version(name string) (version string, err error) {
	err = withFile(name, func(files afero.Fs, p string) error {
		fi, err := files.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			version = fmt.Sprint(fi.Size(), fi.ModTime().UnixNano(), fi.Sys())
		}
		return err
	})
	return version, err
}

// withFile opens the storage of a file and calls use with the file's path.
func withFile(name string, use func(files afero.Fs, p string) error) error {
	place, err := Split(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	files, closer, err := OpenFor(ctx, place.Root, Use{Timeout: readTime, Client: true})
	if err != nil {
		return err
	}
	defer closer.Close()
	if err := use(files, "/"+place.Path); err != nil {
		cause := err
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			cause = pe.Err
		}
		return &Error{fmt.Errorf("%s: %w", mask(name), cause), verb.ExitRefused}
	}
	return nil
}

// OpenState opens the values that servers share in a bucket, for server.Options.State.
func OpenState(ctx context.Context, spec string) (*s3fs.State, io.Closer, error) {
	if s := find(spec); s == nil || s.Name != "s3" {
		return nil, nil, verb.Usagef("%q: servers can share their state only in a bucket: s3://BUCKET/PREFIX", mask(spec))
	}
	files, closer, err := OpenFor(ctx, spec, Use{Client: true})
	if err != nil {
		return nil, nil, err
	}
	return files.(*s3fs.Fs).State(), closer, nil
}

// Sub returns a directory of a bucket as a root of its own, which shares the connections of the bucket. The caller must close the closer
// before the bucket.
func Sub(files afero.Fs, dir string) (afero.Fs, io.Closer, error) {
	bucket, ok := files.(*s3fs.Fs)
	if !ok {
		return nil, nil, errors.ErrUnsupported
	}
	sub, err := bucket.Sub(dir)
	if err != nil {
		return nil, nil, err
	}
	return sub, sub, nil
}

// Holds reports whether the storage of root contains the file, which a URL names. It does not find out whether two
// URLs name the same service in different ways.
func Holds(root, file string) bool {
	if !Is(root) || !Is(file) {
		return false
	}
	r, err := Split(root)
	f, err2 := Split(file)
	below := strings.Trim(r.Path, "/")
	return err == nil && err2 == nil && r.Head == f.Head && (below == "" || strings.HasPrefix(f.Path, below+"/"))
}
