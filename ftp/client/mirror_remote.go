package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/ftp"
)

// remoteSide is a tree on a server.
type remoteSide struct {
	m    *mirror
	pool *Pool
	root string // absolute

	// What the server turned out not to do, for anything.
	noMode, noHash atomic.Bool

	toldMode   atomic.Bool // that it did not set permissions
	tellsLinks atomic.Bool // MLSD says where they lead to
	ways       listWays
	links      sync.Once // asks whether links can be made
	noLinks    error     // its answer
}

var errNoTarget = errors.New("the server does not say where the link leads to")

func (s *remoteSide) at(rel string) string { return path.Join(s.root, rel) }

// do runs f with a connection, and again over another one if it breaks.
func (s *remoteSide) do(ctx context.Context, kind ActionKind, rel string, f func(c *Client) error) error {
	return s.m.retry(ctx, kind, rel, func(int) error {
		err := s.pool.Do(ctx, f)
		if s == s.m.dst {
			err = atDst(err)
		}
		return err
	})
}

func (s *remoteSide) look(ctx context.Context, rel string) (e ftp.Entry, err error) {
	err = s.do(ctx, ListDir, rel, func(c *Client) (err error) {
		e, err = c.lookAt(ctx, s.at(rel))
		return err
	})
	return e, err
}

// lookAt finds out what is at a path, which is likely to be a directory.
func (c *Client) lookAt(ctx context.Context, at string) (ftp.Entry, error) {
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

// zoneSample is a file to which LIST gave a time to the minute.
type zoneSample struct {
	rel    string
	listed time.Time
}

// maxSamples is how many files of a directory are asked for, as the time of one may be
// refused.
const maxSamples = 5

// learnZone asks for the times of files until one is told. If all are refused, those of the
// next directory are asked for, unless the server does not know MDTM.
func (s *remoteSide) learnZone(ctx context.Context, c *Client, samples []zoneSample) error {
	k := s.clock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range samples {
		if k.knows == zoneKnown || k.asked >= 4*maxSamples {
			return nil
		}
		k.asked++
		t, _, err := c.modTime(ctx, s.at(f.rel))
		switch {
		case err != nil && !isReply(err):
			return err
		case refused(err):
			k.asked = 4 * maxSamples
		}
		if k.knows = zoneUnknown; err == nil {
			k.learnHeld(f.listed, t)
		}
	}
	return nil
}

// history is what the server's connections know of it.
func (s *remoteSide) history() *history { return s.pool.opts.history }

// clock is what the server's connections know of its zone.
func (s *remoteSide) clock() *listClock { return &s.history().clock }

// dated finds out the time of a file that is about to be copied. The minute of LIST will do
// where the zone is known; a day, or no time at all, will not.
func (s *remoteSide) dated(ctx context.Context, rel string, e *ftp.Entry) error {
	listed := *e
	if isMinute(e) {
		if _, ok := s.clock().inWeek(e.Modified); ok {
			return nil
		}
	}
	err := s.exact(ctx, rel, e)
	if err == nil && isMinute(&listed) && e.Precise < time.Minute {
		s.clock().learn(listed.Modified, e.Modified)
	}
	return err
}

func (s *remoteSide) span(e *ftp.Entry) (from, to time.Time) {
	from, to = e.Modified, e.Modified.Add(max(e.Precise, time.Second))
	if e.Precise < time.Minute {
		return from, to
	}
	zone, knows := s.clock().off(e.Modified)
	from, to = from.Add(-zone), to.Add(-zone)
	if knows == zoneUnknown && s == s.m.dst {
		from, to = from.Add(-farOff), to.Add(farOff)
	}
	return from, to
}

func (s *remoteSide) exact(ctx context.Context, rel string, e *ftp.Entry) error {
	if e.Precise < time.Minute && !e.Modified.IsZero() {
		return nil
	}
	return s.do(ctx, CopyFile, rel, func(c *Client) error {
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		return c.exact(ctx, s.at(rel), e)
	})
}

func (s *remoteSide) readLink(_ string, e *ftp.Entry) (string, error) {
	if e.Target == "" {
		return "", errNoTarget
	}
	return e.Target, nil
}

// makeDir asks whether a directory that the server refuses to make is there: listings may
// hide it, and others may have made it meanwhile.
func (s *remoteSide) makeDir(ctx context.Context, rel string) (there bool, err error) {
	err = s.pool.Do(ctx, func(c *Client) error {
		if rel == "" {
			return c.MakeDirAll(ctx, s.at(rel))
		}
		err := c.MakeDir(ctx, s.at(rel))
		if !isReply(err) {
			return err
		}
		is, e := c.IsDir(ctx, s.at(rel))
		if there = is; is || e != nil {
			return e
		}
		return err
	})
	return there, err
}

func (s *remoteSide) remove(ctx context.Context, rel string, dir bool) error {
	return s.pool.Do(ctx, func(c *Client) error {
		if dir {
			return c.RemoveDir(ctx, s.at(rel))
		}
		return c.Delete(ctx, s.at(rel))
	})
}

func (s *remoteSide) writeSmall(ctx context.Context, rel string, content []byte) error {
	return s.do(ctx, Remove, rel, func(c *Client) error {
		_, err := c.Store(ctx, s.at(rel), bytes.NewReader(content))
		return err
	})
}

func (s *remoteSide) setTime(ctx context.Context, rel string, t time.Time) error {
	if s.history().noTime.Load() {
		return errors.ErrUnsupported
	}
	err := s.pool.Do(ctx, func(c *Client) error { return c.SetModTime(ctx, s.at(rel), t) })
	s.history().learnTime(err)
	return err
}

// offersTime reports whether the server says that it can set times.
func (s *remoteSide) offersTime(ctx context.Context) (offers bool) {
	_ = s.pool.Do(ctx, func(c *Client) error {
		offers = c.features.Has("MFMT") || c.features.Has("MDTM")
		return nil
	})
	return offers
}

func (s *remoteSide) setMode(ctx context.Context, rel string, mode fs.FileMode) error {
	return s.pool.Do(ctx, func(c *Client) error { return c.Chmod(ctx, s.at(rel), mode) })
}

func (s *remoteSide) link(ctx context.Context, target, rel string) error {
	if strings.ContainsRune(target, ' ') {
		return errNoLinks // SITE SYMLINK has no way to write it
	}
	return s.pool.Do(ctx, func(c *Client) error { return c.Symlink(ctx, target, s.at(rel)) })
}

// canLink asks once. SITE SYMLINK without its arguments changes nothing, and who knows
// it says 501.
func (s *remoteSide) canLink(ctx context.Context) error {
	s.links.Do(func() {
		err := s.do(ctx, MakeLink, "", func(c *Client) error { return c.simple(ctx, "SITE", "SYMLINK") })
		if refused(err) || err != nil && !isReply(err) {
			s.noLinks = err
		}
	})
	return s.noLinks
}

// sum asks for a hash; "" gives the content's SHA-256, if the server has none.
func (s *remoteSide) sum(ctx context.Context, rel, algo string) (algorithm, sum string, err error) {
	err = s.do(ctx, CopyFile, rel, func(c *Client) (err error) {
		if s.noHash.Load() {
			err = errors.ErrUnsupported
		} else {
			algorithm, sum, err = c.Hash(ctx, s.at(rel), algo)
		}
		if !isReply(err) && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if algo == "" && errors.Is(err, errors.ErrUnsupported) {
			s.noHash.Store(true)
		}
		if algorithm = algo; algo == "" {
			algorithm = "SHA-256"
		}
		h := NewHash(algorithm)
		if h == nil {
			return errors.ErrUnsupported
		}
		_, err = c.Retrieve(ctx, s.at(rel), h)
		sum = hex.EncodeToString(h.Sum(nil))
		return err
	})
	return algorithm, sum, err
}

func (s *remoteSide) badName(name string) error {
	if !isName(name) {
		return &NameError{Name: name}
	}
	return sendable(name)
}

func (s *remoteSide) unsendable(name string) string { return Unsendable(name, s.pool.opts.Charset) }
