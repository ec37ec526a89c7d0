package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"miniftp/ftp"
)

// listClock is what is known of the zone of the times in a server's LIST, which are to the
// minute and of no zone that it names. MDTM tells the exact time of a file; that of one file
// shows the zone for others, so that not each has to be asked for. The connections of a Pool
// share it.
type listClock struct {
	mu    sync.Mutex
	zone  time.Duration // to be taken off, as the first file that was asked for shows
	knows zoneState
	asked int // files that were asked for to know the zone
	// weeks are the zones of the weeks for which a file showed it. A server that lists local
	// times has another zone in summer, so what one file shows is taken to be right for files
	// of the same week only.
	weeks map[int64]time.Duration
}

type zoneState uint8

const (
	zoneUnasked zoneState = iota
	zoneKnown
	zoneUnknown // the server does not tell times but in listings
)

// farOff is how far a clock may be off in an unknown zone.
const farOff = 14 * time.Hour

// week numbers the weeks.
func week(t time.Time) int64 { return t.Unix() / (7 * 24 * 60 * 60) }

// inWeek returns the zone of a time in a listing, if a file of its week showed it.
func (k *listClock) inWeek(listed time.Time) (zone time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	zone, ok = k.weeks[week(listed)]
	return zone, ok
}

// learn notes the exact time of a file that was listed.
func (k *listClock) learn(listed, exact time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.learnHeld(listed, exact)
}

// learnHeld is learn while mu is held. A difference that no zone has is that of a file that was
// changed after it was listed.
func (k *listClock) learnHeld(listed, exact time.Time) {
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

// off returns the zone of a time in a listing, which is a guess unless a file of its week
// showed it, and how much is known.
func (k *listClock) off(listed time.Time) (zone time.Duration, knows zoneState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if zone, ok := k.weeks[week(listed)]; ok {
		return zone, zoneKnown
	}
	return k.zone, k.knows
}

// isMinute reports whether a time is one of LIST with a time of day.
func isMinute(e *ftp.Entry) bool { return e.Precise == time.Minute && !e.Modified.IsZero() }

// Date makes the time of e, the file at path as a listing has it, one that a copy of the file can
// be given. A time to the second remains as it is. A time of LIST is local to the server: it is
// corrected where the zone is known from another file of that week, and else the server is asked.
// The time is zero if the server does not tell.
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

// exact asks for the time of a file; a server that does not tell leaves e as it is.
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

// Sharpen makes the time of e, the file at path as a listing has it, as exact as the server tells.
// minute: that of LIST will do if its zone is known. What the server does not tell remains as it
// is; see Pool.Span.
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

// Span returns when a file that was listed has been changed: not before from, and before to. The
// times of LIST are of a zone that the server does not name; if nothing shows it, wide has them
// reach as far as zones do.
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

// zoneSample is a file to which LIST gave a time to the minute.
type zoneSample struct {
	path   string
	listed time.Time
}

// maxSamples is how many files of a directory are asked for, as the time of one may be
// refused.
const maxSamples = 5

// learnZone asks for the times of files until one is told. If all are refused, those of the
// next directory are asked for, unless the server does not know MDTM.
func (c *Client) learnZone(ctx context.Context, samples []zoneSample) error {
	k := &c.history.clock
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range samples {
		if k.knows == zoneKnown || k.asked >= 4*maxSamples {
			return nil
		}
		k.asked++
		t, _, err := c.modTime(ctx, f.path)
		switch {
		case err != nil && !isReply(err):
			return err
		case refused(err):
			k.asked = 4 * maxSamples
		}
		if k.knows = zoneUnknown; err == nil {
			k.learnHeld(f.listed, t)
		}
	}
	return nil
}
