package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// display prints the results: rows of a table as soon as they are measured, or JSON at the end.
type display struct {
	w      io.Writer
	json   bool
	server bool // the processor time of the server is known
	micro  string
	report report
	err    error
}

// report is the output of --json. The help of the verb describes the fields.
type report struct {
	URL        string      `json:"url"`
	Greeting   string      `json:"greeting,omitempty"`
	Protection string      `json:"protection,omitempty"`
	Mode       string      `json:"mode,omitempty"`
	Rows       []reportRow `json:"rows"`
}

type reportRow struct {
	Name         string   `json:"name"`
	N            int64    `json:"n,omitempty"`
	Seconds      float64  `json:"seconds,omitempty"`
	Bytes        int64    `json:"bytes,omitempty"`
	Entries      int      `json:"entries,omitempty"`
	Rate         float64  `json:"rate,omitempty"`
	Unit         string   `json:"unit,omitempty"`
	P50          float64  `json:"p50_us,omitempty"`
	P99          float64  `json:"p99_us,omitempty"`
	Max          float64  `json:"max_us,omitempty"`
	First        float64  `json:"first_us,omitempty"`
	FinishP50    float64  `json:"finish_p50_us,omitempty"`
	FinishP99    float64  `json:"finish_p99_us,omitempty"`
	ServerCPU    *float64 `json:"server_cpu_s,omitempty"`
	ServerEach   float64  `json:"server_cpu_us_each,omitempty"`
	ServerPerGiB float64  `json:"server_cpu_s_per_gib,omitempty"`
	PSS          int64    `json:"server_pss_kib,omitempty"`
	RSS          int64    `json:"server_rss_kib,omitempty"`
	PSSEach      *float64 `json:"server_pss_kib_each,omitempty"`
	OwnCPU       float64  `json:"own_cpu_s,omitempty"`
	Failures     int64    `json:"failures,omitempty"`
	Error        string   `json:"error,omitempty"`
	LeftOut      string   `json:"left_out,omitempty"`
}

func (b *benchmark) show(c *cli.Context) *display {
	s := &display{w: b.e.Out, json: c.Bool("json"), server: b.target != nil, micro: "us"}
	if term.UTF8() {
		s.micro = "µs"
	}
	s.report = report{URL: b.r.String(), Rows: []reportRow{}}
	return s
}

// head prints the lines above the table.
func (s *display) head(h header) {
	s.report.Greeting, s.report.Protection, s.report.Mode = h.greeting, h.protection, h.mode
	if s.json {
		return
	}
	s.print(fmt.Sprintf("%s   %s   %s, %s", ftp.Printable(h.url), h.greeting, h.protection, h.mode))
	s.print(s.line("", "rate", "p50", "p99", "server CPU", "own CPU"))
}

// line returns a line of the table, at most 80 columns wide.
func (s *display) line(name, rate, p50, p99, server, own string) string {
	line := fmt.Sprintf("%-10s", name) + term.PadLeft(rate, 19) + term.PadLeft(p50, 11) + term.PadLeft(p99, 11)
	if s.server {
		line += term.PadLeft(server, 14)
	}
	return line + term.PadLeft(own, 10)
}

func (s *display) print(line string) {
	if _, err := fmt.Fprintln(s.w, strings.TrimRight(line, " ")); err != nil && s.err == nil {
		s.err = err
	}
}

// row prints the results of a row, or keeps them for the JSON.
func (s *display) row(f *figures) {
	if s.json {
		s.report.Rows = append(s.report.Rows, f.json())
		return
	}
	switch {
	case f.leftOut != "":
		s.print(fmt.Sprintf("%-10s  left out: %s", f.row.name, ftp.Printable(f.leftOut)))
		return
	case f.n == 0:
		s.print(fmt.Sprintf("%-10s  failed", f.row.name))
		return
	}
	server := ""
	if t := f.serverEach(); t > 0 {
		server = s.time(t) + " each"
	} else if t := f.serverPerGiB(); t > 0 {
		server = term.ThreeDigits(t) + " s/GiB"
	}
	p50, p99 := "", ""
	if f.times.n > 0 && f.row.name != "pipeline" {
		p50, p99 = s.time(f.times.at(0.5)), s.time(f.times.at(0.99))
	}
	s.print(s.line(f.row.name, term.Thousands(f.rate())+" "+f.row.unit, p50, p99, server, term.ThreeDigits(f.own.Seconds())+" s"))
	if more := s.aside(f); len(more) > 0 {
		for _, line := range term.Wrap(strings.Join(more, "; "), flags.HelpWidth-12) {
			s.print(strings.Repeat(" ", 12) + line)
		}
	}
}

// aside returns results for which the table has no column.
func (s *display) aside(f *figures) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch f.row.name {
	case "list", "mlsd":
		add("%d entries, %s listings/s, first byte %s", f.entries, term.ThreeDigits(float64(f.n)/f.took.Seconds()), s.time(f.firsts.at(0.5)))
	case "many":
		add("%d downloads at once; p50 and p99 are the times until the 150, the longest was %s", f.atOnce, s.time(f.times.most))
		add("time until complete: p50 %s, p99 %s", s.time(f.wholes.at(0.5)), s.time(f.wholes.at(0.99)))
	case "idle":
		add("%d sessions, opened in %s", f.n, s.time(f.took))
		if f.pssEach != nil {
			add("%s KiB (PSS) each", term.ThreeDigits(*f.pssEach))
		}
	}
	if f.failures > 0 {
		add("%d failed", f.failures)
	}
	return all
}

func (f *figures) json() reportRow {
	j := reportRow{
		Name: f.row.name, N: f.n, Bytes: f.bytes, Entries: f.entries,
		Failures: f.failures, Error: f.problem, LeftOut: f.leftOut,
		PSS: f.memory.pss, RSS: f.memory.rss, PSSEach: f.pssEach,
	}
	if f.n == 0 {
		return j
	}
	j.Seconds, j.Rate, j.Unit, j.OwnCPU = f.took.Seconds(), f.rate(), f.row.unit, f.own.Seconds()
	if f.row.name != "pipeline" {
		j.P50, j.P99, j.Max = micros(f.times.at(0.5)), micros(f.times.at(0.99)), micros(f.times.most)
	}
	switch f.row.name {
	case "list", "mlsd":
		j.First = micros(f.firsts.at(0.5))
	case "many":
		j.FinishP50, j.FinishP99 = micros(f.wholes.at(0.5)), micros(f.wholes.at(0.99))
	}
	if f.server != nil {
		used := f.server.Seconds()
		j.ServerCPU, j.ServerEach, j.ServerPerGiB = &used, micros(f.serverEach()), f.serverPerGiB()
	}
	return j
}

// end prints the JSON. It returns the first error of writing the output.
func (s *display) end() error {
	if s.json {
		return verb.PrintJSON(s.w, s.report)
	}
	return s.err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// time returns a duration with three digits.
func (s *display) time(d time.Duration) string {
	switch ns := float64(d.Nanoseconds()); {
	case ns < 1e6:
		return term.ThreeDigits(ns/1e3) + " " + s.micro
	case ns < 1e9:
		return term.ThreeDigits(ns/1e6) + " ms"
	}
	return term.ThreeDigits(d.Seconds()) + " s"
}

// status is the line on a terminal that says what bench is doing.
type status struct {
	w     io.Writer // nil if no line is to be drawn
	drawn bool
}

func newStatus(e *verb.Env, c *cli.Context) *status {
	s := new(status)
	if term.IsTerminal(e.Err) && !c.Bool("quiet") && !c.Bool("no-progress") && os.Getenv("TERM") != "dumb" {
		s.w = e.Err
	}
	return s
}

func (s *status) say(format string, args ...any) {
	if s.w != nil {
		fmt.Fprintf(s.w, "\r\x1b[K"+format, args...)
		s.drawn = true
	}
}

// clear erases the line, before another line is printed.
func (s *status) clear() {
	if s.drawn {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.drawn = false
	}
}
