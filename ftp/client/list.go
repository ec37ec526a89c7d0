package client

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// ErrPartial is returned for a listing that is not known to be complete: the server says that
// it has more names than it lists, or the listing does not begin or end as it should.
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
// last, ErrPartial among them. In the loop the Client is free, as in that of Walk: its first use
// there has the rest of the listing read before. Leaving the loop stops the transfer.
func (c *Client) List(ctx context.Context, path string) iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {
		if err := c.begin(); err != nil {
			yield(ftp.Entry{}, err)
			return
		}
		l := c.loop(ctx, path)
		defer l.end()
		for {
			if e, more, err := l.take(); !more || !yield(e, err) {
				return
			}
		}
	}
}

// list is List while the Client is taken; errStopped if yield had enough.
func (c *Client) list(ctx context.Context, path string, yield func(ftp.Entry, error) bool) error {
	_, err := c.listAll(ctx, path, new(listWays), yield)
	return err
}

// mlsd lists by MLSD. done is false if the server has no MLSD, or with an error that is
// believed only if LIST does not do better.
func (c *Client) mlsd(ctx context.Context, path string, yield func(ftp.Entry, error) bool) (done bool, err error) {
	if err := sendable(path); err != nil {
		return true, err
	}
	if c.history.noMLSD.Load() || !c.features.Has("MLST") && !c.features.Has("MLSD") {
		return false, nil
	}
	err = c.listIn(ctx, "MLSD", "", path, func(line string) bool {
		e, err := ftp.ParseMLSx(line)
		if err != nil {
			err = &ftp.LineError{Line: line}
		}
		return yieldEntry(kept.Unpinned(e, len(line)), err, yield)
	})
	switch {
	case refused(err):
		c.history.noMLSD.Store(true)
		return false, nil
	case err == nil:
		c.history.mlsdWorks.Store(true)
	case errors.Is(err, errNotBegun), isBroken(err) && !c.history.mlsdWorks.Load() && !c.isMeasured():
		return false, err
	}
	return true, err
}

// isBroken reports whether a refusal may be of the command rather than of its argument:
// there are servers that name MLSD and MLST in FEAT and answer 501, 503 or 550.
func isBroken(err error) bool {
	var no *ftp.Error
	return isNo(err) && errors.As(err, &no) && (no.Code == 501 || no.Code == 503 || no.Code == 550)
}

// listWays is what a server's LIST turned out to be like; connections may share it.
type listWays struct {
	noHidden atomic.Bool // it does not take -a
	dots     atomic.Bool // with -a it has "."
}

// listAll is list at a server of which more is known, or gets known. hides: hidden names
// may be missing.
func (c *Client) listAll(ctx context.Context, path string, w *listWays, yield func(ftp.Entry, error) bool) (hides bool, err error) {
	done, no := c.mlsd(ctx, path, yield)
	if done {
		return false, no
	}
	n := 0
	hides, err = c.byLIST(ctx, path, w, func(e ftp.Entry, err error) bool {
		n++
		return yield(e, err)
	})
	var reply *ftp.Error
	switch {
	case no == nil, errors.Is(no, errNotBegun), err != nil && !isReply(err):
		return hides, err
	case n > 0:
		c.history.noMLSD.Store(true)
		return hides, err
	case errors.As(no, &reply) && reply.Code == 550: // LIST may show what can't be read as empty
		return hides, no
	}
	return hides, err
}

// byLIST is listAll without MLSD.
func (c *Client) byLIST(ctx context.Context, path string, w *listWays, yield func(ftp.Entry, error) bool) (hides bool, err error) {
	if !w.noHidden.Load() {
		lines, hides, err := c.listHidden(ctx, path, w, yield)
		switch {
		case lines > 0, err != nil && !isNo(err) && !errors.Is(err, errNotBegun):
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
		return c.listIn(ctx, "LIST", "-a", path, func(line string) bool {
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
		if !yield(kept.Unpinned(e, longest), bad) {
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
	room := kept.NewBudget()
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
			bad = room.Take(len(name) + header)
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
