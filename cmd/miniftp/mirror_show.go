package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// mirrorShow says what a mirror does: bars, the plan of a dry run, JSON.
type mirrorShow struct {
	e        *env
	src, dst *mirrorSide
	copying  string // the word for it
	dry      bool
	json     bool
	list     *jsonList
	meter    *meter

	mu    sync.Mutex
	bars  map[string]*transfer
	draws map[string]func(done, total int64)
	first error
}

func (e *env) newMirrorShow(c *cli.Context, src, dst *mirrorSide) *mirrorShow {
	s := &mirrorShow{
		e: e, src: src, dst: dst, copying: "copy", dry: c.Bool("dry-run"), json: c.Bool("json"),
		meter: e.newMeter(c), bars: map[string]*transfer{}, draws: map[string]func(done, total int64){},
	}
	switch {
	case src.r != nil && dst.r == nil:
		s.copying = "get"
	case dst.r != nil && src.r == nil:
		s.copying = "put"
	}
	if s.json {
		s.list = &jsonList{w: e.out, indent: "  "}
		if !s.dry {
			s.list.head, s.list.indent = "{\n  \"done\": ", "    "
		}
	}
	s.meter.summary = false // the names of all files would scroll by
	if s.dry {
		e.resume = ""
		s.meter.hide()
	}
	s.meter.total()
	return s
}

// observe is client.MirrorOptions.Observe.
func (s *mirrorShow) observe(a client.Action) {
	switch {
	case a.Stage == client.ActionPlanned:
		s.meter.expect(a.Size)
	case a.Stage == client.ActionBegun:
		t := s.meter.file(a.Path)
		s.mu.Lock()
		s.bars[a.Path], s.draws[a.Path] = t, t.progress()
		s.mu.Unlock()
	default:
		s.mu.Lock()
		t := s.bars[a.Path]
		delete(s.bars, a.Path)
		delete(s.draws, a.Path)
		s.mu.Unlock()
		if t != nil {
			t.done(a.Result, a.Err)
		}
		s.done(a)
	}
}

func (s *mirrorShow) progress(path string, done, total int64) {
	s.mu.Lock()
	draw := s.draws[path]
	s.mu.Unlock()
	if draw != nil {
		draw(done, total)
	}
}

// done tells of one Action: an error, a line of the plan, or JSON.
func (s *mirrorShow) done(a client.Action) {
	err := s.explain(a.Err)
	if err != nil {
		s.e.sayError(err)
		if s.first == nil {
			s.first = err
		}
	}
	switch {
	case s.json:
		s.list.add(s.row(a, err))
	case err != nil:
	case a.Kind == client.LeaveOut:
		s.e.note("%s: left out: %s", s.src.name(a.Path), a.Why)
	case s.dry:
		fmt.Fprintln(s.e.out, s.planLine(a))
	}
}

// word is the name of what is done.
func (s *mirrorShow) word(a client.Action) string {
	if a.Kind == client.CopyFile {
		return s.copying
	}
	return a.Kind.String()
}

func (s *mirrorShow) planLine(a client.Action) string {
	name := ftp.Printable(a.Path)
	if a.Dir || a.Kind == client.MakeDir {
		name += "/"
	}
	if a.Path == "" {
		name = "./"
	}
	line := fmt.Sprintf("%-7s %s", s.word(a), name)
	switch a.Kind {
	case client.CopyFile:
		line += fmt.Sprintf("   %s   %s", size(a.Size), a.Why)
	case client.MakeLink:
		line += " -> " + ftp.Printable(a.Target)
	}
	return line
}

// explain puts the name before an error that it is about: the local file or the URL.
func (s *mirrorShow) explain(err error) error {
	var m *client.MirrorError
	if !errors.As(err, &m) {
		return err
	}
	side := s.src
	var local *client.LocalError
	switch isLocal := errors.As(m.Err, &local); {
	case m.Kind == client.Remove, m.Kind == client.MakeDir, m.Kind == client.SetMode, m.Kind == client.SetTime, m.Kind == client.MakeLink:
		side = s.dst
	case isLocal != (s.src.r == nil):
		side = s.dst
	case s.dst.r != nil && s.src.r == nil:
		side = s.dst
	}
	if isReplyOf(m.Err, "STOR", "RNFR", "RNTO") && s.dst.r != nil {
		side = s.dst
	}
	if errors.As(m.Err, &local) {
		return localProblem(side.name(m.Path), m.Err)
	}
	inner := m.Err
	if side.k != nil {
		inner = tlsHint(loginHint(inner, side.k.opts), side.k.opts)
	}
	return at(side.name(m.Path), inner)
}

func isReplyOf(err error, verbs ...string) bool {
	var no *ftp.Error
	if !errors.As(err, &no) {
		return false
	}
	for _, v := range verbs {
		if no.Verb == v {
			return true
		}
	}
	return false
}

// told says that something is tried again.
func (s *mirrorShow) told(err error, wait time.Duration) {
	s.e.note("%v; trying again in %v", s.explain(err), wait)
}

// end closes the bars and the JSON, and sums up.
func (s *mirrorShow) end(res client.MirrorResult, err error) error {
	s.meter.wait()
	var failed error
	if err != nil {
		failed = s.explain(err)
		if s.first != nil && !interrupted(s.e.ctx) {
			failed = reported{s.first}
			if exitCode(err) == exitLocal { // a full disk explains more than what failed before
				failed = reported{err}
			}
		}
	}
	if s.json {
		s.list.end()
		if !s.dry {
			fmt.Fprintf(s.e.out, ",\n  \"summary\": %s\n}\n", s.summaryJSON(res, failed))
		} else {
			fmt.Fprintln(s.e.out)
		}
	} else if !s.e.quiet && !interrupted(s.e.ctx) {
		s.e.say(s.summary(res))
	}
	return failed
}

// summary is the line at the end.
func (s *mirrorShow) summary(r client.MirrorResult) string {
	copied, deleted, made := "copied", "deleted", "made"
	if s.dry {
		copied, deleted, made = "to copy", "to delete", "to make"
	}
	count := func(n int64, what string) string { return humanize.Comma(n) + " " + what }
	var parts []string
	if r.Files > 0 {
		head := fileCount(r.Files) + " " + copied + ", " + size(r.Bytes)
		if !s.dry {
			head += fmt.Sprintf(" in %s (%s)", took(r.Took), rate(r.Bytes, r.Took))
		}
		parts = append(parts, head)
	} else {
		parts = append(parts, "nothing "+copied)
	}
	for _, p := range []struct {
		n    int64
		what string
	}{
		{r.Dirs, plural(r.Dirs, "directory", "directories") + " " + made},
		{r.Links, plural(r.Links, "link", "links") + " " + made},
		{r.Changed, plural(r.Changed, "time or mode", "times or modes") + " set"},
		{r.Deleted, deleted},
		{r.Unchanged, plural(r.Unchanged, "file is", "files are") + " the same"},
		{r.Skipped, "left out"},
		{r.Failed, "failed"},
	} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.what))
		}
	}
	return strings.Join(parts, "; ")
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func fileCount(n int64) string { return humanize.Comma(n) + " " + plural(n, "file", "files") }

func took(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return clock(int64(d.Seconds()+0.5)) + " min"
}

// mirrorRow is one Action in JSON.
type mirrorRow struct {
	Action  string  `json:"action"`
	Path    string  `json:"path"`
	Size    *int64  `json:"size,omitempty"`
	Why     string  `json:"why,omitempty"`
	Target  string  `json:"target,omitempty"`
	Bytes   *int64  `json:"bytes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Error   string  `json:"error,omitempty"`
	Exit    int     `json:"exit,omitempty"`
}

func (s *mirrorShow) row(a client.Action, err error) mirrorRow {
	row := mirrorRow{Action: s.word(a), Path: a.Path, Why: a.Why, Target: a.Target, Seconds: a.Result.Took.Seconds()}
	if row.Path == "" {
		row.Path = "."
	}
	if a.Kind == client.CopyFile && a.Size >= 0 {
		row.Size = &a.Size
		if !s.dry {
			row.Bytes = &a.Result.Bytes
		}
	}
	if err != nil {
		row.Error, row.Exit = err.Error(), exitCode(err)
	}
	return row
}

func (s *mirrorShow) summaryJSON(r client.MirrorResult, err error) string {
	var b bytes.Buffer
	_ = printJSON(&b, struct { // a buffer takes all
		Files     int64   `json:"files"`
		Bytes     int64   `json:"bytes"`
		Unchanged int64   `json:"unchanged"`
		Dirs      int64   `json:"directories"`
		Links     int64   `json:"links"`
		Changed   int64   `json:"changed"`
		Deleted   int64   `json:"deleted"`
		Skipped   int64   `json:"left_out"`
		Failed    int64   `json:"failed"`
		Seconds   float64 `json:"seconds"`
		Exit      int     `json:"exit"`
	}{r.Files, r.Bytes, r.Unchanged, r.Dirs, r.Links, r.Changed, r.Deleted, r.Skipped, r.Failed, r.Took.Seconds(), exitCode(err)})
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", "\n  ")
}

// jsonList writes an array element by element: there may be very many.
type jsonList struct {
	w            io.Writer
	head, indent string
	begun        bool
}

func (l *jsonList) add(row mirrorRow) {
	open := ","
	if !l.begun {
		open = l.head + "["
	}
	l.begun = true
	var b bytes.Buffer
	_ = printJSON(&b, row) // a buffer takes all
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	fmt.Fprintf(l.w, "%s\n%s{%s}", open, l.indent, strings.Join(lines[1:len(lines)-1], " "))
}

func (l *jsonList) end() {
	if !l.begun {
		fmt.Fprint(l.w, l.head+"[]")
		return
	}
	fmt.Fprintf(l.w, "\n%s]", strings.TrimSuffix(l.indent, "  "))
}
