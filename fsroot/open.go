// Package fsroot provides filesystems for an FTP server as afero.Fs: a directory on
// disk that no path and no symlink can leave, or a filesystem in memory.
//
// Paths are virtual: they are absolute, use slashes, and "/" is the top of the
// storage. A path is first cleaned lexically, so "/../x" is "/x". Errors contain the
// virtual path and never a path of the host, with one exception: opened files are not
// wrapped, so the errors of their own methods may contain a path of the host.
package fsroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/afero"
)

// scheme is a kind of storage that Open supports besides a directory.
type scheme struct {
	name string // the part of the URL before "://"
	open func(rest string) (afero.Fs, io.Closer, error)
}

var schemes = []scheme{
	{"mem", openMem},
}

// Open opens the storage spec, which is a directory ("" means the current one) or
// a URL with a supported scheme; the only one is "mem://". The caller must close
// the closer when the storage is no longer used.
func Open(spec string) (afero.Fs, io.Closer, error) {
	name, rest, _ := strings.Cut(spec, "://")
	if !IsURL(spec) {
		if spec == "" {
			spec = "."
		}
		root, err := OpenRoot(spec)
		if err != nil {
			return nil, nil, err
		}
		return root, root, nil
	}
	known := make([]string, 0, len(schemes))
	for _, s := range schemes {
		if strings.EqualFold(s.name, name) {
			return s.open(rest)
		}
		known = append(known, s.name+"://")
	}
	return nil, nil, fmt.Errorf("unknown storage %q: want a directory or %s", spec, strings.Join(known, ", "))
}

// IsURL reports whether Open treats spec as a URL and not as a directory.
func IsURL(spec string) bool {
	name, _, found := strings.Cut(spec, "://")
	return found && isScheme(name)
}

// isScheme reports whether s has the form of a URL scheme (RFC 3986 §3.1). Without
// this check, a directory named "./odd://dir" could not be opened.
func isScheme(s string) bool {
	for i, c := range s {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", c)) {
			return false
		}
	}
	return s != ""
}

func openMem(rest string) (afero.Fs, io.Closer, error) {
	if rest != "" {
		return nil, nil, fmt.Errorf("mem:// has no path, but %q follows it", rest)
	}
	return NewMem(), noClose{}, nil
}

// noClose is the closer of a storage that needs no Close.
type noClose struct{}

func (noClose) Close() error { return nil }

// virtual returns the cleaned absolute form of a path, which errors contain.
func virtual(name string) string { return path.Clean("/" + name) }

// The limits for a path. Each level costs a system call in every operation, so clients
// must not be able to create arbitrarily long paths.
const (
	maxPath   = 4096 // bytes, as on Linux
	maxLevels = 256
)

// errLong is returned for a path that exceeds the limits.
var errLong = &longError{}

type longError struct{}

func (*longError) Error() string {
	return fmt.Sprintf("the path has more than %d bytes or %d levels", maxPath, maxLevels)
}
func (*longError) Is(target error) bool { return target == fs.ErrInvalid }

// local returns the path relative to the top of the storage, with slashes; the top
// itself is ".". A name that the host does not allow, or would split into components
// differently, is refused with fs.ErrInvalid.
func local(name string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", fs.ErrInvalid
	}
	rel := strings.TrimPrefix(virtual(name), "/")
	if rel == "" {
		return ".", nil
	}
	if len(rel) > maxPath || strings.Count(rel, "/") >= maxLevels {
		return "", errLong
	}
	if runtime.GOOS == "windows" {
		// Only on Windows, because Localize refuses names that are not UTF-8.
		if _, err := filepath.Localize(rel); err != nil {
			return "", fs.ErrInvalid
		}
	}
	return rel, nil
}

// pathError returns err in a *fs.PathError with the virtual path, without paths of the host.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: virtual(name), Err: cause(err)}
}

// cause removes the wrappers that contain a path of the host.
func cause(err error) error {
	for {
		var inPath *fs.PathError
		var inLink *os.LinkError
		switch {
		case errors.As(err, &inPath):
			err = inPath.Err
		case errors.As(err, &inLink):
			err = inLink.Err
		default:
			return err
		}
	}
}
