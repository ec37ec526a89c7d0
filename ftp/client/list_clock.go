package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"miniftp/ftp"
)

// listClock is what is known of the time zone of a server's LIST. Its times are rounded to the minute,
// in a zone that the server does not name. MDTM reports the exact time of a file in UTC; the
// difference for one file shows the zone for others, so that not every file has to be asked for. The
// connections of a Pool share it.
type listClock struct {
	mu    sync.Mutex    // not held while a server is asked
	turn  chan struct{} // full while a connection learns the zone; made by takeTurn
	zone  time.Duration // offset from UTC, as shown by the first file that was asked for
	knows zoneState
	asked int // files that were asked for to learn the zone
	// weeks holds the zone for each week in which some file has shown it. A server that lists local
	// times has another zone in summer, so what one file shows is used only for files of the same
	// week.
	weeks map[int64]time.Duration
}

type zoneState uint8

const (
	zoneUnasked zoneState = iota
	zoneKnown
	zoneUnknown // the server reports times only in listings
)

// farOff is the largest offset from UTC that a time zone may have.
const farOff = 14 * time.Hour

// week numbers the weeks since 1970.
func week(t time.Time) int64 { return t.Unix() / (7 * 24 * 60 * 60) }

// inWeek returns the zone of a time in a listing, if a file of the same week has shown it.
func (k *listClock) inWeek(listed time.Time) (zone time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	zone, ok = k.weeks[week(listed)]
	return zone, ok
}

// learn records the exact time of a file that was listed.
func (k *listClock) learn(listed, exact time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.learnLocked(listed, exact)
}

// learnLocked is learn for a caller that holds mu. A difference that can't be a zone means that the file was
// changed after it was listed, and is ignored.
func (k *listClock) learnLocked(listed, exact time.Time) {
	off := listed.Sub(exact)
	zone := off.Round(15 * time.Minute)
	if zone.Abs() > farOff || (off-zone).Abs() > time.Minute {
		return
	}
	if k.knows != zoneKnown {
		k.zone, k.knows = zone, zoneKnown
	}
	if k.weeks == nil {
		k.weeks = map[int64]time.Duration{}
	}
	k.weeks[week(listed)] = zone
}

// off returns the zone of a time in a listing, and how much is known. The zone is a guess unless a file
// of the same week has shown it.
func (k *listClock) off(listed time.Time) (zone time.Duration, knows zoneState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if zone, ok := k.weeks[week(listed)]; ok {
		return zone, zoneKnown
	}
	return k.zone, k.knows
}

// isMinute reports whether the time of an entry comes from LIST and includes a time of day.
func isMinute(e *ftp.Entry) bool { return e.Precise == time.Minute && !e.Modified.IsZero() }

// Date turns the time of e, the entry of the file at path in a listing, into one that can be set on a
// copy of the file. A time that is exact to the second is left unchanged. A time from LIST is local to
// the server: it is corrected if the zone is known from another file of the same week, and otherwise
// the server is asked. If the server does not report the time, it becomes zero.
func (c *Client) Date(ctx context.Context, path string, e *ftp.Entry) error {
	if err := c.Sharpen(ctx, path, e, true); err != nil || e.Precise < time.Minute {
		return err
	}
	if zone, ok := c.history.clock.inWeek(e.Modified); ok && isMinute(e) {
		e.Modified = e.Modified.Add(-zone)
	} else {
		e.Modified, e.Precise = time.Time{}, 0
	}
	return nil
}

// exact asks for the time of a file. If the server does not report it, e is left unchanged.
func (c *Client) exact(ctx context.Context, path string, e *ftp.Entry) error {
	if c.history.noMDTM.Load() {
		return nil
	}
	t, precise, err := c.modTime(ctx, path)
	switch {
	case err == nil:
		e.Modified, e.Precise = t, precise
	case refused(err):
		c.history.noMDTM.Store(true)
	}
	if isReply(err) || errors.Is(err, ftp.ErrSyntax) {
		return nil
	}
	return err
}

// Sharpen makes the time of e, the entry of the file at path in a listing, as exact as the server can
// report it. With minute, a time from LIST is sufficient if its zone is known. If the server does not
// report more, e is left unchanged; see Pool.Span.
func (c *Client) Sharpen(ctx context.Context, path string, e *ftp.Entry, minute bool) error {
	if e.Precise < time.Minute && !e.Modified.IsZero() {
		return nil
	}
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	listed := *e
	if minute && isMinute(e) {
		if _, ok := c.history.clock.inWeek(e.Modified); ok {
			return nil
		}
	}
	err := c.exact(ctx, path, e)
	if err == nil && minute && isMinute(&listed) && e.Precise < time.Minute {
		c.history.clock.learn(listed.Modified, e.Modified)
	}
	return err
}

// Span returns the interval in which a listed file was last changed: not before from, and before to. The
// zone of times from LIST is not known in advance. If no file has shown it, wide extends the interval
// by the largest offset that a zone may have.
func (p *Pool) Span(e *ftp.Entry, wide bool) (from, to time.Time) {
	from, to = e.Modified, e.Modified.Add(max(e.Precise, time.Second))
	if e.Precise < time.Minute {
		return from, to
	}
	zone, knows := p.opts.history.clock.off(e.Modified)
	from, to = from.Add(-zone), to.Add(-zone)
	if knows == zoneUnknown && wide {
		from, to = from.Add(-farOff), to.Add(farOff)
	}
	return from, to
}

// zoneSample is a file whose time in LIST was exact to the minute.
type zoneSample struct {
	path   string
	listed time.Time
}

// maxSamples is how many files of a directory are asked for, because the time of one may be refused.
const maxSamples = 5

// takeTurn waits until no other connection learns the zone. done ends the turn.
func (k *listClock) takeTurn(ctx context.Context) (done func(), err error) {
	k.mu.Lock()
	if k.turn == nil {
		k.turn = make(chan struct{}, 1)
	}
	turn := k.turn
	k.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// mayAsk reports whether one more file may be asked for to learn the zone, and counts it.
func (k *listClock) mayAsk() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.knows == zoneKnown || k.asked >= 4*maxSamples {
		return false
	}
	k.asked++
	return true
}

// answered records the time that the server reports for a listed file, or its refusal.
func (k *listClock) answered(listed, exact time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if refused(err) {
		k.asked = 4 * maxSamples
	}
	if k.knows != zoneKnown {
		k.knows = zoneUnknown
	}
	if err == nil {
		k.learnLocked(listed, exact)
	}
}

// learnZone asks for the times of files until the server reports one. If it refuses all of them, the
// files of the next directory are asked for, unless the server does not support MDTM. Other connections
// of the Pool wait for the result meanwhile, or until their ctx ends.
func (c *Client) learnZone(ctx context.Context, samples []zoneSample) error {
	k := &c.history.clock
	done, err := k.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, f := range samples {
		if !k.mayAsk() {
			return nil
		}
		t, _, err := c.modTime(ctx, f.path)
		if err != nil && !isReply(err) {
			return err
		}
		k.answered(f.listed, t, err)
	}
	return nil
}
