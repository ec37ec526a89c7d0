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
		r := &reading{s: s, c: c, rel: rel, add: add}
		err := r.run(ctx)
		got = read{odd: r.odd, hides: r.hides}
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
	full    error
	entries int
	unknown []string // names of which it is not told what they are
	sample  string   // a file whose time shows the zone of LIST
	sampled time.Time
}

// errUnread is a listing without "." of a server that has it in others: vsftpd says 226
// to one that it could not read.
var errUnread = errors.New("the listing has nothing, not even the directory itself: it may not be readable")

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
		e.Name = name
		if err := r.add(&e); err != nil {
			return err
		}
	}
	if r.sample != "" {
		return r.s.learnZone(ctx, r.c, below(r.rel, r.sample), r.sampled)
	}
	if r.entries == 0 { // there are servers that show one that can't be read as empty
		return r.c.within(ctx, r.s.at(r.rel), func() error { return nil })
	}
	return nil
}

// names lists by MLSD, else by LIST -a, as a plain LIST leaves hidden names out.
func (r *reading) names(ctx context.Context) error {
	dir := r.s.at(r.rel)
	if c := r.c; !c.knows.noMLSD && (c.features.Has("MLST") || c.features.Has("MLSD")) {
		if err := r.add(nil); err != nil {
			return err
		}
		if err := firstOf(r.full, c.list(ctx, dir, r.take)); err != nil || !c.knows.noMLSD {
			return err
		}
	}
	if !r.s.noHidden.Load() {
		lines, err := r.all(ctx, dir)
		switch {
		case err == nil && lines > 0:
			return nil
		case err == nil && r.s.showsDots.Load():
			return errUnread
		case err != nil && !isReply(err):
			return err
		case err != nil:
			r.s.noHidden.Store(true)
		}
	}
	r.hides = true
	if err := r.anew(); err != nil {
		return err
	}
	err := firstOf(r.full, r.c.list(ctx, dir, r.take))
	if r.entries > 0 {
		r.s.noHidden.Store(true) // LIST -a said that there was nothing
	}
	return err
}

func (r *reading) anew() error {
	r.odd, r.unknown, r.sample, r.entries, r.full = nil, nil, "", 0, nil
	return r.add(nil)
}

// all lists by LIST -a and counts the lines.
func (r *reading) all(ctx context.Context, dir string) (n int, err error) {
	if err := r.anew(); err != nil {
		return 0, err
	}
	r.hides = true
	var p ftp.ListParser
	list := func(arg string) error {
		return r.c.lines(ctx, "LIST", arg, func(line string) bool {
			n++
			e, ok, err := p.Parse(line)
			switch {
			case !ok && err == nil:
				return true
			case err == nil && e.Type == ftp.CDirEntry:
				r.hides = false
				r.s.showsDots.Store(true)
			case err == nil && strings.HasPrefix(e.Name, "."):
				r.hides = false
				if strings.HasSuffix(e.Name, ".upload") {
					return true // what miniftp serve keeps of an upload, and hides but from LIST -a
				}
			}
			return yieldEntry(unpinned(e, line), err, r.take)
		})
	}
	if strings.ContainsAny(dir, " *?[]{}\\") {
		err = r.c.within(ctx, dir, func() error { return list("-a") })
	} else {
		err = list("-a " + dir)
	}
	return n, firstOf(r.full, err)
}

// take is given each entry.
func (r *reading) take(e ftp.Entry, err error) bool {
	r.entries++
	switch {
	case err != nil && len(r.odd) < enough:
		r.odd = append(r.odd, err)
	case err != nil:
	case e.Type == ftp.UnknownEntry && len(r.unknown) < enough:
		r.unknown = append(r.unknown, strings.Clone(e.Name))
	default:
		if r.sample == "" && e.Type == ftp.FileEntry && e.Precise == time.Minute {
			r.sample, r.sampled = strings.Clone(e.Name), e.Modified
		}
		r.full = r.add(&e)
	}
	return r.full == nil
}
