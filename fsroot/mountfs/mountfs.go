// Package mountfs combines several storages in one tree: the storage of a home at "/", and others at directories
// below it, their mount points.
//
// A mount point hides what the home has at its path. It is listed in the directory above, with its parents, even if
// the home has no such directories. Neither mount points nor their parents can be removed, renamed, replaced or
// changed: the error is fs.ErrPermission. Each storage resolves its symlinks itself, so none leads into another
// storage. A file can't be renamed from one storage to another: the error is syscall.EXDEV.
package mountfs

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Mount is a storage and the directory at which it is mounted.
type Mount struct {
	Path string // see CheckPath
	FS   afero.Fs

	// Far means that FS may have to wait for another host. Listings of the directory above do not ask it then, so that
	// they work without that host: they show a directory with mode 0755 and the time at which the tree was made.
	Far bool
}

// FS is a tree of several storages, as an afero.Fs. For what only one of the storages can do, such as uploads to a
// bucket that can be resumed, At returns that storage.
//
// An FS is immutable, and safe for concurrent use if its storages are. It does not close them.
type FS struct {
	home    afero.Fs
	mounts  []Mount             // the longest paths first, so that the first match is the innermost
	above   map[string][]string // for each directory above mount points, the names in it that lead to them
	made    time.Time           // the time of directories that exist only for mount points
	missing error               // see Missing
}

// New returns the tree of home with the mounts. The error names a mount whose path is not possible.
func New(home afero.Fs, mounts ...Mount) (*FS, error) {
	f := &FS{home: home, mounts: slices.Clone(mounts), above: map[string][]string{}, made: time.Now()}
	for _, m := range mounts {
		if err := CheckPath(m.Path); err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Path, err)
		}
		if f.isMountOf(m.Path, 2) {
			return nil, fmt.Errorf("mount %s: there are two", m.Path)
		}
		if u, ok := m.FS.(*failing); ok {
			f.missing = errors.Join(f.missing, fmt.Errorf("%s: %w", m.Path, u.why))
		}
		for p := m.Path; p != "/"; p = path.Dir(p) {
			if dir := path.Dir(p); !slices.Contains(f.above[dir], path.Base(p)) {
				f.above[dir] = append(f.above[dir], path.Base(p))
			}
		}
	}
	slices.SortFunc(f.mounts, func(a, b Mount) int { return len(b.Path) - len(a.Path) })
	return f, nil
}

// CheckPath returns why a storage can't be mounted at name, or nil.
func CheckPath(name string) error {
	switch {
	case !strings.HasPrefix(name, "/"):
		return errors.New("the path must begin with a slash")
	case path.Clean(name) == "/":
		return errors.New("/ is the home itself")
	case path.Clean(name) != name:
		return fmt.Errorf("write the path as %s", path.Clean(name))
	case strings.ContainsAny(name, "\x00\r\n"):
		return errors.New("the path has a character that clients can't send")
	}
	return nil
}

// Missing returns which mounts are Unavailable, and why, or nil.
func (f *FS) Missing() error { return f.missing }

// Name returns the name of the storage.
func (f *FS) Name() string { return "Mounts(" + f.home.Name() + ")" }

// At returns the storage that a path is in, and the path inside that storage. All optional methods of the storage can
// be used with that path. For a directory above mount points it returns a storage that lists them, too.
func (f *FS) At(name string) (storage afero.Fs, inside string) {
	name = clean(name)
	if f.above[name] == nil {
		return f.locate(name)
	}
	if base, _ := f.find(name); hasStream(base) {
		return &streamed{f}, name
	}
	return f, name
}

// locate returns the storage of a clean path, and the path inside it.
func (f *FS) locate(name string) (storage afero.Fs, inside string) {
	if parent := path.Dir(name); parent != "/" && f.above[parent] != nil && !f.isMount(name) {
		switch there, err := f.exists(parent); {
		case err != nil:
			return &failing{look: err, change: err}, name
		case !there:
			return absent, name
		}
	}
	return f.find(name)
}

// find is like locate, but does not regard that a directory may exist only for mount points.
func (f *FS) find(name string) (storage afero.Fs, inside string) {
	for _, m := range f.mounts {
		if name == m.Path {
			return m.FS, "/"
		}
		if within(name, m.Path) {
			return m.FS, name[len(m.Path):]
		}
	}
	return f.home, name
}

// mountOf returns the path of the mount that a clean path is in, or "" for the home.
func (f *FS) mountOf(name string) string {
	for _, m := range f.mounts {
		if name == m.Path || within(name, m.Path) {
			return m.Path
		}
	}
	return ""
}

// within reports whether a clean path is below a directory.
func within(name, dir string) bool {
	return len(name) > len(dir) && name[len(dir)] == '/' && strings.HasPrefix(name, dir)
}

// exists reports whether a directory above mount points exists in its storage, too. An error means that the storage
// can't tell now: a listing must fail then, because without the files of the storage it would look complete.
func (f *FS) exists(dir string) (bool, error) {
	storage, inside := f.find(dir)
	fi, err := storage.Stat(inside)
	switch {
	case err == nil:
		return fi.IsDir(), nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	}
	if inPath, ok := errors.AsType[*fs.PathError](err); ok {
		err = inPath.Err // its path is that in the storage
	}
	return false, err
}

func (f *FS) isMount(name string) bool { return f.isMountOf(name, 1) }

// isMountOf reports whether at least n mounts have that path.
func (f *FS) isMountOf(name string, n int) bool {
	for _, m := range f.mounts {
		if m.Path == name {
			n--
		}
	}
	return n <= 0
}

// fixed reports whether a clean path is a mount point, or a directory above one.
func (f *FS) fixed(name string) bool { return f.above[name] != nil || f.isMount(name) }

// clean returns the absolute form of a path. It does not allocate if the path has that form.
func clean(name string) string {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return path.Clean(name)
}

// streamed is an FS with a method to list a directory as a stream. It is a type of its own because callers find out
// from the method whether a storage has streams.
type streamed struct{ *FS }

// streamer is a storage that lists directories as a stream.
type streamer interface {
	ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error]
}

func hasStream(storage afero.Fs) bool {
	_, ok := storage.(streamer)
	return ok
}

// ReadDirSeq lists a directory: first the directories that lead to mount points, then what the storage has.
func (s *streamed) ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error] {
	name = clean(name)
	return func(yield func(fs.FileInfo, error) bool) {
		there := true
		if s.above[name] != nil {
			var err error
			if there, err = s.exists(name); err != nil {
				yield(nil, &fs.PathError{Op: "open", Path: name, Err: err})
				return
			}
		}
		for _, fi := range s.points(name) {
			if !yield(fi, nil) {
				return
			}
		}
		if !there {
			return
		}
		storage, inside := s.locate(name)
		for fi, err := range list(storage, inside) {
			if err == nil && slices.Contains(s.above[name], fi.Name()) {
				continue
			}
			if !yield(fi, asNamed(err, name)) {
				return
			}
		}
	}
}

// list lists a directory of any storage.
func list(storage afero.Fs, name string) iter.Seq2[fs.FileInfo, error] {
	if s, ok := storage.(streamer); ok {
		return s.ReadDirSeq(name)
	}
	return func(yield func(fs.FileInfo, error) bool) {
		all, err := afero.ReadDir(storage, name)
		for _, fi := range all {
			if !yield(fi, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}
