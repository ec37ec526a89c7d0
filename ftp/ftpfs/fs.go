// Package ftpfs is a tree of an FTP server as an afero filesystem, and by afero.NewIOFS as an
// fs.FS: for programs that know files and need not know FTP.
//
// It stands on the public face of package client.
package ftpfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// Fs is a tree of an FTP server as an afero filesystem, over a Pool: each open
// file that is read or written takes one connection until it is closed. Files are
// read from any offset (REST), and written from one offset on. A file that is
// written is there when Close has returned nil. For an io/fs.FS use
// afero.NewIOFS. Its methods are safe for concurrent use; those of a file are for
// one goroutine at a time.
type Fs struct {
	// Reserve is how many of the Pool's connections are kept for operations that are
	// short: files that are read or written wait for another one to be closed. Wait is how
	// long an operation waits for a connection while all are in use, after which it fails
	// with client.ErrNoneFree; 0: client.DefaultTimeout. To dial one may take the Timeout of the Options,
	// not counted here. Quit, if not nil, ends such waits when it ends, and lets what has a
	// connection continue. They must not change once the Fs is in use.
	Reserve int
	Wait    time.Duration
	Quit    context.Context

	ctx     context.Context // of all that it does
	pool    *client.Pool
	root    string // absolute
	streams streams
}

// New is the tree below root, a path on the server; a relative one is taken from
// the login directory. ctx bounds everything that the Fs will ever do. The Pool
// stays the caller's to close.
func New(ctx context.Context, p *client.Pool, root string) (*Fs, error) {
	f := &Fs{ctx: ctx, pool: p, root: root}
	if !strings.HasPrefix(root, "/") {
		err := p.Do(ctx, func(c *client.Client) error {
			home, err := c.Pwd(ctx)
			f.root = path.Join("/", home, root)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Name implements afero.Fs.
func (f *Fs) Name() string { return "ftp" }

// at is a name as the server knows it; nothing leads out of the root by "..".
func (f *Fs) at(name string) string {
	return path.Join(f.root, path.Clean("/"+filepath.ToSlash(name)))
}

// do runs an operation on a name and makes its error one of package fs.
func (f *Fs) do(op, name string, run func(c *client.Client, at string) error) error {
	return pathError(op, name, f.with(func(c *client.Client) error { return run(c, f.at(name)) }))
}

// pathError is err as programs that know files expect it. os.IsNotExist and its
// like look for the very values of package fs.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var reply *ftp.Error
	if errors.As(err, &reply) {
		for _, known := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
			if errors.Is(err, known) {
				err = known
			}
		}
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Stat implements afero.Fs. A link is followed.
func (f *Fs) Stat(name string) (fi fs.FileInfo, err error) {
	err = f.do("stat", name, func(c *client.Client, p string) (err error) {
		e, err := c.Resolve(f.ctx, p)
		if e.Name = path.Base(p); err == nil {
			fi = entryInfo{e}
		}
		return err
	})
	return fi, err
}

// entryInfo is an Entry as a fs.FileInfo.
type entryInfo struct{ e ftp.Entry }

func (i entryInfo) Name() string       { return i.e.Name }
func (i entryInfo) Size() int64        { return max(i.e.Size, 0) }
func (i entryInfo) ModTime() time.Time { return i.e.Modified }
func (i entryInfo) IsDir() bool        { return i.e.IsDir() }
func (i entryInfo) Sys() any           { return i.e }

// Mode has the server's permission bits, or usual ones where it tells none.
func (i entryInfo) Mode() fs.FileMode {
	mode := fs.FileMode(0o644)
	switch i.e.Type {
	case ftp.DirEntry, ftp.CDirEntry, ftp.PDirEntry:
		mode = fs.ModeDir | 0o755
	case ftp.LinkEntry:
		mode = fs.ModeSymlink | 0o777
	case ftp.OtherEntry:
		mode = fs.ModeIrregular | 0o644
	}
	if i.e.HasMode {
		mode = mode.Type() | i.e.Mode.Perm()
	}
	return mode
}

// Open implements afero.Fs.
func (f *Fs) Open(name string) (afero.File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

// Create implements afero.Fs.
func (f *Fs) Create(name string) (afero.File, error) {
	return f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0)
}

// OpenFile implements afero.Fs. A file is opened to read or to write, not for both;
// perm is not passed on, as STOR has no place for it. Bytes in the middle of a file can't be
// replaced: without O_TRUNC and O_APPEND, a Write at the beginning of a file that is not
// empty gives errors.ErrUnsupported.
func (f *Fs) OpenFile(name string, flag int, _ fs.FileMode) (afero.File, error) {
	write := flag&(os.O_WRONLY|os.O_RDWR) != 0
	if flag&os.O_RDWR != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
	}
	fi, err := f.Stat(name)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case err != nil && !(missing && write && flag&os.O_CREATE != 0):
		return nil, err
	case err != nil && flag&os.O_EXCL != 0:
		if err := f.isFree(name); err != nil {
			return nil, err
		}
	case err == nil && write && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case err == nil && fi.IsDir() && write:
		return nil, &fs.PathError{Op: "open", Path: name, Err: errIsDir}
	case err == nil && fi.IsDir():
		return &dir{fs: f, name: name, info: fi}, nil
	}
	if !write {
		return &reader{fs: f, name: name, info: fi}, nil
	}
	w := &writer{fs: f, name: name, fresh: fi == nil || flag&os.O_TRUNC != 0, append: flag&os.O_APPEND != 0}
	if fi != nil && !w.fresh {
		w.size = fi.Size()
	}
	return w, nil
}

// isFree returns an error if there is a file of that name that Stat does not find, as far as
// RNFR tells: it takes a name only if it is there, and changes nothing by itself.
func (f *Fs) isFree(name string) error {
	return f.do("open", name, func(c *client.Client, p string) error {
		if c.Features().Has("MLST") {
			return nil // which told Stat
		}
		switch _, err := c.Command(f.ctx, "RNFR", p); {
		case err == nil:
			return fs.ErrExist
		case !pi.IsReply(err):
			return err
		}
		return nil
	})
}

var errIsDir = errors.New("is a directory")

// Mkdir implements afero.Fs.
func (f *Fs) Mkdir(name string, _ fs.FileMode) error {
	return f.do("mkdir", name, func(c *client.Client, p string) error { return c.MakeDir(f.ctx, p) })
}

// MkdirAll implements afero.Fs.
func (f *Fs) MkdirAll(name string, _ fs.FileMode) error {
	return f.do("mkdir", name, func(c *client.Client, p string) error { return c.MakeDirAll(f.ctx, p) })
}

// Remove implements afero.Fs: a file, or a directory that is empty.
func (f *Fs) Remove(name string) error {
	return f.do("remove", name, func(c *client.Client, p string) error {
		err := c.Delete(f.ctx, p)
		if pi.IsReply(err) {
			if dir := c.RemoveDir(f.ctx, p); dir == nil || !pi.IsReply(dir) {
				return dir
			}
		}
		return err
	})
}

// thereError is a refusal about a file that is there: it is not fs.ErrNotExist, whatever the
// reply says.
type thereError struct{ err error }

func (e thereError) Error() string      { return e.err.Error() }
func (e thereError) As(target any) bool { return errors.As(e.err, target) }

// RemoveAll implements afero.Fs.
func (f *Fs) RemoveAll(name string) error {
	if !hasName(filepath.ToSlash(name)) {
		return &fs.PathError{Op: "remove", Path: name, Err: errNoName}
	}
	err := f.do("remove", name, func(c *client.Client, p string) error {
		err := c.RemoveAll(f.ctx, p)
		if !pi.IsReply(err) || errors.Is(err, client.ErrIsLink) || errors.Is(err, fs.ErrPermission) {
			return err
		}
		if _, look := c.Stat(f.ctx, p); errors.Is(look, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return thereError{err} // something in it is missing, or was not removed
	})
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, client.ErrIsLink) {
		return nil
	}
	return err
}

// errNoName is returned by RemoveAll for a path such as "" or "..".
var errNoName = errors.New("the path has no name of its own: name a file or directory")

// hasName reports whether RemoveAll takes a path: one that names something, or "/".
func hasName(p string) bool {
	switch path.Base(p) {
	case ".", "..":
		return false
	}
	return p != ""
}

// Rename implements afero.Fs.
func (f *Fs) Rename(from, to string) error {
	return f.do("rename", from, func(c *client.Client, p string) error {
		return c.Rename(f.ctx, p, f.at(to))
	})
}

// Chmod implements afero.Fs, by SITE CHMOD.
func (f *Fs) Chmod(name string, mode fs.FileMode) error {
	return f.do("chmod", name, func(c *client.Client, p string) error { return c.Chmod(f.ctx, p, mode) })
}

// Chtimes implements afero.Fs; the time of access is not kept.
func (f *Fs) Chtimes(name string, _, modified time.Time) error {
	return f.do("chtimes", name, func(c *client.Client, p string) error { return c.SetModTime(f.ctx, p, modified) })
}

// Chown implements afero.Fs; FTP has no such thing.
func (f *Fs) Chown(name string, _, _ int) error {
	return &fs.PathError{Op: "chown", Path: name, Err: errors.ErrUnsupported}
}
