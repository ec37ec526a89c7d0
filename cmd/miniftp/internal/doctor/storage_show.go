package doctor

import (
	"fmt"
	"io"
	"math"
	"strings"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot/fstest"
)

const (
	markWidth = 7  // of a mark in the table: yes, no, fix 12
	nameWidth = 31 // of the name after it
)

// print writes the report for people: a table with as many columns as the terminal has room for, and what it means.
func (s *storageReport) print(out io.Writer) error {
	width := max(term.Width(out), pageWidth)
	p := &sheet{dot: " · "}
	if !term.UTF8() {
		p.dot = ", "
	}
	took := term.Span(s.took)
	p.line(term.Pad(term.Fit(s.spec, pageWidth-term.Cells(took)-2), pageWidth-term.Cells(took)) + took)
	s.table(p, width)
	for i, f := range s.findings {
		p.wrapped(fmt.Sprintf("%-3d", i+1), s.text(f))
	}
	switch {
	case s.err != nil:
		p.line("No server should use it.")
	case s.refuses || s.onlyRead:
		p.wrapped("", s.readingOnly())
		p.line("Use:  " + s.command())
	default:
		p.line("A server can use it.")
		p.line("Use:  " + s.command())
	}
	text := p.String()
	if !term.UTF8() {
		text = term.ASCII(text)
	}
	_, err := io.WriteString(out, text)
	return err
}

// readingOnly returns what a report about reading only says at its end.
func (s *storageReport) readingOnly() string {
	unread := false
	for _, r := range s.results {
		unread = unread || r.Name == "read a file" && r.Verdict == fstest.Skipped
	}
	text := "A server can use it for downloads."
	if unread {
		text = "A server can list it. Downloads were not tried: there is no file that is not empty."
	}
	if s.onlyRead {
		text += " Writing was not tried (--read-only)."
	}
	return text
}

func (s *storageReport) command() string { return "miniftp serve " + verb.ShellWord(s.spec) }

// table writes the results in columns, from the top to the bottom.
func (s *storageReport) table(p *sheet, width int) {
	var cells []string
	for _, r := range s.shown(s.results) {
		if mark := s.mark(r); mark != "" {
			cells = append(cells, term.Pad(term.Pad(mark, markWidth)+s.shortName(r), markWidth+nameWidth))
		}
	}
	columns := max(1, (width-2)/(markWidth+nameWidth))
	rows := (len(cells) + columns - 1) / columns
	for row := range rows {
		line := "  "
		for at := row; at < len(cells); at += rows {
			line += cells[at]
		}
		p.line(line)
	}
}

// mark returns the word before a name: yes, no, or the number of what is to be fixed; "" for what was not examined
// because the storage is not written to.
func (s *storageReport) mark(r fstest.Result) string {
	switch r.Verdict {
	case fstest.Yes:
		return "yes"
	case fstest.Skipped:
		if s.refuses {
			return ""
		}
		return "-"
	}
	for i, f := range s.findings {
		for _, of := range f.results {
			if of.Name == r.Name && (r.Verdict == fstest.Wrong || !r.OK()) {
				return fmt.Sprintf("fix %d", i+1)
			} else if of.Name == r.Name {
				return fmt.Sprintf("no %d", i+1)
			}
		}
	}
	return "no"
}

// shown returns the results that have a name of their own in the report.
func (s *storageReport) shown(results []fstest.Result) (all []fstest.Result) {
	for _, r := range results {
		if s.fewer && isUpload(r.Name) && len(all) > 0 && isUpload(all[len(all)-1].Name) {
			continue
		}
		all = append(all, r)
	}
	return all
}

// shortName returns the name of a check without the method of package server.
func (s *storageReport) shortName(r fstest.Result) string {
	if s.fewer && isUpload(r.Name) {
		return "uploads of its own"
	}
	name, _, _ := strings.Cut(r.Name, " (")
	return name
}

// text returns a finding: the abilities, what they mean, and what was measured if that says more.
func (s *storageReport) text(f *storageIssue) string {
	var names []string
	for _, r := range s.shown(f.results) {
		names = append(names, s.shortName(r))
	}
	r := f.results[0]
	text := strings.Join(names, ", ") + ": " + f.means
	if r.Verdict == fstest.Wrong || !r.OK() {
		return strings.ToUpper(r.Verdict.String()) + ": " + text + " Measured: " + sentence(r.Err.Error())
	}
	return text
}

// jsonStorage is the output of doctor --json for a storage.
type jsonStorage struct {
	Storage   string        `json:"storage"`
	Works     bool          `json:"works"`
	ReadOnly  bool          `json:"read_only"` // it can't be written to, or that was not tried
	Wrote     bool          `json:"wrote"`     // doctor wrote to it
	Use       string        `json:"use,omitempty"`
	Exit      int           `json:"exit"`
	Error     string        `json:"error,omitempty"`
	MS        float64       `json:"ms"`
	Abilities []jsonAbility `json:"abilities"`
}

type jsonAbility struct {
	Name    string `json:"name"`
	Need    string `json:"need"`    // required, optional, minor
	Verdict string `json:"verdict"` // yes, no, wrong, skipped
	Error   string `json:"error,omitempty"`
	Means   string `json:"means,omitempty"` // for FTP clients
}

func (s *storageReport) json() jsonStorage {
	j := jsonStorage{
		Storage: s.spec, Works: s.err == nil, ReadOnly: s.refuses || s.onlyRead, Wrote: !s.refuses && !s.onlyRead,
		Exit: verb.ExitCode(s.err), MS: math.Round(float64(s.took)/1e4) / 100, Abilities: []jsonAbility{},
	}
	if s.err != nil {
		j.Error = s.err.Error()
	} else {
		j.Use = s.command()
	}
	means := map[string]string{}
	for _, f := range s.findings {
		for _, r := range f.results {
			means[r.Name] = f.means
		}
	}
	for _, r := range s.results {
		a := jsonAbility{Name: r.Name, Need: r.Need.String(), Verdict: r.Verdict.String(), Means: means[r.Name]}
		if r.Err != nil {
			a.Error = r.Err.Error()
		}
		j.Abilities = append(j.Abilities, a)
	}
	return j
}
