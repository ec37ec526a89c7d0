package serve

import (
	"log/slog"
	"time"
)

// Limits on the lines logged for one reason, so that a client can't fill the disk with log lines. Lines
// above the limit are counted, and the count is logged: when the session ends, or for strangers when the
// minute has passed.
const (
	linesPerSession = 10 // for each reason in one session
	linesPerMinute  = 60 // for each reason, by all clients that are not admitted or never log in
)

// tally counts log lines by reason.
type tally struct {
	most    int
	reasons map[string]int
}

// allow counts a line for reason, and reports whether to write it.
func (t *tally) allow(reason string) bool {
	if t.reasons == nil {
		t.reasons = map[string]int{}
	}
	t.reasons[reason]++
	return t.reasons[reason] <= t.most
}

// rest logs how many lines were left out, and resets the counts.
func (t *tally) rest(log *slog.Logger, attrs ...any) {
	for reason, n := range t.reasons {
		if n > t.most {
			log.Warn("and more of the same", append([]any{"reason", reason, "more", n - t.most}, attrs...)...)
		}
	}
	clear(t.reasons)
}

// perMinute is a tally that is reset each minute.
type perMinute struct {
	tally
	since time.Time
}

// allow is like tally.allow. A new minute also begins if the clock was set back.
func (p *perMinute) allow(log *slog.Logger, now time.Time, reason string) bool {
	if now.Sub(p.since) >= time.Minute || now.Before(p.since) {
		p.rest(log)
		p.since = now
	}
	return p.tally.allow(reason)
}
