package serve

import (
	"log/slog"
	"time"
)

// Bounds on the lines that one cause can write. What goes beyond is counted, and the count
// is logged: of a session when it ends, of callers from everywhere when the minute is over.
const (
	linesPerSession = 10 // for each reason
	linesPerMinute  = 60 // for each reason, of callers who are not let in or never log in
)

// tally counts lines by their reason.
type tally struct {
	most    int
	reasons map[string]int
}

// allow reports whether one more line for that reason is to be written.
func (t *tally) allow(reason string) bool {
	if t.reasons == nil {
		t.reasons = map[string]int{}
	}
	t.reasons[reason]++
	return t.reasons[reason] <= t.most
}

// rest logs how many lines were left out, and begins anew.
func (t *tally) rest(log *slog.Logger, attrs ...any) {
	for reason, n := range t.reasons {
		if n > t.most {
			log.Warn("and more of the same", append([]any{"reason", reason, "more", n - t.most}, attrs...)...)
		}
	}
	clear(t.reasons)
}

// perMinute is a tally that begins anew each minute.
type perMinute struct {
	tally
	since time.Time
}

func (p *perMinute) allow(log *slog.Logger, now time.Time, reason string) bool {
	if now.Sub(p.since) >= time.Minute || now.Before(p.since) {
		p.rest(log)
		p.since = now
	}
	return p.tally.allow(reason)
}
