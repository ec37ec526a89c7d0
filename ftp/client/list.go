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

// ErrPartial is returned for a listing that may be incomplete: the server says that there are more
// names than it lists, or the listing does not begin or end as it should.
var ErrPartial = errors.New("the listing is not complete")

// errUnread is returned for a listing without "." from a server that includes "." in others.
var errUnread = errors.New("the listing is empty, without even the directory itself: it may not be readable")

// errHalfLine is returned for a listing by MLSD whose last line has no line end. RFC 3659 §7.2
// requires one after every line.
var errHalfLine = errors.New("the last line of the listing is incomplete")

// List yields the entries of the directory at path ("" for the current one) as they arrive, without
// "." and "..". It uses MLSD (RFC 3659 §7) if the server supports it, and otherwise LIST, with -a if
// the server accepts that, because many servers leave names that begin with a dot out of a plain LIST.
//
// A line that can't be parsed is yielded as an *ftp.LineError and an invalid name as a *NameError; the
// sequence continues after these. Any other error, such as ErrPartial, ends it.
//
// The loop body may call methods of the Client. The first such call reads the rest of the listing
// into memory or a temporary file. Leaving the loop early stops the transfer.
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

// list is List for a caller that holds the Client. It returns errStopped if yield returned false.
func (c *Client) list(ctx context.Context, path string, yield func(ftp.Entry, error) bool) error {
	_, err := c.listAll(ctx, path, new(listWays), yield)
	return err
}

// mlsd lists by MLSD. done is false if the caller should try LIST: because the server does not support
// MLSD (then err is nil), or because of err, which the caller returns if LIST fails as well.
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

// isBroken reports whether a refusal may concern the command rather than its argument: some servers
// list MLSD and MLST in FEAT and answer them by 501, 503 or 550.
func isBroken(err error) bool {
	var no *ftp.Error
	return isNo(err) && errors.As(err, &no) && (no.Code == 501 || no.Code == 503 || no.Code == 550)
}

// listWays records how a server's LIST behaves. Connections may share it.
type listWays struct {
	noHidden atomic.Bool // it does not support -a
	dots     atomic.Bool // with -a the listing includes "."
}

// listAll is list with what is known about the server's LIST. hides reports that hidden names may be
// missing.
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
	case errors.As(no, &reply) && reply.Code == 550: // LIST may show an unreadable directory as empty
		return hides, no
	}
	return hides, err
}

// byLIST is listAll without MLSD. A listing by LIST -a is used if it has at least one line.
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
		w.noHidden.Store(true) // with -a the listing was empty
	}
	return true, err
}

// listHidden lists by LIST -a and counts the lines. hides reports that no line shows that the server
// understood -a.
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

// parsed parses the output of the LIST that list runs, and yields the entries. It returns errStopped
// if yield returned false, also for an entry that the parser held back until the end.
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

// yieldEntry yields an entry, except the directory itself and its parent. An invalid name becomes a
// NameError.
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

// isName reports whether s is a single component of a path, so that no listing can point elsewhere.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00\r\n")
}

// Names returns the names in the directory at path, as listed by NLST. Servers differ in what they
// leave out. If the server puts the path before the names, Names removes it.
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
			const header = 48 // memory of a string header, in a slice that grows
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
