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

	// What the server has turned out not to support, for any file.
	noMode, noHash atomic.Bool

	reportedMode atomic.Bool // reported that it did not set permissions
	dirs         client.DirReader
	links        sync.Once // finds out whether links can be made
	noLinks      error     // why not
}

var errNoTarget = errors.New("the server does not report the target of the link")

func (s *remoteSide) at(rel string) string { return path.Join(s.root, rel) }

// do calls f with a connection, and again with another one if that fails.
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

// dated finds out the time of a file that is about to be copied. A time to the minute from LIST is sufficient
// if its zone is known; a date without a time of day is not.
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

// makeDir creates a directory. If the server refuses, it checks whether the directory exists: a listing may
// hide it, or another client may have created it.
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

// offersTime reports whether the server announces a command that sets times.
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
		return client.ErrNoLinks // SITE SYMLINK can't express a space
	}
	return s.pool.Do(ctx, func(c *client.Client) error { return c.Symlink(ctx, target, s.at(rel)) })
}

// canLink asks the server once. SITE SYMLINK without arguments changes nothing; a server that supports it
// replies 501.
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

// sum asks the server for a hash. If it supports none, the file is downloaded and hashed here, by SHA-256
// unless algo names another algorithm.
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
