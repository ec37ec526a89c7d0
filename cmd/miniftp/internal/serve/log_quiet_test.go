package serve

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"miniftp/ftp"
)

// TestQuietLog: events that make no line cost no memory, since each transfer has several of them.
func TestQuietLog(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l := newEventLog(log, io.Discard, func() bool { return false })
	control := &ftp.Control{ID: 1}
	l.Observe(ftp.Event{At: time.Now(), Control: control, What: ftp.ControlOpened{}})
	for _, what := range []ftp.Happening{
		ftp.CommandGiven{Command: ftp.Command{Verb: "NOOP"}}, ftp.ReplyGiven{Verb: "NOOP"}, ftp.DataOffered{}, ftp.DataOpened{}, ftp.DataSecured{},
	} {
		e := ftp.Event{At: time.Now(), Control: control, What: what}
		for range 2000 {
			l.Observe(e) // fills the list of recent events
		}
		if n := testing.AllocsPerRun(100, func() { l.Observe(e) }); n > 0 {
			t.Errorf("%T: %v allocations", what, n)
		}
	}
}
