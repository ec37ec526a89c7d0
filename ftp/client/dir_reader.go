package client

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// DirReader reads directories for a caller that must know every name and its type, such as a mirror that
// deletes what it does not see. It asks the server for what listings leave open, and learns how the
// server's listings behave. The zero value is ready to use. A DirReader is for one server and is safe
// for concurrent use.
type DirReader struct {
	ways       listWays
	tellsLinks atomic.Bool // MLSD reports the targets of links
}

// DirRead reports how far a listing can be trusted.
type DirRead struct {
	Odd     []error // lines and names that can't be parsed, and Partial
	Partial error   // why names may be missing
	Hides   bool    // names that begin with a dot may be missing
	Halves  bool    // the last line is incomplete: its name may be cut
}

// Read passes every entry of a directory to add; it does not follow links. add(nil) means that the
// listing starts over. If links is set, Read also finds out the targets of links.
func (d *DirReader) Read(ctx context.Context, c *Client, dir string, links bool, add func(*ftp.Entry) error) (DirRead, error) {
	if err := c.begin(); err != nil {
		return DirRead{}, err
	}
	defer c.end()
	r := &reading{d: d, c: c, dir: dir, to: links, add: add, ours: c.storesWhole()}
	err := r.run(ctx)
	return DirRead{Odd: r.odd, Partial: r.partial, Hides: r.hides, Halves: c.halfLine}, err
}

// reading is one directory that is listed over one connection.
type reading struct {
	d       *DirReader
	c       *Client
	dir     string
	to      bool // the targets of links are requested
	add     func(*ftp.Entry) error
	hides   bool
	odd     []error
	partial error // why the listing is not complete
	full    error // returned by add
	entries int
	links   map[string]string // the links that LIST shows, with their targets
	ours    bool              // the server is miniftp
	unknown []string          // names whose type the listing does not report
	samples []zoneSample      // files whose times can show the zone of LIST
}

// enough is how many odd lines of a listing are kept.
const enough = 20

func (r *reading) run(ctx context.Context) error {
	if err := r.names(ctx); err != nil {
		return err
	}
	for _, name := range r.unknown {
		e, err := r.c.stat(ctx, path.Join(r.dir, name))
		if err != nil {
			return err
		}
		if e.Type == ftp.UnknownEntry { // MLST does not report the type either
			is, err := r.c.isDir(ctx, path.Join(r.dir, name))
			if err != nil {
				return err
			}
			if e.Type = ftp.FileEntry; is {
				e.Type = ftp.DirEntry
			}
		}
		e.Name = name
		if err := r.add(&e); err != nil {
			return err
		}
	}
	if len(r.samples) > 0 {
		return r.c.learnZone(ctx, r.samples)
	}
	if r.entries == 0 { // some servers show an unreadable directory as empty
		return r.c.within(ctx, r.dir, func() error { return nil })
	}
	return nil
}

// names lists the directory.
func (r *reading) names(ctx context.Context) (err error) {
	if err := r.add(nil); err != nil { // this may be a second attempt over a new connection
		return err
	}
	if err := r.askLinks(ctx); err != nil {
		return err
	}
	r.c.halfLine = false
	r.hides, err = r.c.listAll(ctx, r.dir, &r.d.ways, r.take)
	if err = firstOf(r.full, err); someOnly(err) {
		r.odd, r.partial = append(r.odd, err), err
		return nil
	}
	return err
}

// askLinks finds out by LIST which names are links, and their targets, if those are requested: some
// servers do not report links in MLSD, or report the type of the target.
func (r *reading) askLinks(ctx context.Context) error {
	if !r.to || r.d.tellsLinks.Load() ||
		r.c.history.noMLSD.Load() || !r.c.features.Has("MLST") && !r.c.features.Has("MLSD") {
		return nil
	}
	room := &kept.Budget{Entries: maxLinks, Room: maxLinks * entryBytes}
	r.links = map[string]string{}
	_, err := r.c.byLIST(ctx, r.dir, &r.d.ways, func(e ftp.Entry, err error) bool {
		if err == nil && e.Type == ftp.LinkEntry && e.Target != "" && room.Take(entryBytes+len(e.Name)+len(e.Target)) == nil {
			r.links[strings.Clone(e.Name)] = strings.Clone(e.Target)
		}
		return true
	})
	if isReply(err) || someOnly(err) || errors.Is(err, errUnread) {
		return nil // rely on what MLSD reports
	}
	return err
}

// maxUnknown is how many names of a directory are asked for one by one because the listing does not
// report their type.
const maxUnknown = 10_000

// maxLinks is how many links of a directory are kept.
const maxLinks = 10_000

// take handles one entry of the listing.
func (r *reading) take(e ftp.Entry, err error) bool {
	r.entries++
	if err == nil && r.ours && strings.HasPrefix(e.Name, ".") && strings.HasSuffix(e.Name, ".upload") {
		return true // a partial upload of miniftp serve, if a server shows it
	}
	if target, ok := r.links[e.Name]; ok && err == nil {
		e.Type, e.Target = ftp.LinkEntry, target
	} else if err == nil && e.Type == ftp.LinkEntry && e.Target != "" {
		r.d.tellsLinks.Store(true)
	}
	switch {
	case err != nil && len(r.odd) < enough:
		r.odd = append(r.odd, err)
	case err != nil:
	case e.Type == ftp.UnknownEntry && len(r.unknown) < maxUnknown:
		r.unknown = append(r.unknown, strings.Clone(e.Name))
	default:
		if len(r.samples) < maxSamples && e.Type == ftp.FileEntry && e.Precise == time.Minute {
			r.samples = append(r.samples, zoneSample{path.Join(r.dir, e.Name), e.Modified})
		}
		r.full = r.add(&e)
	}
	return r.full == nil
}

// Look returns the entry at a path that is probably a directory. It follows links.
func (c *Client) Look(ctx context.Context, at string) (ftp.Entry, error) {
	if unique, is, err := c.asDir(ctx, at); is || err != nil {
		return ftp.Entry{Name: path.Base(at), Type: ftp.DirEntry, Size: -1, Unique: unique}, err
	}
	e, err := c.Resolve(ctx, at)
	e.Name = path.Base(at)
	return e, err
}

// asDir reports whether a path is a directory, and its unique fact. It comes before Resolve because some
// servers report a size for directories.
func (c *Client) asDir(ctx context.Context, path string) (unique string, is bool, err error) {
	if err := c.begin(); err != nil {
		return "", false, err
	}
	defer c.end()
	if c.hasMLST() {
		e, err := c.mlst(ctx, path)
		switch {
		case err == nil && e.Type == ftp.DirEntry:
			return e.Unique, true, nil
		case err == nil && e.Type != ftp.LinkEntry && e.Type != ftp.UnknownEntry:
			return "", false, nil
		case err != nil && !isReply(err):
			return "", false, err
		}
	}
	is, err = c.canEnter(ctx, path)
	return "", is, err
}
