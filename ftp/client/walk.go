package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"path"
	"slices"
	"strings"

	"miniftp/ftp"
)

// maxDepth bounds a tree: a directory that lists itself ends there.
const maxDepth = 100

// WalkEntry is an entry and its path: the root as it was given, and the names below.
type WalkEntry struct {
	Path string
	ftp.Entry
}

// Walk yields all that is below root, a directory before what is in it, each
// directory sorted by name. Links are not followed. A directory that can't be
// read is yielded as an error with its Path, and the walk goes on; so are a line of
// it that can't be read, a name that is none, and a directory that contains itself
// (ErrTooDeep). In the loop the Client is free: each directory is
// read whole before its entries are yielded.
func (c *Client) Walk(ctx context.Context, root string) iter.Seq2[WalkEntry, error] {
	return func(yield func(WalkEntry, error) bool) {
		w := walker{c: c, ctx: ctx, yield: yield, left: maxEntries}
		w.dir(root, nil)
	}
}

type walker struct {
	c     *Client
	ctx   context.Context
	yield func(WalkEntry, error) bool
	left  int // entries that may still be read
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
	w.left -= len(entries)
	if err == nil && w.left < 0 {
		err = ErrTooMany
	}
	if err != nil {
		more := w.yield(here, err)
		return more && w.left >= 0 && w.ctx.Err() == nil && w.c.Alive()
	}
	for _, err := range odd {
		if !w.yield(here, err) {
			return false
		}
	}
	slices.SortFunc(entries, func(a, b ftp.Entry) int { return cmp.Compare(a.Name, b.Name) })
	for _, e := range entries {
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
func (w *walker) readDir(dir string) (entries []ftp.Entry, odd []error, err error) {
	const enough = 20
	err = w.c.list(w.ctx, dir, func(e ftp.Entry, err error) bool {
		switch {
		case err == nil:
			entries = append(entries, e)
		case len(odd) < enough:
			odd = append(odd, err)
		}
		return true
	})
	return entries, odd, err
}

// readDir reads a directory whole. A line that can't be read fails it: who works
// on a whole tree must not miss part of it unknowingly.
func (c *Client) readDir(ctx context.Context, dir string) ([]ftp.Entry, error) {
	var entries []ftp.Entry
	var bad error
	err := c.list(ctx, dir, func(e ftp.Entry, err error) bool {
		if err != nil {
			bad = errors.Join(bad, err)
			return false
		}
		entries = append(entries, e)
		return true
	})
	if bad != nil {
		err = bad
	}
	return entries, err
}

// readHidden reads a directory by LIST -a.
func (c *Client) readHidden(ctx context.Context, dir string) (entries []ftp.Entry, err error) {
	var p ftp.ListParser
	lines := func() error {
		return c.lines(ctx, "LIST", "-a", func(line string) bool {
			e, ok, err := p.Parse(line)
			return err != nil || !ok || yieldEntry(e, nil, func(e ftp.Entry, err error) bool {
				if err == nil {
					entries = append(entries, e)
				}
				return true
			})
		})
	}
	return entries, c.within(ctx, dir, lines)
}

// Glob returns what matches a pattern of path.Match, component by component,
// sorted. Nothing that matches is no error; path.ErrBadPattern is.
func (c *Client) Glob(ctx context.Context, pattern string) ([]WalkEntry, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, err
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.end()
	return c.glob(ctx, pattern)
}

func (c *Client) glob(ctx context.Context, pattern string) ([]WalkEntry, error) {
	if !hasMeta(pattern) {
		e, err := c.stat(ctx, pattern)
		if isReply(err) {
			return nil, nil
		}
		return []WalkEntry{{Path: pattern, Entry: e}}, err
	}
	dir, last := path.Split(strings.TrimRight(pattern, "/"))
	if up := strings.TrimRight(dir, "/"); up != "" {
		dir = up
	}
	dirs := []WalkEntry{{Path: dir}}
	if hasMeta(dir) {
		var err error
		if dirs, err = c.glob(ctx, dir); err != nil {
			return nil, err
		}
	}
	var found []WalkEntry
	for _, d := range dirs {
		if d.Type == ftp.FileEntry {
			continue
		}
		entries, err := c.readDir(ctx, d.Path)
		if err != nil && !isReply(err) {
			return nil, err
		}
		for _, e := range entries {
			if ok, _ := path.Match(last, e.Name); ok {
				found = append(found, WalkEntry{Path: join(d.Path, e.Name), Entry: e})
			}
		}
	}
	slices.SortFunc(found, func(a, b WalkEntry) int { return cmp.Compare(a.Path, b.Path) })
	return found, nil
}

func hasMeta(pattern string) bool { return strings.ContainsAny(pattern, `*?[\`) }
