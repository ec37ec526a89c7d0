package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// meter shows how transfers get on: bars on a terminal, nothing elsewhere.
type meter struct {
	e       *env
	bars    *mpb.Progress // nil: none
	summary bool          // a line when a file is done
	json    bool
}

func (e *env) newMeter(c *cli.Context) *meter {
	tty := isTerminal(e.err)
	noisy := c.Bool("explain") || c.Bool("verbose")
	m := &meter{e: e, json: c.Bool("json"), summary: !c.Bool("quiet") && !c.Bool("json") && (tty || c.Bool("explain"))}
	if tty && !noisy && !c.Bool("quiet") && !c.Bool("json") && !c.Bool("no-progress") && os.Getenv("TERM") != "dumb" {
		m.bars = mpb.New(mpb.WithOutput(e.err), mpb.WithWidth(24), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return m
}

// file is the meter of one transfer.
type file struct {
	m    *meter
	name string
	bar  *mpb.Bar
	last time.Time
}

func (m *meter) file(name string) *file {
	f := &file{m: m, name: ftp.Printable(name), last: time.Now()}
	if m.bars != nil {
		f.bar = m.bars.New(0, mpb.BarStyle().Lbound("").Rbound("").Filler("█").Tip("▌").Padding(" "),
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(fit(f.name, 28), decor.WC{C: decor.DindentRight, W: 29})),
			mpb.AppendDecorators(
				decor.NewPercentage("%d", decor.WC{W: 5}),
				decor.EwmaSpeed(decor.SizeB1000(0), " % .1f", 10, decor.WC{W: 13}),
				decor.EwmaETA(decor.ET_STYLE_MMSS, 10, decor.WC{W: 7})))
	}
	return f
}

// fit cuts a name in the middle so that its end, which tells most, is kept.
func fit(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n/3]) + "…" + string(r[len(r)-(n-n/3-1):])
}

// progress is what the client calls.
func (f *file) progress() func(done, total int64) {
	if f.bar == nil {
		return nil
	}
	return func(done, total int64) {
		now := time.Now()
		if total > 0 {
			f.bar.SetTotal(total, false)
		}
		f.bar.EwmaSetCurrent(done, now.Sub(f.last))
		f.last = now
	}
}

// done ends the meter of one file, and tells how it went.
func (f *file) done(res client.Result, err error) {
	if f.bar != nil {
		f.bar.Abort(true)
		f.bar.Wait()
	}
	if err != nil || !f.m.summary {
		return
	}
	line := fmt.Sprintf("%s   %s   %s\n", f.name, size(res.Bytes), rate(res.Bytes, res.Took))
	if res.Verified != "" {
		line = fmt.Sprintf("%s   %s   %s   whole: %s agree\n", f.name, size(res.Bytes), rate(res.Bytes, res.Took), res.Verified)
	}
	var w io.Writer = f.m.e.err
	if f.m.bars != nil {
		w = f.m.bars
	}
	_, _ = io.WriteString(w, line)
}

func (m *meter) wait() {
	if m.bars != nil {
		m.bars.Wait()
	}
}

func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

func rate(n int64, took time.Duration) string {
	if took <= 0 {
		took = time.Microsecond
	}
	return humanize.Bytes(uint64(float64(n)/took.Seconds())) + "/s"
}
