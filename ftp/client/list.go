package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"

	"miniftp/ftp"
)

// ErrPartial is a listing of which the server says that it is not all, such as one
// with more names than it lists. The error has the reply.
var ErrPartial = errors.New("the listing is not complete")

// errUnread is a listing without "." of a server that has it in others.
var errUnread = errors.New("the listing has nothing, not even the directory itself: it may not be readable")

// errHalfLine is a listing by MLSD that ends without the end of a line, which RFC 3659
// §7.2 wants behind each.
var errHalfLine = errors.New("the last line of the listing has no end")

// List yields the entries of the directory at path ("" for the current one) as
// they come: by MLSD where the server has it (RFC 3659 §7), else by LIST, with -a where
// the server takes that, as many leave the names that begin with a dot out of a plain
// one. Without "." and "..". A line that can't be read is yielded as an *ftp.LineError, a
// name that no file can have as a *NameError, and the loop continues; any other error is the
// last, ErrPartial among them. The Client is busy while the loop runs; leaving the
// loop stops the transfer.
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
	_, err := c.listAll(ctx, path, new(listWays), yield)
	return err
}

// mlsd lists by MLSD; done is false if the server has none.
func (c *Client) mlsd(ctx context.Context, path string, yield func(ftp.Entry, error) bool) (done bool, err error) {
	if err := sendable(path); err != nil {
		return true, err
	}
	if c.history.noMLSD.Load() || !c.features.Has("MLST") && !c.features.Has("MLSD") {
		return false, nil
	}
	err = c.lines(ctx, "MLSD", path, func(line string) bool {
		e, err := ftp.ParseMLSx(line)
		if err != nil {
			err = &ftp.LineError{Line: line}
		}
		return yieldEntry(unpinned(e, len(line)), err, yield)
	})
	no := refused(err)
	if no {
		c.history.noMLSD.Store(true)
	}
	return !no, err
}

// listWays is what a server's LIST turned out to be like; connections may share it.
type listWays struct {
	noHidden atomic.Bool // it does not take -a
	dots     atomic.Bool // with -a it has "."
}

// listAll is list at a server of which more is known, or gets known. hides: hidden names
// may be missing.
func (c *Client) listAll(ctx context.Context, path string, w *listWays, yield func(ftp.Entry, error) bool) (hides bool, err error) {
	if done, err := c.mlsd(ctx, path, yield); done {
		return false, err
	}
	return c.byLIST(ctx, path, w, yield)
}

// byLIST is listAll without MLSD.
func (c *Client) byLIST(ctx context.Context, path string, w *listWays, yield func(ftp.Entry, error) bool) (hides bool, err error) {
	if !w.noHidden.Load() {
		lines, hides, err := c.listHidden(ctx, path, w, yield)
		switch {
		case lines > 0, err != nil && !isNo(err):
			return hides, err
		case err == nil && w.dots.Load():
			return false, errUnread
		}
	}
	n := 0
	err = parsed(func(see func(string) bool) error { return c.listing(ctx, "LIST", path, see) }, func(e ftp.Entry, bad error) bool {
		n++
		return yieldEntry(e, bad, yield)
	})
	if n > 0 {
		w.noHidden.Store(true) // with -a there was nothing
	}
	return true, err
}

// listHidden lists by LIST -a and counts the lines. hides: nothing tells that -a was
// taken for what it is.
func (c *Client) listHidden(ctx context.Context, path string, w *listWays, yield func(ftp.Entry, error) bool) (lines int, hides bool, err error) {
	hides = true
	list := func(see func(string) bool) error {
		return c.inDir(ctx, "LIST", "-a", path, func(line string) bool {
			lines++
			return see(line)
		})
	}
	err = parsed(list, func(e ftp.Entry, bad error) bool {
		if bad == nil && e.Type == ftp.CDirEntry {
			w.dots.Store(true)
		}
		hides = hides && (bad != nil || !strings.HasPrefix(e.Name, "."))
		return yieldEntry(e, bad, yield)
	})
	return lines, hides, err
}

// parsed yields the entries of the LIST that list runs. It returns errStopped if yield
// had enough, also of an entry that was kept back until the end of the listing.
func parsed(list func(see func(line string) bool) error, yield func(ftp.Entry, error) bool) (err error) {
	longest := 0
	read := func(see func(line string) bool) {
		err = list(func(line string) bool {
			longest = max(longest, len(line))
			return see(line)
		})
	}
	var p ftp.ListParser
	for e, bad := range p.Entries(read) {
		if !yield(unpinned(e, longest), bad) {
			return errStopped
		}
	}
	return err
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

// listing is inDir where many refuse an empty directory.
func (c *Client) listing(ctx context.Context, verb, path string, yield func(line string) bool) error {
	err := c.inDir(ctx, verb, "", path, yield)
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

// inDir is lines for LIST and NLST of a directory. Some servers take their argument for
// flags or for a pattern: vsftpd does with a directory that it can't open, and then lists
// the directory's own name. A slash behind it prevents that; servers that do not take a
// slash, or have nothing to list with it, are asked without.
func (c *Client) inDir(ctx context.Context, verb, flags, path string, yield func(line string) bool) error {
	odd := "*?[]{}"
	if flags != "" {
		odd += ` \\`
		flags += " "
	}
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	if path == "" || strings.ContainsAny(path, odd) || path != strings.Trim(path, " ") {
		return c.within(ctx, path, func() error { return c.lines(ctx, verb, strings.TrimSpace(flags), yield) })
	}
	n := 0
	slashed := strings.TrimRight(path, "/") + "/"
	err := c.lines(ctx, verb, flags+slashed, func(line string) bool {
		n++
		return yield(line)
	})
	if slashed == path || n > 0 || err != nil && !isNo(err) {
		return err
	}
	return c.lines(ctx, verb, flags+path, yield)
}

// isNo reports whether err is the server's 4xx or 5xx.
func isNo(err error) bool {
	var no *ftp.Error
	return isReply(err) && errors.As(err, &no) && no.Code >= 400
}

// within runs do with path as the current directory, and comes back.
func (c *Client) within(ctx context.Context, path string, do func() error) error {
	if path == "" {
		return do()
	}
	was, err := c.enter(ctx, path)
	if err != nil {
		return err
	}
	err = do()
	// The way back is not optional: relative paths hang on it.
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opts.Timeout)
	defer cancel()
	_, e := c.do(back, "CWD", was)
	if e == nil {
		c.cwd = was
	} else if err == nil {
		err = e
	}
	return err
}

// enter makes path the current directory, and returns which one it was before.
func (c *Client) enter(ctx context.Context, path string) (was string, err error) {
	if was = c.cwd; was != "" || !c.batches() {
		if was == "" {
			if was, err = c.pwd(ctx); err != nil {
				return "", err
			}
		}
		if _, err = c.do(ctx, "CWD", path); isReply(err) {
			c.cwd = was
		}
		return was, err
	}
	replies, err := c.doAll(ctx, ftp.Command{Verb: "PWD"}, ftp.Command{Verb: "CWD", Arg: path})
	if err != nil {
		return "", err
	}
	if err = refusal("PWD", replies[0]); err == nil {
		was, err = ftp.Parse257(replies[0].Text())
	}
	no := refusal("CWD", replies[1])
	switch {
	case err != nil && no == nil: // there is no way back
		return "", c.die(err)
	case err == nil && no != nil:
		c.cwd = was
	}
	return was, firstOf(err, no)
}

// lines runs a listing and yields its lines without their ends, as they come;
// errStopped if yield had enough.
func (c *Client) lines(ctx context.Context, verb, path string, yield func(line string) bool) error {
	var res Result // set when the stream has ended
	s := c.stream(ctx, func(ctx context.Context, j *job) (err error) {
		j.verb, j.arg, j.dir, j.want, j.raw = verb, path, ftp.Retrieve, -1, true
		j.anyType = verb == "MLSD" // RFC 3659 §7.2
		j.anyMode = true
		res, err = c.transfer(ctx, j)
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
		cut := err != nil && len(line) > 0
		text := strings.TrimRight(strings.TrimSuffix(string(line), "\n"), "\r") // some end lines in CR CR LF
		if c.opts.Observer != nil && text != "" {
			c.tell(ftp.Listed{Line: text})
		}
		c.halfLine = cut
		switch {
		case cut && verb == "MLSD":
			return &TruncatedError{Want: -1, Got: res.Bytes, Final: res.Final, Err: errHalfLine}
		case cut && verb == "LIST" && res.cutShort: // half a name is another name
			return fmt.Errorf("the last line has no end: %w", &ftp.LineError{Line: c.decode(text)})
		case text != "" && !yield(c.decode(text)):
			return errStopped
		case err != nil:
			return listed(verb, res.Final)
		}
	}
}

// listed is what the final reply to a listing says of it: there are servers that say 226
// to a directory that they can't read, or have not listed to its end.
func listed(verb string, final ftp.Reply) error {
	text := strings.ToLower(strings.Join(final.Lines, "\n"))
	switch {
	case strings.Contains(text, "failed to open"), strings.Contains(text, "but failed"):
		return &ftp.Error{Verb: verb, Reply: final}
	case strings.Contains(text, "truncated"):
		return fmt.Errorf("%w: the server says %v", ErrPartial, final)
	}
	return nil
}

// someOnly reports whether err, the end of a listing, leaves what was listed right, but
// not all that there is.
func someOnly(err error) bool {
	var line *ftp.LineError
	return errors.Is(err, ErrPartial) || errors.As(err, &line)
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
			if below, ok := strings.CutPrefix(strings.TrimPrefix(name, "./"), prefix); ok {
				name = strings.TrimLeft(below, "/")
			} else {
				name = strings.TrimPrefix(name, "./")
			}
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
