package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// minSegment is what a connection of its own is worth: below that the file is done
// before it stands.
const minSegment = 4 << 20

// Download is Client.Download over up to n connections at once, each of which
// fetches its part of the file (REST, RFC 3659 §5). Neighbours fetch some bytes
// twice, which have to be the same, and the size has to be right in the end. A file
// that is small, has no known size, changes meanwhile, or a server that does not
// restart where it is told to, are fetched over one connection. After a failure
// what came of the beginning without a gap is kept for Resume.
func (p *Pool) Download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions, n int) (Result, error) {
	s := &segments{p: p, fsys: fsys, remote: remote, local: local, part: taggedPart(local, o.tag), temp: segmentsName(local, o.tag), o: o}
	cut := false
	if n > 1 && !o.ASCII && (o.Size <= 0 || o.Size >= 2*minSegment) {
		var err error
		if cut, err = s.plan(ctx, n); err != nil {
			return Result{}, err
		}
	}
	if cut {
		res, err := s.run(ctx)
		if !errors.Is(err, errOneConnection) {
			return res, err
		}
	}
	var res Result
	err := p.Do(ctx, func(c *Client) (err error) {
		res, err = c.Download(ctx, remote, fsys, local, s.o)
		return err
	})
	return res, err
}

// segmentsName is where a file has holes until all its segments are there.
func segmentsName(local, tag string) string {
	if tag != "" {
		local += "." + tag
	}
	return partName(local + ".segments")
}

// errOneConnection: the file can't be put together from segments.
var errOneConnection = errors.New("not to be fetched in segments")

// segments is one file that is fetched over several connections. Its bytes go to a
// file that nobody resumes, as it has holes; what has none becomes the part file.
type segments struct {
	p                         *Pool
	fsys                      afero.Fs
	remote, local, part, temp string
	o                         FileOptions
	size                      int64
	modified                  time.Time // zero: unknown
	have                      int64     // bytes that an earlier try left
	parts                     []*segment
	mu                        sync.Mutex
	done                      int64 // for progress
}

// segment is the bytes from from to to; those before pos are there.
type segment struct {
	from, to, pos int64
	seam          []byte // what the server has right before from
}

// plan cuts the file up. It reports false if that is not worth it.
func (s *segments) plan(ctx context.Context, n int) (bool, error) {
	err := s.p.Do(ctx, func(c *Client) error { return s.look(ctx, c) })
	if err != nil || s.size < 2*minSegment {
		return false, err
	}
	s.o.Size = s.size
	if s.o.Resume || s.o.Retry {
		if s.have, err = regularSize(s.fsys, s.part); err != nil {
			return false, err
		}
		if other, err := regularSize(s.fsys, s.local); s.o.Resume && s.have == 0 && (other > 0 || err != nil) {
			return false, nil // Client.Download goes on from that
		}
	}
	left := s.size - s.have
	n = int(min(int64(n), left/minSegment))
	for i := range int64(n) {
		from := s.have + left/int64(n)*i
		to := s.have + left/int64(n)*(i+1)
		if i == int64(n)-1 {
			to = s.size
		}
		s.parts = append(s.parts, &segment{from: from, to: to, pos: from})
	}
	s.done = s.have
	return n > 1, nil
}

// look asks for what must not change meanwhile.
func (s *segments) look(ctx context.Context, c *Client) (err error) {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	s.modified = time.Time{}
	if s.size, err = c.askSize(ctx, s.remote); err != nil {
		return err
	}
	if t, _, err := c.modTime(ctx, s.remote); err == nil {
		s.modified = t
	} else if !isReply(err) {
		return err
	}
	return nil
}

func (s *segments) run(ctx context.Context) (Result, error) {
	began := time.Now()
	if err := s.begin(); err != nil {
		return Result{}, err
	}
	err := s.fetch(ctx)
	if err == nil {
		err = s.check(ctx)
	}
	var no *ftp.Error
	var notSame *ResumeError
	switch {
	case err == nil:
	case errors.Is(err, errOneConnection), errors.As(err, &no) && no.Verb == "REST" && isReply(err):
		s.o.Resume = s.have > 0
		return Result{}, errors.Join(errOneConnection, s.keep(s.have))
	case errors.As(err, &notSame):
		return Result{}, errors.Join(err, s.keep(s.have))
	default:
		return Result{Bytes: s.fetched()}, errors.Join(err, s.keep(s.head()))
	}
	if s.o.KeepTime {
		t := s.o.Modified
		if t.IsZero() {
			t = s.modified
		}
		if !t.IsZero() {
			_ = s.fsys.Chtimes(s.temp, time.Now(), t)
		}
	}
	res := Result{Bytes: s.fetched(), Took: time.Since(began), Mode: s.p.opts.Mode, Verified: "size and reply"}
	return res, localError(s.fsys.Rename(s.temp, s.local))
}

// begin makes the file that the segments go to.
func (s *segments) begin() error {
	if s.have > 0 {
		return localError(s.fsys.Rename(s.part, s.temp))
	}
	f, err := freshPart(s.fsys, s.temp)
	if err != nil {
		return err
	}
	return localError(f.Close())
}

// keep leaves the first size bytes for a resume.
func (s *segments) keep(size int64) error {
	if size == 0 {
		return localError(s.fsys.Remove(s.temp))
	}
	f, err := s.fsys.OpenFile(s.temp, os.O_WRONLY, 0)
	if err != nil {
		return &LocalError{Err: err}
	}
	if err = errors.Join(f.Truncate(size), f.Close()); err == nil {
		err = s.fsys.Rename(s.temp, s.part)
	}
	return localError(err)
}

// head is how many bytes are there from the beginning on without a gap.
func (s *segments) head() int64 {
	for _, g := range s.parts {
		if g.pos < g.to {
			return g.pos
		}
	}
	return s.size
}

func (s *segments) fetched() (n int64) {
	for _, g := range s.parts {
		n += g.pos - g.from
	}
	return n
}

// fetch gets all segments. The first failure ends the others.
func (s *segments) fetch(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, g := range s.parts {
		wg.Go(func() {
			if err := s.segment(ctx, g); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// segment gets one, over another connection when one breaks.
func (s *segments) segment(ctx context.Context, g *segment) error {
	const tries = 3 // without a byte of progress
	for left := tries; ; left-- {
		before := g.pos
		err := s.p.Do(ctx, func(c *Client) error { return s.piece(ctx, c, g) })
		if g.pos > before {
			left = tries
		}
		if err == nil || left == 1 || !Temporary(err) || ctx.Err() != nil {
			return err
		}
	}
}

// piece gets what is missing of a segment. It begins some bytes earlier: those show
// whether the server begins where it was told to.
func (s *segments) piece(ctx context.Context, c *Client, g *segment) error {
	f, err := s.fsys.OpenFile(s.temp, os.O_WRONLY, 0)
	if err != nil {
		return &LocalError{Err: err}
	}
	defer f.Close()
	if _, err := f.Seek(g.pos, io.SeekStart); err != nil {
		return &LocalError{Err: err}
	}
	w := &window{s: s, g: g, f: f, last: g.to == s.size}
	start := int64(0) // of the bytes that can be compared at once
	if g.pos > g.from && g.from > 0 {
		start = g.from
	}
	w.overlap = int(min(g.pos-start, maxOverlap))
	w.later = g.pos == g.from && g != s.parts[0]
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	j := &job{sink: w}
	j.take("RETR", ftp.Retrieve, Transfer{Path: s.remote, Offset: g.pos - int64(w.overlap), Size: s.size})
	_, err = c.transfer(ctx, j)
	switch {
	case w.wrong != nil:
		return w.wrong
	case errors.Is(err, ErrSeam):
		err = nil
	}
	if err == nil && g.pos < g.to {
		err = &TruncatedError{Want: s.size, Got: g.pos}
	}
	return localClose(f, err)
}

// localClose makes sure of what was written.
func localClose(f afero.File, err error) error {
	if closed := f.Close(); err == nil {
		err = localError(closed)
	}
	return err
}

// window writes one segment's bytes and ends it at its seam.
type window struct {
	s       *segments
	g       *segment
	f       afero.File
	head    []byte
	overlap int  // bytes that come before those that are missing
	later   bool // they can be compared only when the segment before is there
	last    bool
	wrong   error
}

func (w *window) Write(b []byte) (int, error) {
	all := len(b)
	if missing := w.overlap - len(w.head); missing > 0 {
		n := min(missing, len(b))
		w.head = append(w.head, b[:n]...)
		b = b[n:]
		if n == missing {
			if w.wrong = w.compare(); w.wrong != nil {
				return 0, w.wrong
			}
		}
	}
	if int64(len(b)) > w.g.to-w.g.pos && w.last {
		w.wrong = errOneConnection // more than the file has
		return 0, w.wrong
	}
	n, err := w.f.Write(b[:min(int64(len(b)), w.g.to-w.g.pos)])
	w.s.moved(w.g, int64(n))
	if err == nil && w.g.pos == w.g.to && !w.last {
		err = ErrSeam
	}
	if err != nil {
		return n, err
	}
	return all, nil
}

// compare looks at the bytes that are here, too, or keeps them for check.
func (w *window) compare() error {
	if w.later {
		w.g.seam = w.head
		return nil
	}
	same, err := w.s.same(w.head, w.g.pos)
	switch {
	case err != nil:
		return err
	case same:
		return nil
	case w.g.pos == w.s.have:
		return &ResumeError{Path: w.s.local, Offset: w.g.pos, Why: "what is here is not what the server sends"}
	}
	return errOneConnection
}

func (s *segments) moved(g *segment, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.pos += n
	s.done += n
	if s.o.Progress != nil && n > 0 {
		s.o.Progress(s.done, s.size)
	}
}

// same compares bytes with those in the file right before end.
func (s *segments) same(b []byte, end int64) (bool, error) {
	f, err := s.fsys.Open(s.temp)
	if err != nil {
		return false, &LocalError{Err: err}
	}
	defer f.Close()
	here := make([]byte, len(b))
	if _, err := f.ReadAt(here, end-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return false, &LocalError{Err: err}
	}
	return bytes.Equal(here, b), nil
}

// check compares the seams, and makes sure that the file is still the one that was
// cut up.
func (s *segments) check(ctx context.Context) error {
	for _, g := range s.parts[1:] {
		if same, err := s.same(g.seam, g.from); err != nil {
			return err
		} else if !same {
			return errOneConnection
		}
	}
	size, modified := s.size, s.modified
	err := s.p.Do(ctx, func(c *Client) error { return s.look(ctx, c) })
	switch have, local := regularSize(s.fsys, s.temp); {
	case err != nil:
		return err
	case s.size != size, !s.modified.Equal(modified):
		return errOneConnection
	case local != nil:
		return local
	case have != size:
		return &LocalError{Err: fmt.Errorf("%s has %d bytes where %d were written", s.temp, have, size)}
	}
	return nil
}
