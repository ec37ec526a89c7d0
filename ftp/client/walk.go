package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"path"
	"slices"
	"strings"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// maxDepth bounds a tree: a directory that lists itself ends there.
const maxDepth = 100

// WalkEntry is an entry and its path: the root as it was given, and the names below.
type WalkEntry struct {
	Path string
	ftp.Entry
}

// Walk yields all that is below root, hidden names too, a directory before what is in
// it, each directory sorted by name. Links are not followed. A directory that can't be
// read is yielded as an error with its Path, and the walk goes on; so are a line of
// it that can't be read, a name that is none, a listing that is not all (ErrPartial), and
// a directory that contains itself (ErrTooDeep). In the loop the Client is free: each directory is
// read whole before its entries are yielded.
func (c *Client) Walk(ctx context.Context, root string) iter.Seq2[WalkEntry, error] {
	return func(yield func(WalkEntry, error) bool) {
		w := walker{c: c, ctx: ctx, yield: yield, Budget: kept.NewBudget()}
		w.dir(root, nil)
	}
}

type walker struct {
	c     *Client
	ctx   context.Context
	yield func(WalkEntry, error) bool
	ways  listWays
	*kept.Budget
}

// dir yields what is below dir; above are the unique facts of the directories
// that lead here. It reports whether to go on.
func (w *walker) dir(dir string, above []string) bool {
	here := WalkEntry{Path: dir, Entry: ftp.Entry{Type: ftp.DirEntry, Size: -1}}
	if len(above) >= maxDepth {
		return w.yield(here, ErrTooDeep)
	}
	if err := w.c.begin(); err != nil {
		w.yield(here, err)
		return false
	}
	entries, odd, err := w.readDir(dir)
	w.c.end()
	defer entries.Drop()
	if err != nil {
		more := w.yield(here, err)
		return more && w.Entries >= 0 && w.ctx.Err() == nil && w.c.Alive()
	}
	for _, err := range odd {
		if !w.yield(here, err) {
			return false
		}
	}
	for i := range entries.Len() {
		e, err := entries.Entry(i)
		if err != nil {
			return w.yield(here, err)
		}
		at := WalkEntry{Path: join(dir, e.Name), Entry: e}
		var loop error
		if e.Type == ftp.DirEntry && e.Unique != "" && slices.Contains(above, e.Unique) {
			loop = ErrTooDeep
		}
		if !w.yield(at, loop) {
			return false
		}
		if e.Type == ftp.DirEntry && loop == nil && !w.dir(at.Path, append(above[:len(above):len(above)], e.Unique)) {
			return false
		}
	}
	return true
}

// readDir reads a directory whole; odd are the first of the lines that can't be
// read and of the names that are none.
func (w *walker) readDir(dir string) (entries *kept.List, odd []error, err error) {
	const enough = 20
	entries = &kept.List{Budget: w.Budget}
	var full error
	_, err = w.c.listAll(w.ctx, dir, &w.ways, func(e ftp.Entry, err error) bool {
		switch {
		case err == nil:
			full = entries.Add(&e)
		case len(odd) < enough:
			odd = append(odd, err)
		}
		return full == nil
	})
	err = firstOf(full, err)
	if someOnly(err) {
		odd, err = append(odd, err), nil
	}
	if err == nil {
		err = entries.Sort()
	}
	return entries, odd, err
}

// firstOf is why a listing ended: what its reader found wrong comes before what
// came of stopping it.
func firstOf(found, err error) error {
	if found != nil {
		return found
	}
	return err
}

// readDir reads a directory whole, if hidden by LIST -a and nothing else. A line that
// can't be read fails it: who works on a whole tree must not miss part of it unknowingly.
func (c *Client) readDir(ctx context.Context, dir string, w *listWays, b *kept.Budget, hidden bool) (*kept.List, error) {
	entries := &kept.List{Budget: b}
	var bad, err error
	add := func(e ftp.Entry, err error) bool {
		if bad = err; err == nil {
			bad = entries.Add(&e)
		}
		return bad == nil
	}
	if hidden {
		_, _, err = c.listHidden(ctx, dir, w, add)
	} else {
		_, err = c.listAll(ctx, dir, w, add)
	}
	err = firstOf(bad, err)
	if err == nil || errors.Is(err, ErrPartial) {
		err = cmp.Or(entries.Sort(), err)
	}
	return entries, err
}

// entryBytes is about what a WalkEntry takes beside its names.
const entryBytes = 300

// LinkStaysInside reports whether a link with that target, in the directory dir of a tree,
// certainly leads to a place in the tree, whatever other links are in it. dir is relative to
// the root of the tree, which is "" or ".".
// A ".." after a name might go up from where a link leads to.
func LinkStaysInside(dir, target string) bool {
	clean := strings.TrimSuffix(target, "/")
	if clean == "" || path.IsAbs(clean) || strings.ContainsAny(clean, "\x00\r\n\\") || path.Clean(clean) != clean {
		return false
	}
	to := path.Join(dir, clean)
	return to != ".." && !strings.HasPrefix(to, "../")
}
