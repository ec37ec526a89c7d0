package meter

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"miniftp/cmd/miniftp/internal/term"
)

// total is the line below the bars about all files. Methods of a nil *total do nothing.
type total struct {
	m     *Meter
	later *time.Timer // will draw the line

	mu       sync.Mutex
	bar      *mpb.Bar
	ended    bool
	files    int64 // files that have ended
	ofFiles  int64 // files in all
	had      int64 // bytes that existed before the transfers, when resuming
	pace     pace  // of the other bytes; its total is all bytes minus had
	expected int64 // bytes of all files
}

// Total draws a line about all files below the bars. It must be called once, before the first file; Expect adds
// the files. If tree is true, there are lines for single files only with -v.
func (m *Meter) Total(tree bool) {
	m.Several = true
	m.Summary = m.Summary && (!tree || m.verbose)
	if m.bars == nil || m.all != nil {
		return
	}
	m.all = &total{m: m}
	m.all.later = time.AfterFunc(barAfter, m.all.draw)
}

// Expect counts a file that will be transferred. size is in bytes, -1 if unknown.
func (m *Meter) Expect(size int64) {
	if m.all == nil {
		return
	}
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	m.all.ofFiles++
	m.all.expected += max(size, 0)
}

// Keep counts a file that was passed to Expect but is left unchanged.
func (m *Meter) Keep(size int64) {
	m.mu.Lock()
	m.kept++
	m.mu.Unlock()
	if m.all == nil {
		return
	}
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	m.all.ofFiles--
	m.all.expected -= max(size, 0)
}

// sumUp prints a line about the results of several files. done is what was done to them, such as "fetched".
// Nothing is printed without a terminal, unless -v is given.
func (m *Meter) sumUp(done string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.totals || !m.Several || m.files+m.kept == 0 || m.e.Ctx.Err() != nil {
		return
	}
	took := time.Since(m.began)
	text := "nothing " + done
	if m.files > 0 {
		text = fmt.Sprintf("%s %s, %s in %s (%s)", term.FileCount(m.files), done, term.Size(m.bytes), term.Seconds(took), term.Rate(m.bytes, took))
	}
	if m.kept > 0 {
		text += fmt.Sprintf("; %s left as %s", humanize.Comma(m.kept), term.Plural(m.kept, "it is", "they are"))
	}
	if m.failed > 0 {
		text += fmt.Sprintf("; %s failed", humanize.Comma(m.failed))
	}
	m.e.Say(text)
}

// add counts n bytes of a file. If first is true, they existed before the transfer.
func (t *total) add(n int64, first bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if first {
		t.had += n
		n = 0
	}
	t.pace.step(time.Now(), t.pace.done+n, t.expected-t.had)
}

func (t *total) fileDone() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files++
	t.ofFiles = max(t.ofFiles, t.files)
}

func (t *total) draw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.bar = t.m.bars.New(0, mpb.NopStyle(), mpb.BarPriority(math.MaxInt32), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string { return t.line(s.AvailableWidth) })))
}

func (t *total) end() {
	if t == nil {
		return
	}
	t.later.Stop()
	t.mu.Lock()
	t.ended = true
	bar := t.bar
	t.mu.Unlock()
	if bar != nil {
		bar.Abort(true)
		bar.Wait()
	}
}

// line returns the text, such as "1,204 of 1,310 files   8.1 of 9.6 GB   142 MB/s   0:11 left", cut to the
// width of the terminal.
func (t *total) line(width int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	parts := []string{fmt.Sprintf("%s of %s files", humanize.Comma(t.files), humanize.Comma(t.ofFiles))}
	if done := t.had + t.pace.done; t.expected > 0 {
		parts = append(parts, OfSize(min(done, t.expected), t.expected))
	}
	if t.pace.speed >= 1 {
		parts = append(parts, humanize.Bytes(uint64(t.pace.speed))+"/s")
		left := max(t.expected-t.had-t.pace.done, 0)
		parts = append(parts, term.Clock(int64(float64(left)/t.pace.speed+0.5))+" left")
	}
	return term.Fit(strings.Join(parts, "   "), width-1)
}

// OfSize returns a text such as "8.1 of 9.6 GB", with both numbers in the unit of the larger one.
func OfSize(done, all int64) string {
	whole := term.Size(all)
	number, unit, _ := strings.Cut(whole, " ")
	per := float64(1)
	for _, u := range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		per *= 1000
		if u == unit {
			digits := 0
			if strings.Contains(number, ".") {
				digits = 1
			}
			return fmt.Sprintf("%.*f of %s", digits, float64(done)/per, whole)
		}
	}
	return fmt.Sprintf("%d of %s", done, whole)
}
