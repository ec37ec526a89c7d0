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

// maxDepth is the maximum depth of a tree. It ends the walk of a directory that contains itself.
const maxDepth = 100

// WalkEntry is an entry with its path: the root as it was given, followed by the names below it.
type WalkEntry struct {
	Path string
	ftp.Entry
}

// Walk yields everything below root, including hidden names: a directory before its contents, each directory
// sorted by name. It does not follow links. For a directory that can't be read it yields an error with the
// Path, and continues. The same goes for a line that can't be parsed, an invalid name, an incomplete
// listing (ErrPartial), and a directory that contains itself (ErrTooDeep). The loop body may use the
// Client, because each directory is read completely before its entries are yielded.
func (c *Client) Walk(ctx context.Context, root string) iter.Seq2[WalkEntry, error] {
	return func(yield func(WalkEntry, error) bool) {
		w := walker{c: c, ctx: ctx, yield: yield, Budget: kept.NewBudget()}
		w.dir(root, nil)
	}
}

// walker walks a tree. Its Budget limits the entries of all open directories together.
type walker struct {
	c     *Client
	ctx   context.Context
	yield func(WalkEntry, error) bool
	ways  listWays
	*kept.Budget
}

// dir yields everything below dir. above holds the unique facts of the directories that lead here. dir
// reports whether the walk continues.
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

// readDir reads a directory completely. odd holds the first of the lines that can't be parsed and of the
// invalid names.
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

// firstOf returns found if it is not nil, else err. It serves readers of listings, which stop the listing after an
// error that they found: err is then only the consequence.
func firstOf(found, err error) error {
	if found != nil {
		return found
	}
	return err
}

// readDir reads a directory completely. If hidden is set, it uses only LIST -a. It fails if a line can't be
// parsed, because the caller works on a whole tree and must not miss a part of it.
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

// entryBytes is the approximate size of a WalkEntry without its names.
const entryBytes = 300

// LinkStaysInside reports whether a link with the given target, in the directory dir of a tree, certainly
// points to a place in the tree, whatever other links the tree has. dir is relative to the root of the
// tree, which is "" or ".". A target with ".." after a name is rejected, because that name may be a link.
func LinkStaysInside(dir, target string) bool {
	clean := strings.TrimSuffix(target, "/")
	if clean == "" || path.IsAbs(clean) || strings.ContainsAny(clean, "\x00\r\n\\") || path.Clean(clean) != clean {
		return false
	}
	to := path.Join(dir, clean)
	return to != ".." && !strings.HasPrefix(to, "../")
}
