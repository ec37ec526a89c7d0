package client

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A download that takes long is fetched over several connections of its Pool. It begins like any
// other, over one connection. When the speed of that has been measured and much is left, another
// connection is added. It cuts the segment that will take longest in two and fetches the second half
// (REST, RFC 3659 §5). If the file arrives faster then, one more is added, and so on. If the first cut
// makes it no faster, the line is full, and more connections would only cost round trips.
//
// The states of a segment:
//
//	state       event                           new state
//	running     another connection cuts it      running, but shorter: its transfer ends where the
//	                                            other half begins
//	running     its transfer ends               whole if all bytes arrived, else left
//	running     the server does not restart     removed: its bytes go back to the segment before it
//	            at the offset it was given
//	left        a connection becomes free       running
//
// The segments are always in order, without gaps between them: each one's to is the next one's from.
//
// segmentState holds these; segments (segments_fetch.go) runs the transfers.
type segmentState struct {
	mu    sync.Mutex
	ended *sync.Cond // signalled when a segment is no longer running
	all   []*segment // in order; together they cover the bytes to fetch
	pace  pace
	over  bool // take returns no more segments
}

// segment is the bytes in [from, to). Those in [from, pos) have arrived.
type segment struct {
	from, to, pos int64
	running       bool
	began         int64        // pos when its transfer began
	limit         atomic.Int64 // bytes from began to to, for the running transfer; a cut lowers it
	first         time.Time    // when the transfer brought its first bytes; zero: not yet
	seam          []byte       // the bytes that the server sent just before from; compared at the end
}

// cutting decides when a download is cut: the speed is measured for sample, and a segment is cut
// if it will take at least worth, because another connection has to log in first.
var cutting = struct{ sample, worth time.Duration }{time.Second, 3 * time.Second}

// minSegment is the smallest piece that is worth the round trips of its own transfer. gain is the
// factor by which one more connection must speed up the file before yet another is added.
const (
	minSegment = 4 << 20
	gain       = 1.15
)

// newSegments returns the bytes to fetch as one running segment.
func newSegments(from, to int64) *segmentState {
	s := &segmentState{all: []*segment{{from: from, to: to, pos: from}}}
	s.ended = sync.NewCond(&s.mu)
	s.beginLocked(s.all[0])
	return s
}

func (s *segmentState) beginLocked(g *segment) {
	g.running, g.began, g.first = true, g.pos, time.Time{}
	g.limit.Store(g.to - g.began)
}

// moved records that the bytes of a segment before pos have arrived, and returns the number of
// bytes of all segments that have. more reports whether one more connection should be added.
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

// take returns the next segment to fetch: one that another connection has left, or else the second
// half of the one that will take longest. If wait is set it waits for others to end first. It
// returns nil if there is nothing to fetch.
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

// cutLocked cuts a segment in two and returns the index of the second half, or -1 if g is nil.
func (s *segmentState) cutLocked(g *segment) int {
	if g == nil {
		return -1
	}
	half := &segment{from: g.pos + (g.to-g.pos)/2, to: g.to}
	half.pos = half.from
	g.to = half.from
	g.limit.Store(g.to - g.began)
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

// leftLocked returns how long the rest of a segment will take at its present speed. A segment that
// has just begun is assumed to get an equal share of the total speed.
func (s *segmentState) leftLocked(g *segment, now time.Time) time.Duration {
	speed := s.pace.speed / float64(max(s.runningLocked(), 1))
	if took := now.Sub(g.first); !g.first.IsZero() && took >= cutting.sample {
		speed = float64(g.pos-g.began) / took.Seconds()
	}
	return time.Duration(float64(g.to-g.pos) / max(speed, 1) * float64(time.Second))
}

// end records that the transfer of a segment has ended. If it ended with an error, its last byte is
// not confirmed and is fetched again. refused reports that the server does not restart at the given
// offset: then no more cuts are made, and gone reports whether the segment before got the bytes back.
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
			before.limit.Store(before.to - before.began)
			s.all = slices.Delete(s.all, i, i+1)
		}
	}
	s.over = s.over || s.wholeLocked()
	s.ended.Broadcast()
	return gone
}

// giveUp makes take return nothing more if certain, or if no segment is running.
func (s *segmentState) giveUp(certain bool) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = s.over || certain || s.runningLocked() == 0
	s.ended.Broadcast()
	return s.over
}

// wholeLocked reports whether all bytes have arrived and are confirmed.
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

// doneLocked returns the position up to which the file would reach if it had no gaps.
func (s *segmentState) doneLocked() (n int64) {
	n = s.all[0].from
	for _, g := range s.all {
		n += g.pos - g.from
	}
	return n
}

// state returns how many bytes were fetched, how far the file reaches without a gap, and whether it
// is whole.
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

// pace measures how fast the file arrives, and whether one more connection made it faster.
type pace struct {
	from   time.Time // start of the current sample; zero: none
	done   int64     // bytes at that time
	speed  float64   // of the last sample, in bytes per second
	coming bool      // a connection was added and has brought nothing so far
	helped bool      // a connection has joined before the current sample
	full   bool      // the last one made it no faster, or no more may be added
}

// note reports whether one more connection may speed up the file, as far as can be said now.
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

// joined records that an added connection has brought its first bytes. The next sample starts
// later, because the connection needs some time to reach its speed.
func (p *pace) joined(now time.Time) {
	if p.coming {
		p.coming, p.helped, p.from, p.done = false, true, now.Add(cutting.sample/2), 0
	}
}
