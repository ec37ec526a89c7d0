package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// minSegment is what a connection of its own is worth: below that the file is done
// before it stands.
const minSegment = 4 << 20

// cuts reports whether a file may be worth several connections.
func (o *FileOptions) cuts() bool {
	size := o.listed().size
	return o.Connections > 1 && !o.ASCII && (size <= 0 || size >= 2*minSegment)
}

// download fetches the file. errOneConnection: it is to be fetched over one connection, with
// the options s.o.
func (s *segments) download(ctx context.Context) (Result, error) {
	switch cut, err := s.plan(ctx, s.o.Connections); {
	case err != nil:
		return Result{}, err
	case !cut:
		return Result{}, errOneConnection
	}
	return s.run(ctx)
}

// segmentsName returns the name of a file that has holes until all its segments are there.
func segmentsName(local, tag string) string {
	if tag == "" {
		tag = untagged
	}
	return partName(local+".segments", tag)
}

// errOneConnection: the file can't be put together from segments.
var errOneConnection = errors.New("not to be fetched in segments")

// segments is one file that is fetched over several connections, each of which fetches its
// part of the file (REST, RFC 3659 §5). Neighbours fetch some bytes twice, which have to be the
// same, and the size has to be right in the end. A file whose size and time the server does not
// tell, or that changes meanwhile, is fetched over one connection, as from a server that does
// not restart where it is told to. The bytes go to a file that nobody resumes, as it has holes;
// what has none becomes the part file: after a failure that is what came of the beginning
// without a gap.
type segments struct {
	p             *Pool
	fsys          afero.Fs
	remote, local string
	o             FileOptions
	v             version // of the remote file
	size          int64   // v's
	out           *part   // that they go to; guarded by mu once they come
	was           string  // the name that an earlier try gave it; "" if it is new
	have          int64   // bytes that an earlier try left
	parts         []*segment
	mu            sync.Mutex
	done          int64 // for progress
}

// segment is the bytes from from to to; those before pos are there.
type segment struct {
	from, to, pos int64
	seam          []byte // what the server has right before from
}

// plan cuts the file up. It reports false if that is not worth it, or if nothing would tell
// a change of the file meanwhile.
func (s *segments) plan(ctx context.Context, n int) (bool, error) {
	v, err := s.ask(ctx)
	if err != nil {
		return false, err
	}
	s.v, s.size = v, v.size
	if s.size < 2*minSegment || !s.v.known() {
		return false, nil
	}
	if err := s.left(ctx); err != nil {
		return false, err
	}
	s.o.Listed.Type, s.o.Listed.Size = ftp.FileEntry, s.size
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
	if n <= 1 && s.out != nil {
		s.out.close()
		s.out = nil
	}
	return n > 1, nil
}

// left opens the part that an earlier try or run has left, as Client.Download would.
func (s *segments) left(ctx context.Context) error {
	return s.p.Do(ctx, func(c *Client) (err error) {
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		d := &download{c: c, fsys: s.fsys, remote: s.remote, local: s.local, o: s.o, v: s.v, asked: true}
		s.out, err = d.left(ctx)
		var no *ResumeError
		if errors.As(err, &no) && !s.o.Resume {
			err = nil
		}
		if s.out != nil && s.out.name == s.local { // Client.Download continues it
			s.out.close()
			s.out = nil
		} else if s.out != nil {
			s.was, s.have = s.out.name, s.out.size()
		}
		return err
	})
}

// ask asks for what must not change meanwhile.
func (s *segments) ask(ctx context.Context) (v version, err error) {
	err = s.p.Do(ctx, func(c *Client) error {
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		v, err = c.version(ctx, s.remote)
		return err
	})
	return v, err
}

func (s *segments) run(ctx context.Context) (Result, error) {
	began := time.Now()
	if err := s.begin(); err != nil {
		return Result{}, err
	}
	defer s.out.close()
	err := s.fetch(ctx)
	if err == nil {
		err = s.check(ctx)
	}
	var no *ftp.Error
	var notSame *ResumeError
	switch {
	case err == nil:
	case errors.Is(err, errOneConnection), errors.As(err, &no) && no.Verb == "REST" && isReply(err):
		err = s.keep(s.have)
		s.o.tries.left(s.v, s.out)
		return Result{}, errors.Join(errOneConnection, err)
	case errors.As(err, &notSame):
		return Result{}, errors.Join(err, s.keep(s.have))
	default:
		err = errors.Join(err, s.keep(s.head()))
		s.o.tries.left(s.v, s.out)
		return Result{Bytes: s.fetched()}, err
	}
	var modified time.Time
	if s.o.KeepTime {
		if modified = s.o.listed().modified; modified.IsZero() {
			modified = s.v.modified
		}
	}
	res := Result{Bytes: s.fetched(), Took: time.Since(began), Mode: s.p.opts.Mode, Verified: "size and reply"}
	return res, s.out.finish(modified)
}

// begin makes the file that the segments go to, under a name that no resume looks for, as
// it has holes.
func (s *segments) begin() (err error) {
	if s.out == nil {
		s.out, err = newPartNamed(s.fsys, s.local, s.local+".segments", cmp.Or(s.o.tag, untagged), s.o.Perms)
		return err
	}
	temp := segmentsName(s.local, s.o.tag)
	if !removeDead(s.fsys, temp) {
		if _, err := lstat(s.fsys, temp); !errors.Is(err, fs.ErrNotExist) {
			temp = segmentsName(s.local, randomTag())
		}
	}
	err = s.out.rename(temp)
	if err != nil {
		s.out.close()
	}
	return err
}

// keep leaves the first size bytes for a resume.
func (s *segments) keep(size int64) error {
	if size == 0 {
		s.out.close()
		s.out.remove()
		return nil
	}
	err := localError(s.out.f.Truncate(size))
	for _, name := range []string{s.was, partName(s.local, s.o.tag), partName(s.local, untagged), partName(s.local, randomTag())} {
		if name == "" || err != nil {
			continue
		}
		if _, other := lstat(s.fsys, name); errors.Is(other, fs.ErrNotExist) || isPart(filepath.Base(name)) && removeDead(s.fsys, name) {
			err = s.out.rename(name)
			break
		}
	}
	s.out.keep(s.v.modified)
	return err
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
	w := &window{s: s, g: g, last: g.to == s.size}
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
	_, err := c.transfer(ctx, j)
	switch {
	case w.wrong != nil:
		return w.wrong
	case errors.Is(err, ErrSeam):
		err = nil
	}
	if err == nil && g.pos < g.to {
		err = &TruncatedError{Want: s.size, Got: g.pos}
	}
	return err
}

// write writes the next bytes of a segment.
func (s *segments) write(g *segment, b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.out.f.WriteAt(b, g.pos)
	g.pos += int64(n)
	s.done += int64(n)
	if s.o.Progress != nil && n > 0 {
		s.o.Progress(s.done, s.size)
	}
	return n, err
}

// same compares bytes with those in the file right before end.
func (s *segments) same(b []byte, end int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := make([]byte, len(b))
	if _, err := s.out.f.ReadAt(here, end-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
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
	now, err := s.ask(ctx)
	if err != nil {
		return err
	}
	o := outcome{before: s.v, after: now, sent: s.size, there: s.out.size()}
	if err = o.verdict(); errors.Is(err, errChanged) {
		return errOneConnection
	}
	return err
}
