package client

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A download that takes long is helped by other connections of its Pool. It begins as any
// other does, over one connection. When that has been measured and there is much left, another
// connection is called; it cuts the segment that will take longest in two, and fetches the second
// half (REST, RFC 3659 §5). If the file comes faster then, one more is called, and so on: where the
// line is full, and another connection only costs round trips, there is one cut. What becomes
// of a segment:
//
//	is          and then              becomes
//	running     another connection    shorter: its transfer ends where the other half begins
//	            cuts it
//	running     its transfer ends     whole, if all its bytes are here, else left
//	running     the server does not   gone: the one before it gets its bytes back
//	            restart where it is
//	            told to
//	left        a connection has      running
//	            nothing else to do
//
// segmentState is that; segments (segments_fetch.go) runs the transfers.
type segmentState struct {
	mu    sync.Mutex
	ended *sync.Cond // a segment is not running any more
	all   []*segment // in order; together they are what is to be fetched
	pace  pace
	over  bool // nothing is taken any more
}

// segment is the bytes from from to to; those before pos are there.
type segment struct {
	from, to, pos int64
	running       bool
	began         int64        // pos at the begin of its transfer
	least         atomic.Int64 // bytes that the transfer is to bring
	first         time.Time    // when it brought some; zero: not yet
	seam          []byte       // what the server has right before from
}

// cutting says when a download is cut up: a connection is measured for sample, and a segment
// is cut if it takes longer than worth, as another connection has to log in first.
var cutting = struct{ sample, worth time.Duration }{time.Second, 3 * time.Second}

// minSegment is the smallest piece that is worth the round trips of a transfer of its own, and
// gain is how many times faster one more connection has to make a file for yet another one.
const (
	minSegment = 4 << 20
	gain       = 1.15
)

// newSegments returns what is to be fetched, as one segment that is running.
func newSegments(from, to int64) *segmentState {
	s := &segmentState{all: []*segment{{from: from, to: to, pos: from}}}
	s.ended = sync.NewCond(&s.mu)
	s.beginLocked(s.all[0])
	return s
}

func (s *segmentState) beginLocked(g *segment) {
	g.running, g.began, g.first = true, g.pos, time.Time{}
	g.least.Store(g.to - g.began)
}

// moved notes that the bytes of a segment before pos are there, and reports how many there are
// of all. more reports whether one more connection should come.
func (s *segmentState) moved(g *segment, pos int64, now time.Time) (done int64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.pos = max(g.pos, min(pos, g.to)); g.first.IsZero() {
		g.first = now
		s.pace.joined(now)
	}
	done = s.doneLocked()
	more = s.pace.note(done, now) && !s.over && s.longestLocked(now) != nil
	s.pace.coming = s.pace.coming || more
	return done, more
}

// take returns the next segment to fetch: what another connection has left, or the second
// half of the one that will take longest. If it waits, it waits for what others may leave. nil:
// there is none.
func (s *segmentState) take(wait bool) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over {
		i := slices.IndexFunc(s.all, func(g *segment) bool { return !g.running && g.pos < g.to })
		if i < 0 && !s.pace.full {
			i = s.cutLocked(s.longestLocked(time.Now()))
		}
		if i >= 0 {
			s.beginLocked(s.all[i])
			return s.all[i]
		}
		if !wait || s.runningLocked() == 0 {
			return nil
		}
		s.ended.Wait()
	}
	return nil
}

// cutLocked cuts a segment and returns the place of its second half; -1 if g is nil.
func (s *segmentState) cutLocked(g *segment) int {
	if g == nil {
		return -1
	}
	half := &segment{from: g.pos + (g.to-g.pos)/2, to: g.to}
	half.pos = half.from
	g.to = half.from
	g.least.Store(g.to - g.began)
	i := slices.Index(s.all, g) + 1
	s.all = slices.Insert(s.all, i, half)
	return i
}

// longestLocked returns the segment that will take longest, nil if none is worth cutting.
func (s *segmentState) longestLocked(now time.Time) (longest *segment) {
	most := cutting.worth
	for _, g := range s.all {
		if left := s.leftLocked(g, now); g.running && g.to-g.pos >= 2*minSegment && left >= most {
			longest, most = g, left
		}
	}
	return longest
}

// leftLocked is how long the rest of a segment will take, as it goes now. One that has just begun
// has its share of the whole.
func (s *segmentState) leftLocked(g *segment, now time.Time) time.Duration {
	speed := s.pace.speed / float64(max(s.runningLocked(), 1))
	if took := now.Sub(g.first); !g.first.IsZero() && took >= cutting.sample {
		speed = float64(g.pos-g.began) / took.Seconds()
	}
	return time.Duration(float64(g.to-g.pos) / max(speed, 1) * float64(time.Second))
}

// end notes that the transfer of a segment has ended. What came last is not confirmed if it
// ended badly: it has to come again. refused: the server does not restart where it is told to.
// Then nothing is cut any more, and gone reports whether the segment before gets the bytes back.
func (s *segmentState) end(g *segment, err error, refused bool) (gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.running = false; err != nil && g.pos == g.to && g.pos > g.from {
		g.pos--
	}
	s.pace.full = s.pace.full || refused
	if i := slices.Index(s.all, g); refused && i > 0 && g.pos == g.from {
		if before := s.all[i-1]; before.running && before.pos < before.to {
			before.to, gone = g.to, true
			before.least.Store(before.to - before.began)
			s.all = slices.Delete(s.all, i, i+1)
		}
	}
	s.over = s.over || s.wholeLocked()
	s.ended.Broadcast()
	return gone
}

// giveUp has nothing taken any more, if that is certain or nothing is running.
func (s *segmentState) giveUp(certain bool) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = s.over || certain || s.runningLocked() == 0
	s.ended.Broadcast()
	return s.over
}

// wholeLocked reports whether all is here, and confirmed.
func (s *segmentState) wholeLocked() bool {
	return s.runningLocked() == 0 && s.doneLocked() == s.all[len(s.all)-1].to
}

func (s *segmentState) runningLocked() (n int) {
	for _, g := range s.all {
		if g.running {
			n++
		}
	}
	return n
}

// doneLocked is up to which byte the file would be there without its gaps.
func (s *segmentState) doneLocked() (n int64) {
	n = s.all[0].from
	for _, g := range s.all {
		n += g.pos - g.from
	}
	return n
}

// state returns how many bytes were fetched, how far the file is there without a gap, and
// whether all of it is.
func (s *segmentState) state() (fetched, head int64, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head = s.all[len(s.all)-1].to
	for _, g := range slices.Backward(s.all) {
		if g.pos < g.to {
			head = g.pos
		}
	}
	return s.doneLocked() - s.all[0].from, head, s.wholeLocked()
}

// pace is how fast the file comes, and whether one more connection makes it faster.
type pace struct {
	from   time.Time // of the sample under way; zero: there is none
	done   int64     // at its begin
	speed  float64   // of the last sample, in bytes a second
	coming bool      // a connection was called, and has brought nothing so far
	helped bool      // one has come
	full   bool      // the last one made it no faster, or there must be no more
}

// note reports whether one more connection may make the file come faster, as far as that can be
// said now.
func (p *pace) note(done int64, now time.Time) bool {
	switch {
	case p.coming, p.full, now.Before(p.from):
		return false
	case p.done == 0:
		p.from, p.done = now, done
		return false
	case now.Sub(p.from) < cutting.sample:
		return false
	}
	speed := float64(done-p.done) / now.Sub(p.from).Seconds()
	p.full = p.helped && speed < gain*p.speed
	p.speed, p.helped, p.done = speed, false, 0
	return !p.full
}

// joined notes that a connection has brought its first bytes. It needs some time to reach its
// speed.
func (p *pace) joined(now time.Time) {
	if p.coming {
		p.coming, p.helped, p.from, p.done = false, true, now.Add(cutting.sample/2), 0
	}
}
