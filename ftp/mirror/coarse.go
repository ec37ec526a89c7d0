package mirror

import (
	"context"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/ftp"
)

// This file handles local file systems that store times in coarse steps: 2 s on FAT, 1 s on HFS+ and
// ext3, 10 ms on exFAT, 100 ns on NTFS. A copy there never has the exact time of its source, so without
// this every run of a mirror would copy every file again.

// timeSteps are the steps in which file systems store times, the longest first.
var timeSteps = [...]time.Duration{
	2 * time.Second, time.Second, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond, time.Microsecond, 100 * time.Nanosecond,
}

// isStep reports whether a file system with the given step can store t exactly.
func isStep(t time.Time, step time.Duration) bool {
	return t.Sub(time.Unix(t.Unix()&^1, 0))%step == 0
}

// rounding is how a file system rounds a time to its step. The time that was set was at most down later
// than the stored one, and at most up earlier.
type rounding struct{ step, down, up time.Duration }

// coarseness is what is known of the rounding at a destination.
type coarseness struct {
	ask  sync.Once
	how  atomic.Pointer[rounding] // nil: not known to round
	seen atomic.Int32             // index of the longest step in timeSteps that all listed times allow
}

// see records a time in a listing. A time between two steps shows that the step is shorter.
func (c *coarseness) see(t time.Time) {
	for {
		i := c.seen.Load()
		if int(i) == len(timeSteps) || isStep(t, timeSteps[i]) {
			return
		}
		c.seen.CompareAndSwap(i, i+1)
	}
}

// widen returns the interval that contains the time which was set for e.
func (c *coarseness) widen(e *ftp.Entry, from, to time.Time) (time.Time, time.Time) {
	if how := c.how.Load(); how != nil && isStep(e.Modified, how.step) {
		return from.Add(-how.up), to.Add(how.down)
	}
	return from, to
}

// orderRounded is like m.order for a file whose time a local destination may have rounded. How it rounds is
// found out once, when the times of a file first differ by no more than the longest step. After that the
// span of each file includes the rounding.
func (m *mirror) orderRounded(ctx context.Context, t *task) int {
	order := m.order(&t.src, t.dst)
	s, ok := m.dst.(*plainSide)
	if order == 0 || !ok || !isStep(t.dst.Modified, timeSteps[len(timeSteps)-1]) {
		return order
	}
	from, to := m.src.span(&t.src)
	if at := t.dst.Modified; at.Before(from.Add(-timeSteps[0])) || at.After(to.Add(timeSteps[0])) {
		return order
	}
	s.coarse.ask.Do(func() {
		if m.o.DryRun {
			s.coarse.guess()
		} else {
			s.tryTimes(ctx, t.rel, t.dst.Modified)
		}
	})
	return m.order(&t.src, t.dst)
}

// guess estimates the step in a dry run, which may not write a probe. It takes the longest step that all
// times at the destination allow. A file system with exact times shows that in the first directory, if
// only by the time of the directory itself. So the guess is wrong only for a destination whose times are
// all full even seconds.
func (c *coarseness) guess() {
	if i := int(c.seen.Load()); i < len(timeSteps) {
		step := timeSteps[i]
		c.how.Store(&rounding{step, step - 1, step - 1})
	}
}

// tryTimes finds out how the file system rounds, by setting times of a probe file in the directory of
// rel. The user's file is not used: if it is a different version, and the run is killed, it would keep
// the time of the right version, and no later run would copy it.
func (s *plainSide) tryTimes(ctx context.Context, rel string, near time.Time) {
	probe := below(path.Dir(rel), probeName())
	if s.writeSmall(ctx, probe, nil) != nil {
		return
	}
	defer func() { _ = s.remove(ctx, probe, false) }()
	var off []time.Duration // stored time minus set time
	base := time.Unix(near.Unix()&^1, 0)
	step := 0
	for _, after := range [...]time.Duration{123_456_789, 623_456_789, 1_123_456_789, 1_623_456_789} {
		set := base.Add(after)
		if s.setTime(ctx, probe, set) != nil {
			return
		}
		e, err := s.look(ctx, probe)
		if err != nil {
			return
		}
		for step < len(timeSteps) && !isStep(e.Modified, timeSteps[step]) {
			step++
		}
		off = append(off, e.Modified.Sub(set))
	}
	if step < len(timeSteps) {
		s.coarse.how.Store(roundingOf(timeSteps[step], off))
	}
}

// roundingOf returns the rounding that explains the differences off, or nil if none does: some file
// systems ignore the time that they are given.
func roundingOf(step time.Duration, off []time.Duration) *rounding {
	how := &rounding{step: step}
	for _, d := range off {
		if d.Abs() >= step {
			return nil
		}
		how.down, how.up = max(how.down, -d), max(how.up, d)
	}
	switch {
	case how.up == 0:
		how.down = step - 1
	case how.down == 0:
		how.up = step - 1
	default: // to the nearest one
		how.down, how.up = step/2, step/2
	}
	return how
}
