package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// Pwd returns the current directory. It does not ask the server if the directory is known, from the login
// or an earlier call, and nothing has changed it since.
func (c *Client) Pwd(ctx context.Context) (string, error) {
	if err := c.begin(); err != nil {
		return "", err
	}
	defer c.end()
	return c.here(ctx)
}

// here returns the current directory, and asks for it only if it is not known.
func (c *Client) here(ctx context.Context) (string, error) {
	if c.cwd != "" {
		return c.cwd, nil
	}
	return c.pwd(ctx)
}

func (c *Client) pwd(ctx context.Context) (string, error) {
	r, err := c.do(ctx, "PWD", "")
	if err != nil {
		return "", err
	}
	return ftp.Parse257(r.Text())
}

// ChangeDir makes path the current directory, to which relative paths refer.
func (c *Client) ChangeDir(ctx context.Context, path string) error { return c.simple(ctx, "CWD", path) }

// MakeDir creates one directory. Its parent must exist.
func (c *Client) MakeDir(ctx context.Context, path string) error { return c.simple(ctx, "MKD", path) }

// RemoveDir removes an empty directory.
func (c *Client) RemoveDir(ctx context.Context, path string) error { return c.simple(ctx, "RMD", path) }

// Delete removes a file or a link.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.ifMissing(ctx, path, c.simple(ctx, "DELE", path))
}

// missingError is a refusal that names no cause, for a file that does not exist.
type missingError struct{ error }

func (e missingError) Unwrap() error        { return e.error }
func (e missingError) Is(target error) bool { return target == fs.ErrNotExist }

// ifMissing returns err, the result of an operation on the path p. If the server does not say why it
// refused and p does not exist, it returns err as a missingError.
func (c *Client) ifMissing(ctx context.Context, p string, err error) error {
	var no *ftp.Error
	if !isReply(err) || !errors.As(err, &no) || no.Cause() != nil {
		return err
	}
	if _, look := c.Stat(ctx, p); errors.Is(look, fs.ErrNotExist) {
		return missingError{err}
	}
	return err
}

// simple runs an operation that consists of one command.
func (c *Client) simple(ctx context.Context, verb, arg string) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	_, err := c.do(ctx, verb, arg)
	return err
}

// Rename renames or moves a file or directory. The server decides whether it may replace an existing one.
func (c *Client) Rename(ctx context.Context, from, to string) error {
	if err := c.begin(); err != nil {
		return err
	}
	err := c.rename(ctx, from, to)
	c.end()
	return c.ifMissing(ctx, from, err)
}

func (c *Client) rename(ctx context.Context, from, to string) error {
	if err := sendable(from, to); err != nil {
		return err
	}
	if _, err := c.do(ctx, "RNFR", from); err != nil {
		return err
	}
	_, err := c.do(ctx, "RNTO", to)
	return err
}

// MakeDirAll creates a directory and its missing parents. It is no error if the directory exists.
func (c *Client) MakeDirAll(ctx context.Context, path string) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	return c.makeDirAll(ctx, strings.TrimRight(path, "/"), 0)
}

func (c *Client) makeDirAll(ctx context.Context, path string, depth int) error {
	if path == "" || path == "." {
		return nil
	}
	_, err := c.do(ctx, "MKD", path)
	if err == nil || !isReply(err) {
		return err
	}
	is, e := c.isDir(ctx, path)
	if is || e != nil {
		return e
	}
	i := strings.LastIndexByte(path, '/')
	if i <= 0 || depth == maxDepth {
		return err
	}
	if e := c.makeDirAll(ctx, strings.TrimRight(path[:i], "/"), depth+1); e != nil {
		return e
	}
	_, err = c.do(ctx, "MKD", path)
	return err
}

// RemoveAll removes path and, if it is a directory, everything in it. Links are removed and never followed.
// A link that can't be removed is an error, also if path ends in a slash. A path that does not end in a
// name, such as "", "." or "..", is an error; "/" means everything that the server shows. Unlike
// os.RemoveAll it returns an error if path does not exist, because FTP has the same reply code for that
// and for a lack of permission.
func (c *Client) RemoveAll(ctx context.Context, path string) error {
	name := baseName(path)
	if !isRemovable(path) {
		return &fs.PathError{Op: "remove", Path: path, Err: errNoName}
	}
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	top := &siblings{read: true} // / has no siblings
	if name == "" {
		path = "/"
	} else {
		path = strings.TrimRight(path, "/")
		top = &siblings{dir: strings.TrimSuffix(path, name), name: name}
	}
	return (&removal{c: c, budget: kept.NewBudget()}).all(ctx, path, top, 0)
}

// errNoName is returned by RemoveAll for a path such as "" or "..".
var errNoName = errors.New("the path does not end in a name: give that of a file or directory")

// isRemovable reports whether RemoveAll accepts a path: one that ends in a name, or "/".
func isRemovable(p string) bool {
	return baseName(p) != "" || p != "" && strings.Trim(p, "/") == ""
}

// removal is one RemoveAll in progress.
type removal struct {
	c      *Client
	ways   listWays
	budget *kept.Budget
}

// all removes path. It tries DELE first, which removes a link and does no harm to a directory, then RMD.
// Only if both are refused, and path is certainly not a link, it removes the contents.
func (r *removal) all(ctx context.Context, path string, in *siblings, depth int) error {
	_, err := r.c.do(ctx, "DELE", path)
	if err == nil || !isReply(err) {
		return err
	}
	_, noDir := r.c.do(ctx, "RMD", path)
	if noDir == nil || !isReply(noDir) {
		return noDir
	}
	if is, e := r.c.isDir(ctx, path); e != nil {
		return e
	} else if !is {
		return err
	}
	if link, e := r.isLink(ctx, path, in); e != nil {
		return e
	} else if link {
		return fmt.Errorf("%w: %w", ErrIsLink, err)
	}
	if depth == maxDepth {
		return ErrTooDeep
	}
	for {
		n, err := r.inside(ctx, path, depth, false)
		if err != nil && (n == 0 || !errors.Is(err, ErrPartial)) {
			return err
		}
		_, full := r.c.do(ctx, "RMD", path)
		if !isReply(full) {
			return full
		}
		if err == nil {
			return r.rest(ctx, path, depth, full)
		}
	}
}

// rest removes a directory that is still not empty after everything that MLSD lists was removed: some
// servers omit hidden names from MLSD. LIST -a may show them.
func (r *removal) rest(ctx context.Context, path string, depth int, full error) error {
	n, err := r.inside(ctx, path, depth, true)
	switch {
	case n == 0:
		return full
	case err != nil:
		return err
	}
	_, err = r.c.do(ctx, "RMD", path)
	return err
}

// inside removes everything that is listed in a directory. n is the number of names listed.
func (r *removal) inside(ctx context.Context, path string, depth int, hidden bool) (n int, err error) {
	entries, partial := r.c.readDir(ctx, path, &r.ways, r.budget, hidden)
	defer entries.Drop()
	if partial != nil && !errors.Is(partial, ErrPartial) {
		return 0, partial
	}
	in := &siblings{dir: path}
	for i := range entries.Len() {
		e, err := entries.Entry(i)
		if err != nil {
			return entries.Len(), err
		}
		child := join(path, e.Name)
		if e.Type == ftp.DirEntry {
			err = r.all(ctx, child, in, depth+1)
		} else if _, err = r.c.do(ctx, "DELE", child); e.Type == ftp.UnknownEntry && isReply(err) {
			err = r.all(ctx, child, in, depth+1)
		}
		if err != nil {
			return entries.Len(), err
		}
	}
	return entries.Len(), partial
}

// join appends a name to the path of its directory.
func join(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// Symlink creates a symbolic link at path that points to target, by SITE SYMLINK. target can't contain a
// space.
func (c *Client) Symlink(ctx context.Context, target, path string) error {
	if err := sendable(target, path); err != nil {
		return err
	}
	if strings.Contains(target, " ") {
		return ErrNoLinks
	}
	return c.simple(ctx, "SITE", "SYMLINK "+target+" "+path)
}
