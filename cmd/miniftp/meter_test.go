package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"miniftp/ftp/client"
)

// TestMeter: bars, lines above them and many transfers get on with each other.
func TestMeter(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	var screen, errs bytes.Buffer
	e := &env{stdio: stdio{nil, nil, &errs}, ctx: t.Context()}
	m := &meter{e: e, summary: true, bars: mpb.New(mpb.WithOutput(&screen), mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond))}
	e.above = m.bars
	for i, name := range []string{"one.bin", "漢字.bin", "a\x1bname.bin", "unknown.bin"} {
		f := m.file(name)
		f.draw()
		f.draw2nd(t)
		total := int64(1000)
		if i == 3 {
			total = -1
		}
		step := f.progress()
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range int64(1000) {
				step(n, total)
			}
		})
		e.note("while %s comes", "it")
		wg.Wait()
		f.done(client.Result{Bytes: 1000, Took: time.Second, Verified: "size and reply"}, nil)
	}
	m.wait()
	e.say("at the end")
	if errs.String() != "at the end\n" {
		t.Errorf("beside the bars: %q", errs.String())
	}
	for _, want := range []string{"one.bin   1.0 kB   1.0 kB/s   whole: size and reply agree\n", "漢字.bin   1.0 kB", "miniftp: while it comes\n"} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("%q is not in %q", want, screen.String())
		}
	}
	if strings.Contains(screen.String(), "a\x1bname") {
		t.Error("a control character came through")
	}
}

// draw2nd: a bar is drawn once, and not after the end.
func (t *transfer) draw2nd(tb *testing.T) {
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

// TestMeterEndsOpenBars: wait ends the bars of files whose done was not called, as those of
// a run that was interrupted; what is called after it is harmless.
func TestMeterEndsOpenBars(t *testing.T) {
	e := &env{stdio: stdio{nil, nil, io.Discard}, ctx: t.Context()}
	m := &meter{e: e, bars: mpb.New(mpb.WithOutput(io.Discard), mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond))}
	m.total(false)
	m.all.draw()
	drawn, waiting := m.file("drawn"), m.file("waiting")
	drawn.draw()
	step := drawn.progress()
	step(1, 100)
	m.wait()
	if n := m.drawn.Load(); n != 0 {
		t.Errorf("%d bars are left", n)
	}
	step(2, 100)
	waiting.draw()
	late := m.file("late")
	late.draw()
	for _, f := range []*transfer{drawn, waiting, late} {
		if f.bar != nil {
			t.Errorf("%s has a bar", f.name)
		}
		f.done(client.Result{}, nil)
	}
}
