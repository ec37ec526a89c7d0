package client

import (
	"context"
	"iter"
	"path"
	"strings"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// Paths is a set of entries with their paths. It may be of any size: what does not fit in memory is in a
// temporary file until Close. The zero value is empty. It is not safe for concurrent use.
type Paths struct {
	kept   kept.List
	sorted bool
}

// Add adds an entry by its Path; its Name is not kept.
func (p *Paths) Add(e WalkEntry) error {
	if p.kept.Budget == nil {
		p.kept.Budget = kept.NewBudget()
	}
	e.Entry.Name = e.Path
	return p.kept.Add(&e.Entry)
}

// Len returns the number of entries.
func (p *Paths) Len() int { return p.kept.Len() }

// All yields the entries, sorted by path, so that a directory comes before its contents. Add must not be
// called after it. An error is one of the temporary file, and ends the sequence.
func (p *Paths) All() iter.Seq2[WalkEntry, error] {
	return func(yield func(WalkEntry, error) bool) {
		if !p.sorted {
			if err := p.kept.Sort(); err != nil {
				yield(WalkEntry{}, err)
				return
			}
			p.sorted = true
		}
		for i := range p.kept.Len() {
			e, err := p.kept.Entry(i)
			at := WalkEntry{Path: e.Name, Entry: e}
			at.Name = baseName(at.Path)
			if !yield(at, err) || err != nil {
				return
			}
		}
	}
}

// Close frees the entries.
func (p *Paths) Close() {
	if p.kept.Budget != nil {
		p.kept.Drop()
	}
	*p = Paths{}
}

// Match returns the entries that match a pattern of path.Match, component by component. It is no error if
// nothing matches; path.ErrBadPattern is returned for a malformed pattern. The caller must close the
// Paths.
func (c *Client) Match(ctx context.Context, pattern string) (*Paths, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, err
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.end()
	return c.match(ctx, pattern, kept.MaxEntries, kept.NewBudget())
}

// maxMatchedDirs is how many directories the components before the last may match: each of them is listed,
// and a tree may contain itself.
const maxMatchedDirs = 100_000

// match is Match for a caller that holds the Client. It returns ErrTooMany for more than most matches.
func (c *Client) match(ctx context.Context, pattern string, most int, b *kept.Budget) (found *Paths, err error) {
	found = &Paths{kept: kept.List{Budget: b}}
	defer func() {
		if err != nil {
			found.Close()
			found = nil
		}
	}()
	if !hasMeta(pattern) {
		e, err := c.stat(ctx, pattern)
		switch {
		case isReply(err):
			return found, nil
		case err != nil:
			return found, err
		}
		return found, found.Add(WalkEntry{Path: pattern, Entry: e})
	}
	dir, last := path.Split(strings.TrimRight(pattern, "/"))
	if up := strings.TrimRight(dir, "/"); up != "" {
		dir = up
	}
	if !hasMeta(dir) {
		return found, c.matchIn(ctx, dir, last, found)
	}
	dirs, err := c.match(ctx, dir, maxMatchedDirs, b)
	if err != nil {
		return found, err
	}
	defer dirs.Close()
	for d, err := range dirs.All() {
		if err == nil && d.Type != ftp.FileEntry {
			err = c.matchIn(ctx, d.Path, last, found)
		}
		if err == nil && found.Len() > most {
			err = ErrTooMany
		}
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// matchIn adds the names in a directory that match the last component of a pattern. It adds none if the
// server refuses to list the directory.
func (c *Client) matchIn(ctx context.Context, dir, last string, found *Paths) error {
	var bad error
	err := c.list(ctx, dir, func(e ftp.Entry, err error) bool {
		ok, _ := path.Match(last, e.Name)
		switch b := found.kept.Budget; {
		case err != nil:
			bad = err
		case ok:
			bad = found.Add(WalkEntry{Path: join(dir, e.Name), Entry: e})
		default:
			if b.Entries--; b.Entries < 0 {
				bad = ErrTooMany
			}
		}
		return bad == nil
	})
	if err = firstOf(bad, err); isReply(err) {
		return nil
	}
	return err
}

// Glob is like Match but returns a slice, sorted by path. It returns ErrTooMany if the slice
// would need more than 48 MiB.
func (c *Client) Glob(ctx context.Context, pattern string) (all []WalkEntry, err error) {
	found, err := c.Match(ctx, pattern)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	room := kept.Budget{Entries: kept.MaxEntries, Room: 48 << 20}
	for e, err := range found.All() {
		if err == nil {
			err = room.Take(len(e.Path) + len(e.Name) + entryBytes)
		}
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = make([]WalkEntry, 0, found.Len()) // a slice that grows would need twice the memory
		}
		all = append(all, e)
	}
	return all, nil
}

func hasMeta(pattern string) bool { return strings.ContainsAny(pattern, `*?[\`) }
