package explain

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
)

// perform returns the ladder of a play, with the given width.
func perform(p play, width int) string {
	var drawn strings.Builder
	l := NewLadder(&drawn, width)
	l.Pen = NewPen(width, p.ascii, false)
	for _, e := range p.events {
		l.Observe(e)
	}
	return drawn.String()
}

// TestLadder compares the ladder of every play with testdata/ladders.golden, which is meant to be read. With
// -update it writes the file.
func TestLadder(t *testing.T) {
	var all strings.Builder
	for _, p := range plays() {
		fmt.Fprintf(&all, "== %s (%d columns)\n%s\n", p.name, p.width, perform(p, p.width))
	}
	verbtest.Golden(t, "ladders.golden", all.String())
}

// TestLadderKeepsItsWidth: no line is wider than the ladder, ends in blanks or has unprintable characters.
func TestLadderKeepsItsWidth(t *testing.T) {
	for _, p := range plays() {
		for _, width := range []int{20, 33, 44, 45, 59, 60, 72, 73, 79, 80, 95, 100, 160} {
			for _, line := range strings.Split(perform(p, width), "\n") {
				if term.Cells(line) > width {
					t.Errorf("%s: %d columns in %d: %q", p.name, term.Cells(line), width, line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s: blanks at the end of %q", p.name, line)
				}
				if i := strings.IndexFunc(line, func(c rune) bool { return !unicode.IsPrint(c) || p.ascii && c > unicode.MaxASCII }); i >= 0 {
					t.Errorf("%s: unprintable at %d of %q", p.name, i, line)
				}
			}
		}
	}
}

// TestLadderLocale: ladders are drawn in ASCII if the locale is not UTF-8.
func TestLadderLocale(t *testing.T) {
	for _, c := range []struct {
		all, ctype, lang string
		want             bool
	}{
		{"", "", "en_GB.UTF-8", true},
		{"", "", "de_DE.utf8", true},
		{"C", "", "en_GB.UTF-8", false},
		{"", "POSIX", "en_GB.UTF-8", false},
		{"C.UTF-8", "C", "C", true},
		{"", "", "de_DE.ISO-8859-1", false},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_CTYPE", c.ctype)
		t.Setenv("LANG", c.lang)
		var drawn strings.Builder
		NewLadder(&drawn, 80).Observe(ftp.Event{Control: atClient, What: ftp.ControlOpened{}})
		if got := strings.Contains(drawn.String(), lines.Right); got != c.want {
			t.Errorf("LC_ALL=%s LC_CTYPE=%s LANG=%s: UTF-8 %v, want %v", c.all, c.ctype, c.lang, got, c.want)
		}
	}
}

// TestLadderBold: only failures are bold, and only on a terminal.
func TestLadderBold(t *testing.T) {
	p := NewPen(80, false, true)
	if got := p.draw(rung{right: "fine"}); strings.Contains(got, "\x1b") {
		t.Errorf("a rung without failure has an escape sequence: %q", got)
	}
	if got := p.draw(rung{right: "450 no", bad: true}); !strings.HasPrefix(got, "\x1b[1m") || !strings.HasSuffix(got, "450 no\x1b[0m\n") {
		t.Errorf("a failure is not bold: %q", got)
	}
	if term.Colour(new(strings.Builder)) {
		t.Error("colours are used for a writer that is not a terminal")
	}
}

// writes records the text of each call of Write.
type writes struct{ calls []string }

func (w *writes) Write(b []byte) (int, error) {
	w.calls = append(w.calls, string(b))
	return len(b), nil
}

// TestLadderConcurrent: lines of concurrent sessions are written whole, and each has its label.
func TestLadderConcurrent(t *testing.T) {
	var w writes
	l := NewLadder(&w, 80)
	var all sync.WaitGroup
	var sessions [][]ftp.Event
	for id := range uint64(8) {
		events := during(controlOf(id+1, ftp.ServerPI, "127.0.0.1:2121", "127.0.0.1:51234"), passiveGet...)
		l.Observe(events[0])
		sessions = append(sessions, events[1:])
	}
	w.calls = nil
	for _, events := range sessions {
		all.Go(func() {
			for _, e := range events {
				l.Observe(e)
			}
		})
	}
	all.Wait()
	if len(l.talks) != 0 {
		t.Errorf("%d sessions are kept after their end", len(l.talks))
	}
	perSession := map[string]int{}
	for _, call := range w.calls {
		if !strings.HasSuffix(call, "\n") {
			t.Fatalf("a call wrote a part of a line: %q", call)
		}
		for _, line := range strings.Split(strings.TrimSuffix(call, "\n"), "\n") {
			if tag, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(tag, "#") {
				perSession[tag]++
			}
		}
	}
	for id := 1; id <= 8; id++ {
		if n := perSession[fmt.Sprintf("#%d", id)]; n != 7 {
			t.Errorf("session %d has %d labelled rungs, want 7", id, n)
		}
	}
}
