package meter

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/client"
)

// TestMeter: bars of several transfers and the lines above them are all drawn.
func TestMeter(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	var screen, errs bytes.Buffer
	e := &verb.Env{Stdio: verb.Stdio{Err: &errs}, Ctx: t.Context()}
	m := &Meter{e: e, Summary: true, bars: mpb.New(mpb.WithOutput(&screen), mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond))}
	e.Above = m.bars
	for i, name := range []string{"one.bin", "漢字.bin", "a\x1bname.bin", "unknown.bin"} {
		f := m.File(name)
		f.draw()
		f.draw2nd(t)
		total := int64(1000)
		if i == 3 {
			total = -1
		}
		step := f.Progress()
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range int64(1000) {
				step(n, total)
			}
		})
		e.Note("while %s comes", "it")
		wg.Wait()
		f.Done(client.Result{Bytes: 1000, Took: time.Second, Verified: "size and reply"}, nil)
	}
	m.Wait()
	e.Say("at the end")
	if errs.String() != "at the end\n" {
		t.Errorf("standard error got %q past the bars", errs.String())
	}
	for _, want := range []string{"one.bin   1.0 kB   1.0 kB/s   whole: size and reply agree\n", "漢字.bin   1.0 kB", "miniftp: while it comes\n"} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("no %q in %q", want, screen.String())
		}
	}
	if strings.Contains(screen.String(), "a\x1bname") {
		t.Error("a control character was written")
	}
}

// draw2nd checks that no second bar is drawn, even after the end.
func (t *Transfer) draw2nd(tb *testing.T) {
	tb.Helper()
	bar := t.bar
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.draw()
	if t.bar != bar || bar == nil {
		tb.Error("another bar was drawn")
	}
}

// TestMeterEndsOpenBars: Wait ends the bars of files whose Done was not called, as in an interrupted run.
// Calls after Wait are harmless.
func TestMeterEndsOpenBars(t *testing.T) {
	e := &verb.Env{Stdio: verb.Stdio{Err: io.Discard}, Ctx: t.Context()}
	m := &Meter{e: e, bars: mpb.New(mpb.WithOutput(io.Discard), mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond))}
	m.Total(false)
	m.all.draw()
	drawn, waiting := m.File("drawn"), m.File("waiting")
	drawn.draw()
	step := drawn.Progress()
	step(1, 100)
	m.Wait()
	if n := m.drawn.Load(); n != 0 {
		t.Errorf("%d bars are left", n)
	}
	step(2, 100)
	waiting.draw()
	late := m.File("late")
	late.draw()
	for _, f := range []*Transfer{drawn, waiting, late} {
		if f.bar != nil {
			t.Errorf("%s has a bar", f.name)
		}
		f.Done(client.Result{}, nil)
	}
}

// TestPace: each column of a bar has the same width for all numbers.
func TestPace(t *testing.T) {
	var p pace
	start := time.Unix(1_000_000, 0)
	p.step(start, 0, 100_000_000)
	if p.percent() != "   0 %" || p.rate() != strings.Repeat(" ", 12) || p.left() != strings.Repeat(" ", 9) {
		t.Errorf("at first: %q %q %q", p.percent(), p.rate(), p.left())
	}
	for i := 1; i <= 50; i++ {
		p.step(start.Add(time.Duration(i)*100*time.Millisecond), int64(i)*1_000_000, 100_000_000)
		if len(p.percent()) != 6 || len(p.rate()) != 12 || len(p.left()) != 9 {
			t.Errorf("step %d: %q %q %q", i, p.percent(), p.rate(), p.left())
		}
	}
	if p.percent() != "  50 %" || p.rate() != "     10 MB/s" || p.left() != "     0:05" {
		t.Errorf("half: %q %q %q", p.percent(), p.rate(), p.left())
	}
	p.total = 1_000_000_000_000
	if got := p.left(); got != " 27:46:35" {
		t.Errorf("a long time: %q", got)
	}
	p = pace{done: 1500, total: -1, speed: 10}
	if p.percent() != "  1.5 kB" || p.left() != strings.Repeat(" ", 9) {
		t.Errorf("no total: %q %q", p.percent(), p.left())
	}
}

// TestTotalLine: the line below the bars has all totals and fits the width.
func TestTotalLine(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	m := &Meter{e: &verb.Env{Ctx: t.Context()}, bars: mpb.New(mpb.WithOutput(io.Discard), mpb.WithAutoRefresh())}
	m.Total(false)
	for range 1310 {
		m.Expect(9_600_000_000 / 1310)
	}
	m.all.files = 1204
	m.all.add(100_000_000, true) // existed before the run
	m.all.pace.at = time.Now().Add(-time.Second)
	m.all.add(142_000_000, false)
	line := m.all.line(80)
	if !regexp.MustCompile(`^1,204 of 1,310 files   0\.2 of 9\.6 GB   14[0-3] MB/s   1:0\d left$`).MatchString(line) {
		t.Errorf("%q", line)
	}
	if line := m.all.line(30); term.Cells(line) > 29 {
		t.Errorf("%q", line)
	}
	m.all.draw()
	m.Wait()
	for _, tt := range []struct {
		done, all int64
		want      string
	}{{0, 999, "0 of 999 B"}, {500, 2000, "0.5 of 2.0 kB"}, {100_000_000, 554_000_000, "100 of 554 MB"}, {8_100_000_000, 9_600_000_000, "8.1 of 9.6 GB"}} {
		if got := OfSize(tt.done, tt.all); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	var none *total
	none.add(1, true)
	none.fileDone()
	none.end()
	(&Meter{}).Expect(1)
}
