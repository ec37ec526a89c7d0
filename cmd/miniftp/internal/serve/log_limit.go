package serve

import (
	"log/slog"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
)

// Limits on the lines logged for one reason, so that a client can't fill the disk with log lines. Lines
// above the limit are counted, and the count is logged: when the session ends, or for strangers when the
// minute has passed.
const (
	linesPerSession = 10 // for each reason in one session
	linesPerMinute  = 60 // for each reason, by all clients that are not admitted or never log in
)

// allow counts a line for reason, and reports whether to write it.
func allow(lines *sessions.Counts, most int, reason string) bool { return lines.Add(reason) <= most }

// rest logs how many lines were left out, and resets the counts.
func rest(lines *sessions.Counts, most int, log *slog.Logger, attrs ...any) {
	for _, c := range *lines {
		if c.N > most {
			log.Warn("and more of the same", append([]any{"reason", c.Name, "more", c.N - most}, attrs...)...)
		}
	}
	*lines = nil
}

// perMinute counts lines by reason, each minute anew.
type perMinute struct {
	lines sessions.Counts
	since time.Time
}

// allow is like the function allow. A new minute also begins if the clock was set back.
func (p *perMinute) allow(log *slog.Logger, now time.Time, reason string) bool {
	if now.Sub(p.since) >= time.Minute || now.Before(p.since) {
		p.rest(log)
		p.since = now
	}
	return allow(&p.lines, linesPerMinute, reason)
}

// rest logs how many lines were left out, and resets the counts.
func (p *perMinute) rest(log *slog.Logger) { rest(&p.lines, linesPerMinute, log) }
