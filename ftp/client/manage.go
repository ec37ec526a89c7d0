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

// Pwd returns the current directory. Where the login has brought the answer, and nothing has
// changed it since, the server is not asked.
func (c *Client) Pwd(ctx context.Context) (string, error) {
	if err := c.begin(); err != nil {
		return "", err
	}
	defer c.end()
	return c.here(ctx)
}

// here is pwd that is not asked again if nothing has changed the directory since.
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

// ChangeDir makes path the current directory, from which relative paths go.
func (c *Client) ChangeDir(ctx context.Context, path string) error { return c.simple(ctx, "CWD", path) }

// MakeDir makes one directory; its parent has to be there.
func (c *Client) MakeDir(ctx context.Context, path string) error { return c.simple(ctx, "MKD", path) }

// RemoveDir removes an empty directory.
func (c *Client) RemoveDir(ctx context.Context, path string) error { return c.simple(ctx, "RMD", path) }

// Delete removes a file or a link.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.ifMissing(ctx, path, c.simple(ctx, "DELE", path))
}

// missingError is a refusal whose words name no cause, about a file that is not there.
type missingError struct{ error }

func (e missingError) Unwrap() error        { return e.error }
func (e missingError) Is(target error) bool { return target == fs.ErrNotExist }

// ifMissing returns err, the outcome of an operation on the path p, as a missingError if the
// server does not say why it refused and p is not there.
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

// simple is an operation that is one command.
func (c *Client) simple(ctx context.Context, verb, arg string) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	_, err := c.do(ctx, verb, arg)
	return err
}

// Rename moves a file or directory. Whether it replaces one is the server's choice.
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

// MakeDirAll makes a directory and those above it that are missing. One that is
// there already is no error.
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

// RemoveAll removes path and, if it is a directory, all in it. Links are removed,
// never followed: a link that may not be removed is an error, also if path ends in a
// slash. A path without a name of its own, such as "", "." or "..", is an error; "/" is
// all that the server shows. Unlike os.RemoveAll it takes a path that isn't there for an
// error: FTP has one code for that and for one that may not be touched.
func (c *Client) RemoveAll(ctx context.Context, path string) error {
	name := baseName(path)
	if !isRemovable(path) {
		return &fs.PathError{Op: "remove", Path: path, Err: errNoName}
	}
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	top := &siblings{read: true} // nothing is beside /
	if name == "" {
		path = "/"
	} else {
		path = strings.TrimRight(path, "/")
		top = &siblings{dir: strings.TrimSuffix(path, name), name: name}
	}
	return (&removal{c: c, budget: kept.NewBudget()}).all(ctx, path, top, 0)
}

// errNoName is returned by RemoveAll for a path such as "" or "..".
var errNoName = errors.New("the path has no name of its own: name a file or directory")

// isRemovable reports whether RemoveAll takes a path: one that names something, or "/".
func isRemovable(p string) bool {
	return baseName(p) != "" || p != "" && strings.Trim(p, "/") == ""
}

// removal is one RemoveAll.
type removal struct {
	c      *Client
	ways   listWays
	budget *kept.Budget
}

// all tries DELE first: it takes a link for what it is, and can do no harm to a
// directory.
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

// rest removes a directory that is not empty yet, though all that MLSD lists is gone:
// there are servers that leave hidden names out of that, too.
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

// inside removes what is listed in a directory; n is how many names that were.
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

// join puts a name behind the path of its directory.
func join(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// Symlink makes a symbolic link at path that leads to target, where the server has
// SITE SYMLINK. The target may hold no blank.
func (c *Client) Symlink(ctx context.Context, target, path string) error {
	if err := sendable(target, path); err != nil {
		return err
	}
	if strings.Contains(target, " ") {
		return ErrNoLinks
	}
	return c.simple(ctx, "SITE", "SYMLINK "+target+" "+path)
}
