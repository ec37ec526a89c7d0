package mirror

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
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// remoteSide is a tree on a server.
type remoteSide struct {
	m    *mirror
	pool *client.Pool
	root string // absolute

	// What the server turned out not to do, for anything.
	noMode, noHash atomic.Bool

	toldMode atomic.Bool // that it did not set permissions
	dirs     client.DirReader
	links    sync.Once // asks whether links can be made
	noLinks  error     // its answer
}

var errNoTarget = errors.New("the server does not say where the link leads to")

func (s *remoteSide) at(rel string) string { return path.Join(s.root, rel) }

// do runs f with a connection, and again over another one if it breaks.
func (s *remoteSide) do(ctx context.Context, kind Kind, rel string, f func(c *client.Client) error) error {
	return s.m.retry(ctx, kind, rel, func(int) error {
		err := s.pool.Do(ctx, f)
		if s == s.m.dst {
			err = atDst(err)
		}
		return err
	})
}

func (s *remoteSide) look(ctx context.Context, rel string) (e ftp.Entry, err error) {
	err = s.do(ctx, ListDir, rel, func(c *client.Client) (err error) {
		e, err = c.Look(ctx, s.at(rel))
		return err
	})
	return e, err
}

// dated finds out the time of a file that is about to be copied. The minute of LIST will do
// where the zone is known; a day, or no time at all, will not.
func (s *remoteSide) dated(ctx context.Context, rel string, e *ftp.Entry) error {
	return s.sharpen(ctx, rel, e, true)
}

func (s *remoteSide) exact(ctx context.Context, rel string, e *ftp.Entry) error {
	return s.sharpen(ctx, rel, e, false)
}

func (s *remoteSide) sharpen(ctx context.Context, rel string, e *ftp.Entry, minute bool) error {
	if e.Precise < time.Minute && !e.Modified.IsZero() {
		return nil
	}
	return s.do(ctx, CopyFile, rel, func(c *client.Client) error { return c.Sharpen(ctx, s.at(rel), e, minute) })
}

func (s *remoteSide) span(e *ftp.Entry) (from, to time.Time) {
	return s.pool.Span(e, s == s.m.dst)
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
	err = s.pool.Do(ctx, func(c *client.Client) error {
		if rel == "" {
			return c.MakeDirAll(ctx, s.at(rel))
		}
		err := c.MakeDir(ctx, s.at(rel))
		if !pi.IsReply(err) {
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
	return s.pool.Do(ctx, func(c *client.Client) error {
		if dir {
			return c.RemoveDir(ctx, s.at(rel))
		}
		return c.Delete(ctx, s.at(rel))
	})
}

func (s *remoteSide) writeSmall(ctx context.Context, rel string, content []byte) error {
	return s.do(ctx, Remove, rel, func(c *client.Client) error {
		_, err := c.Store(ctx, s.at(rel), bytes.NewReader(content))
		return err
	})
}

func (s *remoteSide) setTime(ctx context.Context, rel string, t time.Time) error {
	if !s.pool.SetsTimes() {
		return errors.ErrUnsupported
	}
	err := s.pool.Do(ctx, func(c *client.Client) error { return c.SetModTime(ctx, s.at(rel), t) })
	return err
}

// offersTime reports whether the server says that it can set times.
func (s *remoteSide) offersTime(ctx context.Context) (offers bool) {
	_ = s.pool.Do(ctx, func(c *client.Client) error {
		offers = c.Features().Has("MFMT") || c.Features().Has("MDTM")
		return nil
	})
	return offers
}

func (s *remoteSide) setMode(ctx context.Context, rel string, mode fs.FileMode) error {
	return s.pool.Do(ctx, func(c *client.Client) error { return c.Chmod(ctx, s.at(rel), mode) })
}

func (s *remoteSide) link(ctx context.Context, target, rel string) error {
	if strings.ContainsRune(target, ' ') {
		return client.ErrNoLinks // SITE SYMLINK has no way to write it
	}
	return s.pool.Do(ctx, func(c *client.Client) error { return c.Symlink(ctx, target, s.at(rel)) })
}

// canLink asks once. SITE SYMLINK without its arguments changes nothing, and who knows
// it says 501.
func (s *remoteSide) canLink(ctx context.Context) error {
	s.links.Do(func() {
		err := s.do(ctx, MakeLink, "", func(c *client.Client) error {
			_, err := c.Command(ctx, "SITE", "SYMLINK")
			return err
		})
		if client.Unsupported(err) || err != nil && !pi.IsReply(err) {
			s.noLinks = err
		}
	})
	return s.noLinks
}

// sum asks for a hash; "" gives the content's SHA-256, if the server has none.
func (s *remoteSide) sum(ctx context.Context, rel, algo string) (algorithm, sum string, err error) {
	err = s.do(ctx, CopyFile, rel, func(c *client.Client) (err error) {
		if s.noHash.Load() {
			err = errors.ErrUnsupported
		} else {
			algorithm, sum, err = c.Hash(ctx, s.at(rel), algo)
		}
		if !pi.IsReply(err) && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if algo == "" && errors.Is(err, errors.ErrUnsupported) {
			s.noHash.Store(true)
		}
		if algorithm = algo; algo == "" {
			algorithm = "SHA-256"
		}
		h := client.NewHash(algorithm)
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
	return client.CheckName(name)
}

func (s *remoteSide) unsendable(name string) string {
	return client.Unsendable(name, s.pool.Options().Charset)
}

func (s *remoteSide) list(ctx context.Context, rel string, add func(*ftp.Entry) error) (got client.DirRead, err error) {
	links := s.m.o.Links == CopyLinks || s.m.o.Links == FollowLinks && s == s.m.src
	err = s.do(ctx, ListDir, rel, func(c *client.Client) (err error) {
		got, err = s.dirs.Read(ctx, c, s.at(rel), links, add)
		return err
	})
	return got, err
}
