package client

import (
	"errors"
	"testing"
	"time"
)

// TestPace checks that another connection is added when one has been measured, and yet another one only if the last
// one has made the file faster.
func TestPace(t *testing.T) {
	sample := cutting.sample
	for _, tt := range []struct {
		name   string
		speeds []int64 // of all connections together, with one, two …
		want   int     // final number of connections
	}{
		{"the line is full", []int64{100, 100, 100}, 2},
		{"each gets as much", []int64{100, 200, 300, 400, 500, 600}, 6},
		{"it is full with three", []int64{100, 180, 240, 245, 250}, 4},
		{"a second one is in the way", []int64{100, 60, 50}, 2},
	} {
		var p pace
		now, done, n := time.Unix(1000, 0), int64(1), 1
		for range 1000 {
			now = now.Add(sample / 10)
			done += tt.speeds[n-1]
			if p.note(done, now) && n < len(tt.speeds) {
				if now.Sub(time.Unix(1000, 0)) < sample {
					t.Errorf("%s: a connection was added at once", tt.name)
				}
				p.coming = true
				p.joined(now)
				n++
			}
		}
		if n != tt.want {
			t.Errorf("%s: %d connections, want %d", tt.name, n, tt.want)
		}
	}
}

// TestSegmentState goes through the states of segments.
func TestSegmentState(t *testing.T) {
	const mib = 1 << 20
	now := time.Now()
	begin := func() (*segmentState, *segment, *segment) {
		s := newSegments(0, 100*mib)
		s.pace.speed = 1
		first := s.all[0]
		s.moved(first, 20*mib, now)
		half := s.take(false)
		if half == nil || first.to != 60*mib || half.from != first.to || half.to != 100*mib || first.limit.Load() != 60*mib {
			t.Fatalf("%+v, %+v", first, half)
		}
		return s, first, half
	}
	want := func(name string, s *segmentState, fetched, head int64, whole bool) {
		t.Helper()
		if a, b, c := s.state(); a != fetched || b != head || c != whole {
			t.Errorf("%s: %d, %d, %v, want %d, %d, %v", name, a, b, c, fetched, head, whole)
		}
	}
	broken := errors.New("broken")

	s, first, half := begin()
	s.moved(half, 70*mib, now)
	want("both run", s, 30*mib, 20*mib, false)
	s.end(half, broken, false)
	if g := s.take(false); g != half || g.began != 70*mib || g.limit.Load() != 30*mib {
		t.Errorf("what is left: %+v", g)
	}
	s.moved(first, 61*mib, now) // a chunk that was already in progress
	s.end(first, nil, false)
	want("the first is whole", s, 70*mib, 70*mib, false)
	s.moved(half, 100*mib, now)
	want("it is not confirmed", s, 100*mib, 100*mib, false)
	s.end(half, broken, false)
	want("it ended badly", s, 100*mib-1, 100*mib-1, false)
	if g := s.take(true); g != half {
		t.Errorf("the last byte: %+v", g)
	}
	s.moved(half, 100*mib, now)
	s.end(half, nil, false)
	want("all is whole", s, 100*mib, 100*mib, true)
	if g := s.take(true); g != nil {
		t.Errorf("a segment was taken although the file is whole: %+v", g)
	}

	s, first, half = begin()
	if gone := s.end(half, broken, true); !gone || first.to != 100*mib || first.limit.Load() != 100*mib || len(s.all) != 1 {
		t.Errorf("after a refusal: gone %v, %+v", gone, first)
	}
	if g := s.take(false); g != nil {
		t.Errorf("a segment was cut although the server refuses REST: %+v", g)
	}

	s, first, half = begin()
	s.moved(first, 60*mib, now)
	if s.end(half, broken, true) {
		t.Error("bytes went back to a segment that has ended")
	}
	s.end(first, nil, false)
	if !s.giveUp(false) || s.take(true) != nil {
		t.Error("nothing is running, but the download is not over")
	}
	want("only the beginning is there", s, 60*mib, 60*mib, false)
}
