// Package fsroot provides filesystems for an FTP server as afero.Fs: a directory on
// disk that no path and no symlink can leave, a filesystem in memory, or the files in a
// zip or tar archive.
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
	name string // what spec begins with
	form string // of the whole spec, for errors
	open func(rest string) (afero.Fs, io.Closer, error)
}

var schemes = []scheme{
	{"mem://", "mem://", openMem},
	{"zip:", "zip:FILE", openZip},
	{"tar:", "tar:FILE", openTar},
}

// schemeOf returns the scheme of spec and what follows it.
func schemeOf(spec string) (s scheme, rest string, ok bool) {
	for _, s := range schemes {
		if len(spec) >= len(s.name) && strings.EqualFold(spec[:len(s.name)], s.name) {
			return s, spec[len(s.name):], true
		}
	}
	return scheme{}, "", false
}

// Open opens the storage spec, which is one of the following. The caller must close the
// closer when the storage is no longer used.
//
//   - A directory; "" means the current one. The result is a *Root.
//   - mem://: an empty filesystem in memory, see NewMem.
//   - zip:FILE or tar:FILE: the files in an archive, for reading. A tar archive may be
//     compressed with gzip; it must then not exceed 256 MiB when it is decompressed,
//     because it is held in memory. A zip archive, or a tar archive that is not
//     compressed, can have any size.
//
// An archive may have at most 500,000 files and directories. Entries are left out if their
// name contains "..", is too long, or is also that of a directory, and if they are neither
// files, directories nor links. A name that begins with a slash is below the top of the
// archive, as any other. Symlinks are followed inside the archive only. The archive must not be
// changed while it is open, and its files can't be read after it is closed.
func Open(spec string) (afero.Fs, io.Closer, error) {
	if s, rest, ok := schemeOf(spec); ok {
		return s.open(rest)
	}
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
		known = append(known, s.form)
	}
	return nil, nil, fmt.Errorf("unknown storage %q: want a directory or %s", spec, strings.Join(known, ", "))
}

// IsURL reports whether Open treats spec as a URL and not as a directory. zip:FILE and tar:FILE count
// as URLs; a directory with such a name can be opened as ./zip:FILE.
func IsURL(spec string) bool {
	if _, _, ok := schemeOf(spec); ok {
		return true
	}
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
func virtual(name string) string {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return path.Clean(name)
}

// isPlain reports whether name has a single component, so that it is a relative path already. Uploads and listings use
// such names in the directory that they hold open.
func isPlain(name string) bool {
	return name != "" && name != "." && name != ".." && strings.IndexByte(name, '/') < 0
}

// isTop reports whether name is the top of the storage.
func isTop(name string) bool { return !isPlain(name) && virtual(name) == "/" }

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
	rel := name
	if !isPlain(name) {
		rel = virtual(name)[1:]
	}
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
