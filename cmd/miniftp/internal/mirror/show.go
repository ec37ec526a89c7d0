package mirror

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/mirror"
)

// display shows the progress of a mirror: bars, the plan of a dry run, or JSON.
type display struct {
	e        *verb.Env
	src, dst *side
	copying  string // "get", "put" or "copy"
	dry      bool
	lines    *verb.JSONLines
	left     *verb.Omissions
	meter    *meter.Meter

	mu    sync.Mutex
	bars  map[string]*meter.Transfer
	draws map[string]func(done, total int64)
	first error
}

func newDisplay(e *verb.Env, c *cli.Context, lines *verb.JSONLines, src, dst *side) *display {
	s := &display{
		e: e, src: src, dst: dst, copying: "copy", dry: c.Bool("dry-run"), lines: lines,
		meter: meter.New(e, c), left: e.NewOmissions(c), bars: map[string]*meter.Transfer{}, draws: map[string]func(done, total int64){},
	}
	switch {
	case src.r != nil && dst.r == nil:
		s.copying = "get"
	case dst.r != nil && src.r == nil:
		s.copying = "put"
	}
	s.meter.Summary = false // no line for each file
	if s.dry {
		e.Resume = ""
		s.meter.Hide()
	}
	s.meter.Total(true)
	return s
}

// observe implements mirror.Plan.Observe.
func (s *display) observe(a mirror.Action) {
	switch {
	case a.Stage == mirror.Planned:
		s.meter.Expect(a.Size)
	case a.Stage == mirror.Begun:
		t := s.meter.File(a.Path)
		s.mu.Lock()
		s.bars[a.Path], s.draws[a.Path] = t, t.Progress()
		s.mu.Unlock()
	default:
		s.mu.Lock()
		t := s.bars[a.Path]
		delete(s.bars, a.Path)
		delete(s.draws, a.Path)
		s.mu.Unlock()
		if t != nil {
			t.Done(a.Result, a.Err)
		}
		s.done(a)
	}
}

func (s *display) progress(path string, done, total int64) {
	s.mu.Lock()
	draw := s.draws[path]
	s.mu.Unlock()
	if draw != nil {
		draw(done, total)
	}
}

// done reports one Action: an error, a line of the plan, or a line of JSON.
func (s *display) done(a mirror.Action) {
	err := s.located(a.Err)
	switch {
	case err != nil:
		err = s.lines.FailedRow(s.row(a, err), err)
		s.e.SayError(err)
		s.first = verb.FirstError(s.first, err)
	case s.lines.On:
		s.lines.Result(s.row(a, nil))
	case s.dry && a.Kind != mirror.LeaveOut:
		fmt.Fprintln(s.e.Out, s.planLine(a))
	}
	if err == nil && a.Kind == mirror.LeaveOut {
		s.left.Add(s.src.name(a.Path), a.Why)
	}
}

// word returns the name of an action.
func (s *display) word(a mirror.Action) string {
	if a.Kind == mirror.CopyFile {
		return s.copying
	}
	return a.Kind.String()
}

func (s *display) planLine(a mirror.Action) string {
	name := ftp.Printable(a.Path)
	if a.Dir || a.Kind == mirror.MakeDir {
		name += "/"
	}
	if a.Path == "" {
		name = "./"
	}
	line := fmt.Sprintf("%-7s %s", s.word(a), name)
	switch a.Kind {
	case mirror.CopyFile:
		line += fmt.Sprintf("   %s   %s", term.Size(a.Size), a.Why)
	case mirror.MakeLink:
		line += " -> " + ftp.Printable(a.Target)
	}
	return line
}

// located prefixes an error with what it is about: the local file or the URL.
func (s *display) located(err error) error {
	var m *mirror.Error
	if !errors.As(err, &m) {
		return err
	}
	side := s.src
	if m.Dst {
		side = s.dst
	}
	if errors.As(m.Err, new(*client.LocalError)) {
		return verb.LocalProblem(side.name(m.Path), m.Err)
	}
	inner := m.Err
	if side.k != nil {
		inner = connect.TLSHint(connect.LoginHint(inner, side.k.Opts), side.k.Opts)
	}
	return verb.At(side.name(m.Path), inner)
}

// retrying implements Retry.Notify of package client: it reports that a transfer will be retried.
func (s *display) retrying(err error, wait time.Duration) {
	s.e.Note("%v; trying again in %v", s.located(err), wait)
}

// end closes the bars and the JSON, and prints the summary.
func (s *display) end(res mirror.Result, err error) error {
	s.meter.Wait()
	var failed error
	if err != nil {
		failed = s.located(err)
		if s.first != nil && s.e.Ctx.Err() == nil {
			failed = verb.Reported{Err: s.first}
			if verb.ExitCode(err) == verb.ExitLocal { // a full disk explains more than an earlier failure
				failed = verb.Reported{Err: err}
			}
		}
	}
	failed = verb.FirstError(failed, s.left.Tell())
	if s.lines.On {
		return s.lines.EndWith(failed, func(sum verb.Summary) any { return summary(sum, res) })
	}
	if !s.e.Quiet && s.e.Ctx.Err() == nil {
		s.e.Say(s.summary(res))
	}
	return failed
}

// summary returns the line at the end.
func (s *display) summary(r mirror.Result) string {
	copied, deleted, made := "copied", "deleted", "made"
	if s.dry {
		copied, deleted, made = "to copy", "to delete", "to make"
	}
	count := func(n int64, what string) string { return humanize.Comma(n) + " " + what }
	var parts []string
	if r.Files > 0 {
		head := term.FileCount(r.Files) + " " + copied + ", " + term.Size(r.Bytes)
		if !s.dry {
			head += fmt.Sprintf(" in %s (%s)", term.Seconds(r.Took), term.Rate(r.Bytes, r.Took))
		}
		parts = append(parts, head)
	} else {
		parts = append(parts, "nothing "+copied)
	}
	for _, p := range []struct {
		n    int64
		what string
	}{
		{r.Dirs, term.Plural(r.Dirs, "directory", "directories") + " " + made},
		{r.Links, term.Plural(r.Links, "link", "links") + " " + made},
		{r.Changed, term.Plural(r.Changed, "time or mode", "times or modes") + " set"},
		{r.Deleted, deleted},
		{r.Unchanged, term.Plural(r.Unchanged, "file", "files") + " unchanged"},
		{r.Skipped, "left out"},
		{r.Failed, "failed"},
	} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.what))
		}
	}
	return strings.Join(parts, "; ")
}

// resultRow is one line of --json for an Action.
type resultRow struct {
	Action  string  `json:"action"`
	Path    string  `json:"path"`
	Raw     []byte  `json:"raw,omitempty"` // Path in base64, if it is not UTF-8
	Size    *int64  `json:"size,omitempty"`
	Why     string  `json:"why,omitempty"`
	Target  string  `json:"target,omitempty"`
	Bytes   *int64  `json:"bytes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	meter.Trouble
	Exit int `json:"exit,omitempty"`
}

func (s *display) row(a mirror.Action, err error) resultRow {
	row := resultRow{Action: s.word(a), Path: path.Join(a.Path, "."), Why: a.Why, Target: a.Target, Seconds: a.Result.Took.Seconds()}
	if !utf8.ValidString(a.Path) {
		row.Raw = []byte(a.Path)
	}
	if a.Kind == mirror.CopyFile && a.Size >= 0 {
		row.Size = &a.Size
		if !s.dry {
			row.Bytes = &a.Result.Bytes
		}
	}
	row.Trouble, row.Exit = meter.TroubleOf("mirror", err)
	return row
}

// summary returns the last line of --json. Its field failed is at least the number that ftp/mirror reports.
func summary(s verb.Summary, r mirror.Result) any {
	return struct {
		Verb      string  `json:"verb"`
		Files     int64   `json:"files"`
		Bytes     int64   `json:"bytes"`
		Unchanged int64   `json:"unchanged"`
		Dirs      int64   `json:"directories"`
		Links     int64   `json:"links"`
		Changed   int64   `json:"changed"`
		Deleted   int64   `json:"deleted"`
		Skipped   int64   `json:"left_out"`
		Done      int     `json:"done"`
		Failed    int     `json:"failed"`
		Seconds   float64 `json:"seconds"`
		Exit      int     `json:"exit"`
	}{
		s.Verb, r.Files, r.Bytes, r.Unchanged, r.Dirs, r.Links, r.Changed, r.Deleted, r.Skipped, s.Done,
		max(s.Failed, int(r.Failed)), r.Took.Seconds(), s.Exit,
	}
}
