// Package ftpfs presents a tree of an FTP server as an afero file system and, by afero.NewIOFS, as an fs.FS. It is
// for programs that work with files and need not know FTP.
//
// It uses only the public API of package client.
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

// Fs is a tree of an FTP server as an afero file system. It uses the connections of a Pool: each file that is
// being read or written holds one until it is closed. Files can be read at any offset (REST). They are written
// sequentially, from one offset on. A written file is complete only if Close returns nil. For an io/fs.FS use
// afero.NewIOFS. The methods of Fs are safe for concurrent use; a file must be used by one goroutine at a
// time.
type Fs struct {
	// Reserve is how many of the Pool's connections are reserved for short operations: when all others are
	// in use, reading or writing a file waits until another one is closed.
	//
	// Wait is how long an operation waits for a connection while all are in use, before it fails with
	// client.ErrNoneFree. 0 means client.DefaultTimeout. Dialing may take the Timeout of the Options in
	// addition.
	//
	// Quit, if not nil, ends these waits when it ends. Operations that have a connection continue.
	//
	// These fields must not change once the Fs is in use.
	Reserve int
	Wait    time.Duration
	Quit    context.Context

	ctx     context.Context // limits everything it does
	pool    *client.Pool
	root    string // absolute
	streams streams
}

// New returns the tree below root, a path on the server. A relative path is relative to the login directory.
// ctx limits everything that the Fs will ever do. The caller has to close the Pool.
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

// at returns the server's path for a name. A ".." can't lead out of the root.
func (f *Fs) at(name string) string {
	return path.Join(f.root, path.Clean("/"+filepath.ToSlash(name)))
}

// do runs an operation on a name and returns its error as one of package fs.
func (f *Fs) do(op, name string, run func(c *client.Client, at string) error) error {
	return pathError(op, name, f.with(func(c *client.Client) error { return run(c, f.at(name)) }))
}

// pathError returns err as an *fs.PathError. Its cause is one of the error values of package fs if possible,
// because os.IsNotExist and similar functions compare with these values directly.
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

// Stat implements afero.Fs. It follows links.
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

// entryInfo is an Entry as an fs.FileInfo.
type entryInfo struct{ e ftp.Entry }

func (i entryInfo) Name() string       { return i.e.Name }
func (i entryInfo) Size() int64        { return max(i.e.Size, 0) }
func (i entryInfo) ModTime() time.Time { return i.e.Modified }
func (i entryInfo) IsDir() bool        { return i.e.IsDir() }
func (i entryInfo) Sys() any           { return i.e }

// Mode returns the permission bits that the server reports, or usual ones if it reports none.
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

// OpenFile implements afero.Fs. A file can be opened for reading or for writing, but not for both. perm is ignored,
// because STOR can't express it. Bytes in the middle of a file can't be replaced: without O_TRUNC and O_APPEND,
// a Write at the beginning of a file that is not empty returns errors.ErrUnsupported.
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

// isFree returns an error if a file exists that Stat does not find. It sends RNFR, which a server accepts only for
// an existing name, and which by itself changes nothing.
func (f *Fs) isFree(name string) error {
	return f.do("open", name, func(c *client.Client, p string) error {
		if c.Features().Has("MLST") {
			return nil // Stat's answer by MLST is reliable
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

// Remove implements afero.Fs. It removes a file or an empty directory.
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

// existsError is a refusal that concerns an existing file. It does not match fs.ErrNotExist, whatever the reply
// says.
type existsError struct{ err error }

func (e existsError) Error() string      { return e.err.Error() }
func (e existsError) As(target any) bool { return errors.As(e.err, target) }

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
		return existsError{err} // the reply concerns something in it
	})
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, client.ErrIsLink) {
		return nil
	}
	return err
}

// errNoName is returned by RemoveAll for a path such as "" or "..".
var errNoName = errors.New("the path does not end in a name: give that of a file or directory")

// hasName reports whether RemoveAll accepts a path: one that ends in a name, or "/".
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

// Chtimes implements afero.Fs. The access time is ignored.
func (f *Fs) Chtimes(name string, _, modified time.Time) error {
	return f.do("chtimes", name, func(c *client.Client, p string) error { return c.SetModTime(f.ctx, p, modified) })
}

// Chown implements afero.Fs. It is unsupported, because FTP has no command for it.
func (f *Fs) Chown(name string, _, _ int) error {
	return &fs.PathError{Op: "chown", Path: name, Err: errors.ErrUnsupported}
}
