// Package meter shows the progress of transfers as bars on a terminal, and reports their results as lines or
// as JSON.
//
// It must not depend on connections.
package meter

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Meter shows the progress of a run's transfers. It draws bars only on a terminal. Several goroutines may transfer
// files at once.
type Meter struct {
	e       *verb.Env
	bars    *mpb.Progress // nil if no bars are drawn
	Summary bool          // print a line at the end of each file
	totals  bool          // print a line at the end of several files
	verbose bool          // with Summary: also for the files of a tree
	Several bool          // there may be more than one file
	drawn   atomic.Int32  // number of bars on the screen
	all     *total        // the line about all files; nil if there is none
	began   time.Time

	mu    sync.Mutex
	open  map[*Transfer]struct{} // files whose Done has not been called
	ended bool

	files, failed, kept int64 // files that were transferred, that failed, and that were left unchanged
	bytes               int64 // bytes of the transferred files
}

// New returns the Meter of a run. It draws bars if standard error is a terminal, unless flags turn them off.
func New(e *verb.Env, c *cli.Context) *Meter {
	e.Resume = verb.ResumeHint(c.Command.Name)
	tty := term.IsTerminal(e.Err)
	explain := c.Bool("explain")
	silent := c.Bool("quiet") || c.Bool("json")
	m := &Meter{
		e: e, Summary: !silent && (tty || explain), verbose: explain || c.Bool("verbose"), began: time.Now(),
	}
	m.totals = !silent && (tty || m.verbose)
	if !tty || silent || explain || c.Bool("verbose") || c.Bool("no-progress") || os.Getenv("TERM") == "dumb" {
		return m
	}
	m.bars = mpb.New(mpb.WithOutput(e.Err), mpb.WithRefreshRate(100*time.Millisecond))
	e.Above = m.bars
	return m
}

// Hide removes the bars and prevents further bars and lines.
func (m *Meter) Hide() {
	m.Wait()
	m.bars, m.Summary, m.totals = nil, false, false
}

// Wait ends all bars, including those of files whose Done was not called, as in an interrupted run: mpb would
// wait for them forever. Afterwards, lines are written directly to the terminal again.
func (m *Meter) Wait() {
	if m.bars == nil {
		return
	}
	m.mu.Lock()
	m.ended = true
	open := m.open
	m.open = nil
	m.mu.Unlock()
	for t := range open {
		t.end()
	}
	m.all.end()
	m.bars.Wait()
	m.e.Above = nil
}

// barAfter is how long a transfer must take to get a bar. Bars of many small files would flicker.
const barAfter = 300 * time.Millisecond

// Transfer is the meter of one file.
type Transfer struct {
	m    *Meter
	name string

	mu    sync.Mutex
	later *time.Timer // will draw the bar
	bar   *mpb.Bar
	ended bool

	// The pace has a lock of its own, because mpb reads it while it draws. Never hold both locks.
	paceMu sync.Mutex
	pace   pace
	begun  bool // Progress has been called
}

// File returns the meter of a new file.
func (m *Meter) File(name string) *Transfer {
	t := &Transfer{m: m, name: ftp.Printable(name)}
	if m.bars == nil {
		return t
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		t.ended = true
		return t
	}
	if m.open == nil {
		m.open = map[*Transfer]struct{}{}
	}
	m.open[t] = struct{}{}
	if m.all == nil {
		t.begin()
	}
	return t
}

// begin draws the bar after barAfter. If there are several files, it is called only when the first bytes of a
// file have been transferred, so that files which wait for a connection have no bar.
func (t *Transfer) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended && t.later == nil {
		t.later = time.AfterFunc(barAfter, t.draw)
	}
}

// The widths of a bar's columns. The name gets the rest of the terminal's width.
const (
	leastName = 8
	mostName  = 32
	mostBar   = 24
	mostBars  = 16 // number of bars at once
	numbers   = len(" 100 %  999 MB/s  00:00:00")
)

func (t *Transfer) draw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.ended || t.bar != nil || now.total > 0 && now.done >= now.total { // it has ended, or will soon
		return
	}
	if t.m.drawn.Add(1) > mostBars {
		t.m.drawn.Add(-1)
		return // it is only counted in the line about all files
	}
	column := func(f func(p pace) string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			return f(t.now())
		})
	}
	style := mpb.BarStyle().Lbound("").Rbound("").Filler("█").Tip("▌").Padding(" ")
	if !term.UTF8() {
		style = style.Filler("#").Tip("#")
	}
	t.bar = t.m.bars.New(0, style,
		mpb.BarWidth(mostBar), mpb.BarFillerTrim(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string {
			name := nameWidth(s.AvailableWidth)
			return term.Pad(term.Fit(t.name, name), name) + " "
		})),
		mpb.AppendDecorators(column(pace.percent), column(pace.rate), column(pace.left)))
	show(t.bar, t.now())
}

// nameWidth returns the width of the name on a terminal of the given width.
func nameWidth(width int) int {
	return min(max((width-numbers-2)/2, leastName), mostName)
}

func (t *Transfer) now() pace {
	t.paceMu.Lock()
	defer t.paceMu.Unlock()
	return t.pace
}

// Progress returns the function that the client is to call while it transfers the file, or nil if nothing is
// drawn.
func (t *Transfer) Progress() func(done, total int64) {
	if t.m.bars == nil {
		if t.m.e.Line == nil {
			return nil
		}
		return t.m.e.Line.Moved()
	}
	return func(done, total int64) {
		t.paceMu.Lock()
		first := !t.begun
		t.m.all.add(done-t.pace.done, first)
		t.begun = true
		t.pace.step(time.Now(), done, total)
		now := t.pace
		t.paceMu.Unlock()
		if t.m.all != nil && total > 0 && done >= total {
			t.drop(false) // only its reply is missing, which may arrive after those of other files
		} else {
			t.begin()
		}
		t.mu.Lock()
		bar := t.bar
		t.mu.Unlock()
		if bar != nil {
			show(bar, now)
		}
	}
}

func show(bar *mpb.Bar, p pace) {
	if p.total > 0 {
		bar.SetTotal(max(p.total, p.done+1), false) // never complete, because end removes it
		bar.SetCurrent(p.done)
	}
}

// end removes the bar, if there is one, and prevents another. It may be called twice.
func (t *Transfer) end() { t.drop(true) }

// drop removes the bar, if there is one. Unless forGood is true, more bytes may draw another one.
func (t *Transfer) drop(forGood bool) {
	t.mu.Lock()
	if t.later != nil {
		t.later.Stop()
	}
	bar := t.bar
	t.bar, t.later, t.ended = nil, nil, t.ended || forGood
	t.mu.Unlock()
	if bar != nil {
		bar.Abort(true)
		bar.Wait()
		t.m.drawn.Add(-1)
	}
}

// Done ends the meter of a file, counts the result and prints the line about it.
func (t *Transfer) Done(res client.Result, err error) {
	t.m.mu.Lock()
	delete(t.m.open, t)
	if err != nil {
		t.m.failed++
	} else {
		t.m.files++
		t.m.bytes += res.Bytes
	}
	t.m.mu.Unlock()
	t.end()
	t.m.all.fileDone()
	if err != nil || !t.m.Summary {
		return
	}
	line := fmt.Sprintf("   %s   %s%s", term.Size(res.Bytes), term.Rate(res.Bytes, res.Took), verdict(res.Verified))
	if res.Verified == "size" {
		line = "   was already whole: the sizes agree"
	}
	t.m.e.Say(term.Fit(t.name, max(term.Width(t.m.e.Err)-1-term.Cells(line), leastName)) + line)
}

// verdict returns why a file is known to be whole.
func verdict(verified string) string {
	switch verified {
	case "":
		return ""
	case "reply":
		return "   whole: according to the reply"
	}
	return "   whole: " + verified + " agree"
}

// pace holds the progress and the speed of a transfer.
type pace struct {
	done, total int64     // bytes; total is -1 if unknown
	speed       float64   // bytes per second, 0 if unknown
	from        int64     // done at the last measurement
	at          time.Time // time of the last measurement
}

// step records progress. The speed is a moving average over some seconds.
func (p *pace) step(now time.Time, done, total int64) {
	p.done, p.total = done, total
	took := now.Sub(p.at)
	if p.at.IsZero() || done < p.from {
		p.at, p.from = now, done
		return
	}
	if took < barAfter {
		return
	}
	speed := float64(done-p.from) / took.Seconds()
	if p.speed > 0 {
		speed = p.speed + (speed-p.speed)*min(took.Seconds()/3, 1)
	}
	p.speed, p.at, p.from = speed, now, done
}

// percent returns how much is done: in percent, or in bytes if the total is unknown.
func (p pace) percent() string {
	if p.total <= 0 {
		return fmt.Sprintf("%8s", term.Size(p.done))
	}
	return fmt.Sprintf(" %3d %%", min(p.done*100/p.total, 100))
}

func (p pace) rate() string {
	if p.speed == 0 {
		return strings.Repeat(" ", 12)
	}
	return fmt.Sprintf("%12s", humanize.Bytes(uint64(p.speed))+"/s")
}

func (p pace) left() string {
	if p.speed < 1 || p.total <= 0 {
		return strings.Repeat(" ", 9)
	}
	s := int64(float64(p.total-p.done)/p.speed + 0.5)
	return fmt.Sprintf("%9s", term.Clock(s))
}
