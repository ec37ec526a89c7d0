// Package fsroot opens the storage that miniftp works on as an afero.Fs: a
// directory on disk that no path and no symlink can leave, or a filesystem in
// memory.
//
// Paths are virtual: absolute, with slashes, and "/" is the top of the storage.
// They are cleaned lexically first, so "/../x" is "/x". Errors carry the virtual
// path and never a host path; only a file that is already open may still name
// the host path in errors of its own, because it is handed out unwrapped.
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

// scheme is one kind of storage that Open knows besides a plain directory.
type scheme struct {
	name string // what stands before "://"
	open func(rest string) (afero.Fs, io.Closer, error)
}

// schemes lists the kinds of storage; a new kind is a new row.
var schemes = []scheme{
	{"mem", openMem},
}

// Open opens the storage that spec names: a directory ("" is the current one)
// or a URL of a known scheme, today only "mem://". Close the closer when the
// storage is no longer used.
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

// IsURL reports whether Open takes spec for a URL and not for a directory.
func IsURL(spec string) bool {
	name, _, found := strings.Cut(spec, "://")
	return found && isScheme(name)
}

// isScheme reports whether s has the form of a URL scheme (RFC 3986 §3.1), so
// that "./odd://dir" is still taken for a directory.
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
		return nil, nil, fmt.Errorf("mem:// takes no path, but %q follows it", rest)
	}
	return NewMem(), noClose{}, nil
}

// noClose is the closer of a storage that holds nothing open.
type noClose struct{}

func (noClose) Close() error { return nil }

// virtual gives the cleaned absolute form of a path, as it appears in errors.
func virtual(name string) string { return path.Clean("/" + name) }

// Limits of a path. Each level costs a system call in each operation, so a client must
// not be able to make paths as long as it likes.
const (
	maxPath   = 4096 // bytes, as Linux
	maxLevels = 256
)

// errLong is returned for a path beyond the limits.
var errLong = &longError{}

type longError struct{}

func (*longError) Error() string {
	return fmt.Sprintf("the path has more than %d bytes or %d levels", maxPath, maxLevels)
}
func (*longError) Is(target error) bool { return target == fs.ErrInvalid }

// local gives the path relative to the top of the storage, with slashes; the top
// itself is ".". Names that the host could not hold, or would take apart in
// another way than we do, are refused with fs.ErrInvalid.
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
		// Elsewhere Localize would do harm: it refuses names that are not UTF-8.
		if _, err := filepath.Localize(rel); err != nil {
			return "", fs.ErrInvalid
		}
	}
	return rel, nil
}

// pathError wraps what went wrong with the virtual path, and only that path.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: virtual(name), Err: cause(err)}
}

// cause strips the wrappers that carry a path of the host.
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
