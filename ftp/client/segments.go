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
	"slices"
	"sync"
	"time"

	"miniftp/ftp"
)

// A download that takes long is helped by other connections of its Pool. It begins as any other
// does, over one connection, so it is never slower than that. Once that has gone on for a
// while, and there is much left, the Pool's other connections are called. Each that comes cuts
// the longest piece that is still to be fetched in two, and fetches the second half (REST, RFC
// 3659 §5). A connection that has fetched its piece cuts again, and one that broke leaves what is missing of
// its piece to the others.
//
//	segment      from          to           when
//	running      cut           running      its end comes nearer: another connection has taken the rest
//	             moved         whole        all its bytes are here; the transfer is ended where more would come
//	             stopped       left         the connection broke
//	             refused       (gone)       the server does not restart: the segment before gets its bytes back
//	left         taken         running      by the next connection that has nothing to do
//
// The file has holes until it is whole. So it has a name then that no resume looks for, and
// after a failure only what has no gap is kept.

// cutting says when a download is cut up: not before after, and not if what is left of a piece
// takes less than worth; a connection more has to connect and log in.
var cutting = struct{ after, worth time.Duration }{time.Second, 2 * time.Second}

// minSegment is the smallest piece that is worth the round trips of a transfer of its own.
const minSegment = 4 << 20

var (
	// errOneConnection is returned if a file can't be put together from segments.
	errOneConnection = errors.New("not to be fetched in segments")
	// errEnough ends the transfer of a segment that is whole.
	errEnough = errors.New("the rest comes over another connection")
)

// segments is the rest of a file, which one connection or several fetch.
type segments struct {
	d   *download
	out *part
	was string // out's name before it was cut up
	ctx context.Context
	end context.CancelCauseFunc // of all transfers

	helpers sync.WaitGroup

	mu     sync.Mutex
	ended  *sync.Cond // a transfer has
	all    []*segment // in order
	called bool       // the helpers
	pace   float64    // bytes a second of one connection, before that
	alone  bool       // the server does not restart where it is told to, or there is no more to cut
	err    error      // of a connection that broke
}

// segment is the bytes from from to to; those before pos are there.
type segment struct {
	from, to, pos int64
	seam          []byte    // what the server has right before from
	since         time.Time // when its transfer had first bytes, and which
	first         int64
	end           context.CancelCauseFunc // of the transfer that fetches it; nil: there is none
}

// cuts reports whether a download of that size may be worth several connections.
func (d *download) cuts(j *job) bool {
	return d.o.pool != nil && d.o.Connections > 1 && !d.o.ASCII && d.v.known() &&
		d.v.size >= j.offset+2*minSegment && d.c.mode() == ftp.Stream
}

// run fetches what is missing of a download, from at on. j is its transfer.
func (s *segments) run(ctx context.Context, j *job, at int64) (Result, error) {
	s.ctx, s.end = context.WithCancelCause(ctx)
	defer s.end(nil)
	g := &segment{from: at, to: s.d.v.size, pos: at}
	s.all, s.ended = []*segment{g}, sync.NewCond(&s.mu)
	began := time.Now()
	res, err := s.transfer(s.d.c, g, j)
	if !s.called {
		return res, err
	}
	if err == nil {
		err = s.work(s.d.c, true)
	}
	if err != nil {
		s.broke(err)
	}
	s.helpers.Wait()
	res.Bytes, res.Took, res.Verified = s.fetched(), time.Since(began), "size and reply"
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case s.missing():
		err = s.err
	default:
		err = s.check(ctx)
	}
	if err != nil {
		err = errors.Join(err, s.keep())
	}
	return res, err
}

// transfer fetches a segment by j.
func (s *segments) transfer(c *Client, g *segment, j *job) (Result, error) {
	ctx, end := context.WithCancelCause(s.ctx)
	defer end(nil)
	s.mu.Lock()
	g.end, g.since = end, time.Time{}
	s.mu.Unlock()
	j.progress = func(done, _ int64) { s.moved(g, done) }
	res, err := c.transfer(ctx, j)
	s.mu.Lock()
	defer s.mu.Unlock()
	g.end = nil
	if err != nil && g.pos == g.to {
		g.pos-- // the server did not confirm them: the last one has to come again
	}
	if s.runningLocked() == 0 && s.doneLocked() == s.d.v.size {
		s.end(errEnough) // of who waits for a connection
	}
	s.ended.Broadcast()
	return res, err
}

// moved notes that the bytes of a segment before pos are there.
func (s *segments) moved(g *segment, pos int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.pos = max(g.pos, min(pos, g.to)); pos >= g.to && g.to < s.d.v.size {
		g.end(errEnough)
	}
	if s.d.o.Progress != nil {
		s.d.o.Progress(s.doneLocked(), s.d.v.size)
	}
	switch {
	case g.since.IsZero():
		g.since, g.first = time.Now(), g.pos
	case !s.called && !s.alone && time.Since(g.since) >= cutting.after && s.longestLocked() != nil:
		s.callLocked()
	}
}

// callLocked has other connections help.
func (s *segments) callLocked() {
	temp := segmentsName(s.out.final, s.d.o.tag)
	if _, err := lstat(s.out.fsys, temp); !errors.Is(err, fs.ErrNotExist) && !removeDead(s.out.fsys, temp) {
		temp = segmentsName(s.out.final, randomTag())
	}
	if s.was = s.out.name; runtime.GOOS == "windows" || s.out.rename(temp) != nil { // there open files keep their names
		s.alone = true
		return
	}
	s.called, s.pace = true, float64(s.all[0].pos-s.all[0].first)/time.Since(s.all[0].since).Seconds()
	for range s.d.o.Connections - 1 {
		s.helpers.Go(s.help)
	}
}

// segmentsName returns the name of a file that has holes until all its segments are there.
func segmentsName(final, tag string) string {
	return partName(final+".segments", cmp.Or(tag, untagged))
}

// help fetches segments over another connection, and over yet another one if that breaks.
func (s *segments) help() {
	const tries = 3 // without a byte of progress
	for left := tries; left > 0 && s.ctx.Err() == nil; left-- {
		before := s.fetched()
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
		if s.broke(err); !Temporary(err) {
			return
		}
		if s.fetched() > before {
			left = tries
		}
	}
}

// work fetches segments over a connection until there is nothing to do for it; to the end until
// nothing is left.
func (s *segments) work(c *Client, toTheEnd bool) error {
	for g := s.take(toTheEnd); g != nil; g = s.take(toTheEnd) {
		if err := s.fetch(c, g); err != nil {
			return err
		}
	}
	return nil
}

// take returns the next segment to fetch: what another connection has left, or the second
// half of the longest one. If it waits, it waits for what others may leave.
func (s *segments) take(wait bool) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ctx.Err() == nil {
		for _, g := range s.all {
			if g.end == nil && g.pos < g.to {
				g.end = s.end
				return g
			}
		}
		if g := s.longestLocked(); g != nil && !s.alone {
			return s.cutLocked(g)
		}
		if !wait || s.runningLocked() == 0 {
			return nil
		}
		s.ended.Wait()
	}
	return nil
}

// cutLocked takes the second half of what is missing of a segment.
func (s *segments) cutLocked(g *segment) *segment {
	half := &segment{from: g.pos + (g.to-g.pos)/2, to: g.to, end: s.end}
	g.to, half.pos = half.from, half.from
	s.all = slices.Insert(s.all, slices.Index(s.all, g)+1, half)
	return half
}

// longestLocked returns the running segment that will take longest, if it is worth cutting.
func (s *segments) longestLocked() (longest *segment) {
	most := cutting.worth
	for _, g := range s.all {
		if left := s.leftLocked(g); g.end != nil && g.to-g.pos >= 2*minSegment && left >= most {
			longest, most = g, left
		}
	}
	return longest
}

// leftLocked is how long the rest of a segment will take, as it goes now. One that has just begun
// has its share of what a single connection had.
func (s *segments) leftLocked(g *segment) time.Duration {
	pace := s.pace / float64(max(s.runningLocked(), 1))
	if took := time.Since(g.since); !g.since.IsZero() && took >= cutting.after {
		pace = float64(g.pos-g.first) / took.Seconds()
	}
	return time.Duration(float64(g.to-g.pos) / max(pace, 1) * float64(time.Second))
}

// runningLocked is how many segments are being fetched.
func (s *segments) runningLocked() (n int) {
	for _, g := range s.all {
		if g.end != nil {
			n++
		}
	}
	return n
}

// fetch gets what is missing of a segment. It begins some bytes earlier: those show
// whether the server begins where it was told to.
func (s *segments) fetch(c *Client, g *segment) error {
	f, err := s.out.fsys.OpenFile(s.out.name, os.O_RDWR, 0)
	if err != nil {
		return s.leave(g, &LocalError{Err: err})
	}
	defer f.Close()
	s.mu.Lock()
	from, to, fresh := g.pos, g.to, g.pos == g.from
	s.mu.Unlock()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return s.leave(g, &LocalError{Err: err})
	}
	o := &overlap{n: int(min(from, maxOverlap)), short: errOneConnection}
	if !fresh {
		o.n = int(min(from-g.from, maxOverlap))
	}
	o.check = func(got []byte) error { return s.compare(g, f, got, from, fresh) }
	j := &job{}
	j.take("RETR", ftp.Retrieve, Transfer{Path: s.d.remote, Offset: from - int64(o.n), Size: to})
	c.expect(j, bare(f), o)
	j.rewind = func() error {
		_, err := f.Seek(from, io.SeekStart)
		return err
	}
	res, err := s.transfer(c, g, j)
	return s.leave(g, o.settle(&res, err))
}

// compare looks at the bytes before from. Those of a segment that was just cut are not here
// yet: check compares them in the end. A server that sends the file from its beginning is
// found out at once.
func (s *segments) compare(g *segment, f io.ReaderAt, got []byte, from int64, fresh bool) error {
	at := from - int64(len(got))
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

// leave returns err, nil if a segment goes back to the one before it, because the server does
// not restart where it is told to.
func (s *segments) leave(g *segment, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.end = nil
	s.ended.Broadcast()
	var no *ftp.Error
	if err == nil || !errors.Is(err, errOneConnection) && !(isReply(err) && errors.As(err, &no) && no.Verb == "REST") {
		return err
	}
	s.alone = true
	i := slices.Index(s.all, g)
	if before := s.all[i-1]; g.pos == g.from && before.end != nil && before.pos < before.to {
		before.to = g.to
		s.all = slices.Delete(s.all, i, i+1)
		return nil
	}
	return errors.Join(errOneConnection, err)
}

// broke notes why a connection helps no more. If nothing is under way, all is over.
func (s *segments) broke(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || errors.Is(err, errOneConnection) {
		s.err = err
	}
	if errors.Is(err, errOneConnection) || s.runningLocked() == 0 {
		s.end(err)
	}
}

// doneLocked is how many bytes of the file are there.
func (s *segments) doneLocked() (n int64) {
	n = s.all[0].from
	for _, g := range s.all {
		n += min(g.pos, g.to) - g.from
	}
	return n
}

func (s *segments) fetched() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doneLocked() - s.all[0].from
}

func (s *segments) missing() bool { return s.fetched() < s.d.v.size-s.all[0].from }

// head is how many bytes are there from the beginning on without a gap.
func (s *segments) head() int64 {
	for _, g := range s.all {
		if g.pos < g.to {
			return g.pos
		}
	}
	return s.d.v.size
}

// keep leaves what has no gap for a resume.
func (s *segments) keep() error {
	err := localError(s.out.f.Truncate(s.head()))
	for _, name := range []string{s.was, partName(s.out.final, s.d.o.tag), partName(s.out.final, untagged), partName(s.out.final, randomTag())} {
		if err != nil {
			break
		}
		if _, other := lstat(s.out.fsys, name); errors.Is(other, fs.ErrNotExist) || isPart(filepath.Base(name)) && removeDead(s.out.fsys, name) {
			return s.out.rename(name)
		}
	}
	return err
}

// check compares the seams, and makes sure that the file is still the one that was
// cut up.
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
