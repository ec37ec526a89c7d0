package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"miniftp/ftp"
)

// segments fetches the missing bytes of a download over one or several connections. While the file
// has gaps, it has a name that no resume looks for. After a failure only the bytes before the first
// gap are kept.
type segments struct {
	*segmentState
	d    *download
	out  *part
	was  string // the name of out before it had gaps; "" as long as no connection was added
	ctx  context.Context
	stop context.CancelCauseFunc

	helpers sync.WaitGroup
	added   int // helpers; used only by the goroutine to which moved has reported more, which is one at a time

	reportMu sync.Mutex // guards reported and err
	reported int64      // the last value given to Progress
	err      error      // why a connection failed
}

// errOneConnection is returned if a file can't be put together from segments, because the server
// does not restart where it is asked to or the file has changed. It is then fetched whole.
var errOneConnection = errors.New("the file can't be fetched in segments")

// cuts reports whether a download may use several connections: the file must be large, and a change
// of it during the transfer must be detectable.
func (d *download) cuts(j *job) bool {
	return d.o.pool != nil && d.o.Connections > 1 && !d.o.ASCII && d.v.known() &&
		d.v.size >= j.offset+2*minSegment && d.c.mode() == ftp.Stream
}

// run fetches everything from at on. j is the first transfer.
func (s *segments) run(ctx context.Context, j *job, at int64) (Result, error) {
	s.ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	s.segmentState = newSegments(at, s.d.v.size)
	began := time.Now()
	first := s.all[0]
	res, err := s.transfer(s.d.c, first, j)
	s.end(first, err, false)
	// No other connection has joined: this was an ordinary transfer.
	if s.was == "" {
		return res, err
	}
	if err == nil {
		err = s.work(s.d.c, true)
	}
	if err != nil {
		s.noteFailure(err)
	}
	s.helpers.Wait()
	fetched, head, whole := s.state()
	res.Bytes, res.Took, res.Verified = fetched, time.Since(began), "size and reply"
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	// It does not matter then whether a connection has failed.
	case whole:
		err = s.check(ctx)
	default:
		err = s.err
	}
	if err != nil {
		err = errors.Join(err, s.keep(head))
	}
	return res, err
}

// transfer fetches a segment by running j.
func (s *segments) transfer(c *Client, g *segment, j *job) (Result, error) {
	j.limit = &g.limit
	j.progress = func(pos, _ int64) {
		done, more := s.moved(g, pos, time.Now())
		s.progress(done)
		if more && s.added < s.d.o.Connections-1 {
			s.addConnection()
		}
	}
	return c.transfer(s.ctx, j)
}

func (s *segments) progress(done int64) {
	s.reportMu.Lock()
	defer s.reportMu.Unlock()
	if s.d.o.Progress != nil && done > s.reported {
		s.d.o.Progress(done, s.d.v.size)
		s.reported = done
	}
}

// addConnection adds one more connection. The first call renames the file to its name for files with gaps.
func (s *segments) addConnection() {
	if s.added == 0 {
		temp := segmentsName(s.out.final, s.d.o.Tag)
		if _, err := lstat(s.out.fsys, temp); !errors.Is(err, fs.ErrNotExist) && !removeDead(s.out.fsys, temp) {
			temp = segmentsName(s.out.final, randomTag())
		}
		was := s.out.name
		if runtime.GOOS == "windows" || s.out.rename(temp) != nil { // Windows can't rename open files
			return
		}
		s.was = was
	}
	s.added++
	s.helpers.Go(s.help)
}

// segmentsName returns the name of a file while it has gaps.
func segmentsName(final, tag string) string {
	return partName(final+".segments", cmp.Or(tag, untagged))
}

// help fetches segments over another connection, and over a new one if that fails.
func (s *segments) help() {
	const tries = 3 // without a byte of progress
	for left := tries; left > 0 && s.ctx.Err() == nil; left-- {
		before, _, _ := s.state()
		err := s.d.o.pool.Do(s.ctx, func(c *Client) error {
			if err := c.begin(); err != nil {
				return err
			}
			defer c.end()
			return s.work(c, false)
		})
		if err == nil {
			return
		}
		if s.noteFailure(err); !Temporary(err) {
			return
		}
		if now, _, _ := s.state(); now > before {
			left = tries
		}
	}
}

// noteFailure records why a connection has stopped helping. If nothing is running then, the fetch ends.
func (s *segments) noteFailure(err error) {
	s.reportMu.Lock()
	if s.err == nil || errors.Is(err, errOneConnection) {
		s.err = err
	}
	s.reportMu.Unlock()
	if s.giveUp(errors.Is(err, errOneConnection)) {
		s.stop(err)
	}
}

// work fetches segments over a connection until there are none to take. With toTheEnd it also
// waits for those that other connections may leave.
func (s *segments) work(c *Client, toTheEnd bool) error {
	for g := s.take(toTheEnd); g != nil; g = s.take(toTheEnd) {
		err := s.fetch(c, g)
		var no *ftp.Error
		refused := errors.Is(err, errOneConnection) || isReply(err) && errors.As(err, &no) && no.Verb == "REST"
		switch gone := s.end(g, err, refused); {
		case err == nil, gone:
		case refused:
			return errors.Join(errOneConnection, err)
		default:
			return err
		}
	}
	if _, _, whole := s.state(); whole {
		s.stop(nil) // helpers that wait for a connection are not needed any more
	}
	return nil
}

// fetch fetches the missing bytes of a segment. It begins some bytes earlier, and compares those:
// they show whether the server begins at the given offset.
func (s *segments) fetch(c *Client, g *segment) error {
	f, err := s.out.fsys.OpenFile(s.out.name, os.O_RDWR, 0)
	if err != nil {
		return &LocalError{Err: err}
	}
	defer f.Close()
	at, end, fresh := g.began, g.began+g.limit.Load(), g.began == g.from
	o := &overlap{n: int(min(at, maxOverlap)), short: errOneConnection}
	if !fresh {
		o.n = int(min(at-g.from, maxOverlap))
	}
	o.check = func(got []byte) error { return g.compare(f, got, fresh) }
	j := &job{rewind: func() error {
		_, err := f.Seek(at, io.SeekStart)
		return err
	}}
	if err := j.rewind(); err != nil {
		return &LocalError{Err: err}
	}
	j.fill("RETR", ftp.Retrieve, Transfer{Path: s.d.remote, Offset: at - int64(o.n), Size: end})
	c.expect(j, bare(f), o)
	res, err := s.transfer(c, g, j)
	return o.settle(&res, err)
}

// compare checks the bytes before a segment's transfer. If the segment was fetched in part before,
// they must equal the bytes in f. If it was just cut (fresh), those have not been fetched yet: the
// bytes are stored as its seam, which check compares at the end. But they must differ from the
// beginning of the file, which a server that ignores REST sends.
func (g *segment) compare(f io.ReaderAt, got []byte, fresh bool) error {
	at := g.began - int64(len(got))
	if fresh {
		g.seam, at = got, 0
	}
	here := make([]byte, len(got))
	if _, err := f.ReadAt(here, at); err != nil && !errors.Is(err, io.EOF) {
		return &LocalError{Err: err}
	}
	if bytes.Equal(here, got) == fresh {
		return errOneConnection
	}
	return nil
}

// keep keeps the bytes before the first gap for a resume.
func (s *segments) keep(head int64) error {
	err := localError(s.out.f.Truncate(head))
	for _, name := range []string{s.was, partName(s.out.final, s.d.o.Tag), partName(s.out.final, untagged), partName(s.out.final, randomTag())} {
		if err != nil {
			break
		}
		if _, other := lstat(s.out.fsys, name); errors.Is(other, fs.ErrNotExist) || IsPart(filepath.Base(name)) && removeDead(s.out.fsys, name) {
			return s.out.rename(name)
		}
	}
	return err
}

// check compares the seams, and makes sure that the file is still the version that was cut.
func (s *segments) check(ctx context.Context) error {
	for _, g := range s.all[1:] {
		here, err := lastBytes(s.out.f, g.from)
		if err != nil {
			return err
		}
		if !bytes.Equal(here, g.seam) {
			return errOneConnection
		}
	}
	ask := s.d.c.version
	if s.d.c.dead() {
		ask = s.d.o.pool.version
	}
	now, err := ask(ctx, s.d.remote)
	if err != nil {
		return err
	}
	o := outcome{before: s.d.v, after: now, sent: s.d.v.size, there: s.out.size()}
	if err = o.verdict(); errors.Is(err, errChanged) {
		return errOneConnection
	}
	return err
}

// version asks for the version of a file over a connection of the Pool.
func (p *Pool) version(ctx context.Context, path string) (v version, err error) {
	err = p.Do(ctx, func(c *Client) error {
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		v, err = c.version(ctx, path)
		return err
	})
	return v, err
}
