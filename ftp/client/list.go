package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"miniftp/ftp"
)

// List yields the entries of the directory at path ("" for the current one) as
// they come: by MLSD where the server has it (RFC 3659 §7), else by LIST. Without
// "." and "..". A line that can't be read is yielded as an *ftp.LineError, a name
// that is none as a *NameError, and the loop goes on; any other error is the
// last. The Client is busy while the loop runs; leaving the loop stops the transfer.
func (c *Client) List(ctx context.Context, path string) iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {
		if err := c.begin(); err != nil {
			yield(ftp.Entry{}, err)
			return
		}
		defer c.end()
		if err := c.list(ctx, path, yield); err != nil && !errors.Is(err, errStopped) {
			yield(ftp.Entry{}, err)
		}
	}
}

// list is List while the Client is taken; errStopped if yield had enough.
func (c *Client) list(ctx context.Context, path string, yield func(ftp.Entry, error) bool) error {
	if err := sendable(path); err != nil {
		return err
	}
	if !c.knows.noMLSD && (c.features.Has("MLST") || c.features.Has("MLSD")) {
		err := c.lines(ctx, "MLSD", path, func(line string) bool {
			e, err := ftp.ParseMLSx(line)
			if err != nil {
				err = &ftp.LineError{Line: line}
			}
			return yieldEntry(unpinned(e, line), err, yield)
		})
		if !refused(err) {
			return err
		}
		c.knows.noMLSD = true
	}
	var p ftp.ListParser
	return c.listing(ctx, "LIST", path, func(line string) bool {
		e, ok, err := p.Parse(line)
		return !ok && err == nil || yieldEntry(unpinned(e, line), err, yield)
	})
}

// yieldEntry leaves out the directory itself and its parent, and what is no name.
func yieldEntry(e ftp.Entry, err error, yield func(ftp.Entry, error) bool) bool {
	switch {
	case err != nil:
		return yield(ftp.Entry{}, err)
	case e.Type == ftp.CDirEntry, e.Type == ftp.PDirEntry, e.Name == ".", e.Name == "..":
		return true
	case !isName(e.Name):
		return yield(ftp.Entry{}, &NameError{Name: e.Name})
	}
	return yield(e, nil)
}

// isName: one component of a path, so that no listing can point elsewhere.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00\r\n")
}

// listing is lines for LIST and NLST, whose argument some servers take for flags
// or a pattern, and for which many refuse an empty directory.
func (c *Client) listing(ctx context.Context, verb, path string, yield func(line string) bool) error {
	err := error(nil)
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	if strings.ContainsAny(path, "*?[]{}") || path != strings.Trim(path, " ") {
		err = c.within(ctx, path, func() error { return c.lines(ctx, verb, "", yield) })
	} else {
		err = c.lines(ctx, verb, path, yield)
	}
	var no *ftp.Error
	if !isReply(err) || !errors.As(err, &no) || no.Verb != verb || no.Code != 450 && no.Code != 550 {
		return err
	}
	if text := strings.ToLower(no.Text()); strings.Contains(text, "denied") || strings.Contains(text, "permi") {
		return err
	}
	exists := c.within(ctx, path, func() error { return nil })
	if exists == nil {
		return nil // it is there, so it is empty
	}
	if isReply(exists) {
		return err
	}
	return exists
}

// within runs do with path as the current directory, and comes back.
func (c *Client) within(ctx context.Context, path string, do func() error) error {
	if path == "" {
		return do()
	}
	was, err := c.pwd(ctx)
	if err != nil {
		return err
	}
	if _, err := c.do(ctx, "CWD", path); err != nil {
		return err
	}
	err = do()
	// The way back is not optional: relative paths hang on it.
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opts.Timeout)
	defer cancel()
	if _, e := c.do(back, "CWD", was); e != nil && err == nil {
		err = e
	}
	return err
}

// lines runs a listing and yields its lines without their ends, as they come;
// errStopped if yield had enough.
func (c *Client) lines(ctx context.Context, verb, path string, yield func(line string) bool) error {
	s := c.stream(ctx, func(ctx context.Context, j *job) error {
		j.verb, j.arg, j.dir, j.want, j.raw = verb, path, ftp.Retrieve, -1, true
		j.anyType = verb == "MLSD" // RFC 3659 §7.2
		_, err := c.transfer(ctx, j)
		return err
	}, func() {})
	defer func() { _ = s.Close() }() // its verdict came with the last line
	in := bufio.NewReaderSize(s, maxLine)
	for n, size := 0, 0; ; n++ {
		line, err := in.ReadSlice('\n')
		size += len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return ftp.ErrLineTooLong
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case n == maxEntries, size > maxListing:
			return ErrTooMany
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if c.opts.Observer != nil && text != "" {
			c.tell(ftp.Listed{Line: text})
		}
		if text != "" && !yield(c.decode(text)) {
			return errStopped
		}
		if err != nil {
			return nil
		}
	}
}

// Names returns the names in the directory at path, as NLST has them. Servers
// differ in what they leave out; a path before the names is taken off.
func (c *Client) Names(ctx context.Context, path string) ([]string, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.end()
	if err := sendable(path); err != nil {
		return nil, err
	}
	var names []string
	var bad error
	room := newBudget()
	err := c.listing(ctx, "NLST", path, func(line string) bool {
		name := line
		if prefix := strings.TrimSuffix(path, "/") + "/"; path != "" {
			name = strings.TrimPrefix(strings.TrimPrefix(name, "./"), prefix)
		}
		switch {
		case name == "." || name == "..":
		case isName(name):
			const header = 48 // of a string, in a slice that grows
			names = append(names, strings.Clone(name))
			bad = room.take(len(name) + header)
		default:
			bad = &NameError{Name: name}
		}
		return bad == nil
	})
	if bad != nil {
		err = bad
	}
	return names, err
}
