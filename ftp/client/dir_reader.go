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

// DirReader reads directories for a user who has to know all names in them, and what they are, as
// a mirror does that deletes what it does not see. It asks what listings leave open, and learns
// what the server's listings are like. The zero value is ready; it is for one server and safe for
// concurrent use.
type DirReader struct {
	ways       listWays
	tellsLinks atomic.Bool // MLSD says where they lead to
}

// DirRead is how far a listing can be trusted.
type DirRead struct {
	Odd     []error // lines and names that can't be told, and Partial
	Partial error   // why names are missing
	Hides   bool    // names that begin with a dot may be missing
	Halves  bool    // the last line has no end: its name may be half of another one
}

// Read gives all names of a directory to add, links as links; nil means that it begins anew. links:
// it matters where links lead to.
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
	to      bool // where links lead to matters
	add     func(*ftp.Entry) error
	hides   bool
	odd     []error
	partial error // why it is not all of the listing
	full    error
	entries int
	links   map[string]string // where those lead to that LIST has
	ours    bool              // the server is miniftp and lists by LIST
	unknown []string          // names of which it is not told what they are
	samples []zoneSample      // whose times show the zone of LIST
}

// enough of what is odd in a listing.
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
		if e.Type == ftp.UnknownEntry { // nor does MLST tell
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
	if r.entries == 0 { // there are servers that show one that can't be read as empty
		return r.c.within(ctx, r.dir, func() error { return nil })
	}
	return nil
}

// names lists the directory.
func (r *reading) names(ctx context.Context) (err error) {
	if err := r.add(nil); err != nil { // a connection may have broken
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

// askLinks finds out by LIST which names are links and where they lead to, when that
// matters: there are servers whose MLSD does not tell, or that tell what they lead to.
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
		return nil // MLSD will tell what it can
	}
	return err
}

// maxUnknown is how many names of a directory are asked for one by one, as a listing does
// not say what they are.
const maxUnknown = 10_000

// maxLinks is how many links of a directory are asked for.
const maxLinks = 10_000

// take is given each entry.
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

// Look finds out what is at a path that is likely to be a directory, links followed.
func (c *Client) Look(ctx context.Context, at string) (ftp.Entry, error) {
	if unique, is, err := c.asDir(ctx, at); is || err != nil {
		return ftp.Entry{Name: path.Base(at), Type: ftp.DirEntry, Size: -1, Unique: unique}, err
	}
	e, err := c.Resolve(ctx, at)
	e.Name = path.Base(at)
	return e, err
}

// asDir asks first whether a path is a directory, and which: there are servers that tell
// the size of one.
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
