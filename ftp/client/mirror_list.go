package client

import (
	"context"
	"errors"
	"strings"
	"time"

	"miniftp/ftp"
)

func (s *remoteSide) list(ctx context.Context, rel string, add func(*ftp.Entry) error) (got read, err error) {
	err = s.do(ctx, ListDir, rel, func(c *Client) error {
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		r := &reading{s: s, c: c, rel: rel, add: add, ours: c.storesWhole()}
		err := r.run(ctx)
		got = read{odd: r.odd, partial: r.partial, hides: r.hides, halves: c.halfLine}
		return err
	})
	return got, err
}

// reading is one directory that is listed over one connection.
type reading struct {
	s       *remoteSide
	c       *Client
	rel     string
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
		e, err := r.c.stat(ctx, r.s.at(below(r.rel, name)))
		if err != nil {
			return err
		}
		if e.Type == ftp.UnknownEntry { // nor does MLST tell
			is, err := r.c.isDir(ctx, r.s.at(below(r.rel, name)))
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
		return r.s.learnZone(ctx, r.c, r.samples)
	}
	if r.entries == 0 { // there are servers that show one that can't be read as empty
		return r.c.within(ctx, r.s.at(r.rel), func() error { return nil })
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
	r.hides, err = r.c.listAll(ctx, r.s.at(r.rel), &r.s.ways, r.take)
	if err = firstOf(r.full, err); someOnly(err) {
		r.odd, r.partial = append(r.odd, err), err
		return nil
	}
	return err
}

// askLinks finds out by LIST which names are links and where they lead to, when that
// matters: there are servers whose MLSD does not tell, or that tell what they lead to.
func (r *reading) askLinks(ctx context.Context) error {
	m := r.s.m
	if m.o.Links == SkipLinks || m.o.Links == FollowLinks && r.s != m.src || r.s.tellsLinks.Load() ||
		r.c.history.noMLSD.Load() || !r.c.features.Has("MLST") && !r.c.features.Has("MLSD") {
		return nil
	}
	room := &budget{entries: maxLinks, room: maxLinks * entryBytes}
	r.links = map[string]string{}
	_, err := r.c.byLIST(ctx, r.s.at(r.rel), &r.s.ways, func(e ftp.Entry, err error) bool {
		if err == nil && e.Type == ftp.LinkEntry && e.Target != "" && room.take(entryBytes+len(e.Name)+len(e.Target)) == nil {
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
		return true // what miniftp serve keeps of an upload, and hides but from LIST -a
	}
	if target, ok := r.links[e.Name]; ok && err == nil {
		e.Type, e.Target = ftp.LinkEntry, target
	} else if err == nil && e.Type == ftp.LinkEntry && e.Target != "" {
		r.s.tellsLinks.Store(true)
	}
	switch {
	case err != nil && len(r.odd) < enough:
		r.odd = append(r.odd, err)
	case err != nil:
	case e.Type == ftp.UnknownEntry && len(r.unknown) < maxUnknown:
		r.unknown = append(r.unknown, strings.Clone(e.Name))
	default:
		if len(r.samples) < maxSamples && e.Type == ftp.FileEntry && e.Precise == time.Minute {
			r.samples = append(r.samples, zoneSample{below(r.rel, strings.Clone(e.Name)), e.Modified})
		}
		r.full = r.add(&e)
	}
	return r.full == nil
}
