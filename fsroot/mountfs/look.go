package mountfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"
)

var _ afero.Symlinker = (*FS)(nil)

// Open opens a file or a directory. Only directories above mount points have a wrapper.
func (f *FS) Open(name string) (afero.File, error) {
	name = clean(name)
	storage, inside := f.locate(name)
	if f.above[name] == nil {
		file, err := storage.Open(inside)
		return file, asNamed(err, name)
	}
	d := &dir{f: f, name: name}
	there, err := f.exists(name)
	switch {
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	case there:
		base, err := storage.Open(inside)
		if err != nil {
			return nil, asNamed(err, name)
		}
		d.base = base
	}
	return d, nil
}

// Stat describes a file.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	name = clean(name)
	if f.above[name] != nil {
		return f.point(name), nil
	}
	storage, inside := f.locate(name)
	fi, err := storage.Stat(inside)
	if err != nil {
		return nil, asNamed(err, name)
	}
	return called(fi, name), nil
}

// LstatIfPossible is like Stat, but describes a symlink itself, if the storage has symlinks.
func (f *FS) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	name = clean(name)
	storage, inside := f.locate(name)
	l, ok := storage.(afero.Lstater)
	if !ok || f.fixed(name) {
		fi, err := f.Stat(name)
		return fi, ok, err
	}
	fi, really, err := l.LstatIfPossible(inside)
	return fi, really, asNamed(err, name)
}

// ReadlinkIfPossible returns the target of a symlink.
func (f *FS) ReadlinkIfPossible(name string) (string, error) {
	name = clean(name)
	storage, inside := f.locate(name)
	l, ok := storage.(afero.LinkReader)
	if !ok || f.fixed(name) {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: afero.ErrNoReadlink}
	}
	target, err := l.ReadlinkIfPossible(inside)
	return target, asNamed(err, name)
}

// Free returns how many bytes can still be written at a path, or errors.ErrUnsupported.
func (f *FS) Free(name string) (int64, error) {
	name = clean(name)
	storage, inside := f.find(name)
	if f.above[name] != nil {
		switch there, err := f.exists(name); {
		case err != nil:
			return 0, &fs.PathError{Op: "free", Path: name, Err: err}
		case !there:
			inside = "/"
		}
	}
	s, ok := storage.(interface {
		Free(name string) (int64, error)
	})
	if !ok {
		return 0, &fs.PathError{Op: "free", Path: name, Err: errors.ErrUnsupported}
	}
	free, err := s.Free(inside)
	return free, asNamed(err, name)
}

// point describes a mount point, or a directory above one. It is a directory even if its storage has none there, or
// can't be reached.
func (f *FS) point(name string) fs.FileInfo {
	storage, inside := f.find(name)
	if fi, err := storage.Stat(inside); err == nil && fi.IsDir() {
		return called(fi, name)
	}
	return &pointInfo{path.Base(name), f.made}
}

// points describes the directories in dir that are mount points or above them.
func (f *FS) points(dir string) []fs.FileInfo {
	var all []fs.FileInfo
	for _, name := range f.above[dir] {
		p := path.Join(dir, name)
		if slices.ContainsFunc(f.mounts, func(m Mount) bool { return m.Far && m.Path == p }) {
			all = append(all, &pointInfo{name, f.made})
			continue
		}
		all = append(all, f.point(p))
	}
	return all
}

// called returns fi with the name that the file at a path has in the tree.
func called(fi fs.FileInfo, name string) fs.FileInfo {
	if base := path.Base(name); name != "/" && fi.Name() != base {
		return &calledInfo{fi, base}
	}
	return fi
}

type calledInfo struct {
	fs.FileInfo
	name string
}

func (i *calledInfo) Name() string { return i.name }

// pointInfo describes a directory that exists only for mount points.
type pointInfo struct {
	name string
	made time.Time
}

func (i *pointInfo) Name() string       { return i.name }
func (i *pointInfo) Size() int64        { return 0 }
func (i *pointInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (i *pointInfo) ModTime() time.Time { return i.made }
func (i *pointInfo) IsDir() bool        { return true }
func (i *pointInfo) Sys() any           { return nil }

// dir is an open directory above mount points: first come the directories that lead to them, then what the storage
// has.
type dir struct {
	noFile
	f     *FS
	name  string
	base  afero.File // nil: the storage has no such directory
	begun bool
	rest  []fs.FileInfo
}

func (d *dir) Name() string { return d.name }

func (d *dir) Stat() (fs.FileInfo, error) { return d.f.point(d.name), nil }

func (d *dir) Close() error {
	if d.base == nil {
		return nil
	}
	return d.base.Close()
}

// Readdir returns the next count entries, or all that are left if count is not positive. If count is positive and no
// entry is left, the error is io.EOF.
func (d *dir) Readdir(count int) ([]fs.FileInfo, error) {
	if !d.begun {
		d.begun, d.rest = true, d.f.points(d.name)
	}
	var err error
	for err == nil && (count <= 0 || len(d.rest) == 0) {
		var more []fs.FileInfo
		if more, err = d.read(count); count <= 0 {
			d.rest = append(d.rest, more...)
			break
		}
		d.rest = more
	}
	n := len(d.rest)
	if count > 0 {
		n = min(n, count)
	}
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	if count > 0 && n > 0 {
		err = nil // it comes again
	}
	return out, err
}

// read returns the next entries of the storage, without those that mount points hide.
func (d *dir) read(count int) ([]fs.FileInfo, error) {
	if d.base == nil {
		return nil, atEnd(count)
	}
	_, inMemory := d.base.(*mem.File)
	if inMemory { // in batches afero's panics if names vanish meanwhile
		count = -1
	}
	all, err := d.base.Readdir(count)
	if inMemory {
		d.base = closed{d.base}
	}
	hidden := d.f.above[d.name]
	return slices.DeleteFunc(all, func(fi fs.FileInfo) bool { return slices.Contains(hidden, fi.Name()) }), err
}

// closed is a directory of which all was read.
type closed struct{ afero.File }

func (closed) Readdir(count int) ([]fs.FileInfo, error) { return nil, atEnd(count) }

func atEnd(count int) error {
	if count > 0 {
		return io.EOF
	}
	return nil
}

// Readdirnames is like Readdir, but returns only the names.
func (d *dir) Readdirnames(count int) ([]string, error) {
	infos, err := d.Readdir(count)
	names := make([]string, len(infos))
	for i, fi := range infos {
		names[i] = fi.Name()
	}
	return names, err
}
