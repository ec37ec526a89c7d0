package doctor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

const (
	pageWidth = 80
	gridAt    = 23 // the column at which the cells begin
	gridStep  = 8  // the width of a cell
)

// sheet builds the text of a report.
type sheet struct {
	strings.Builder
	dot string // separates facts on a line
}

// print writes the report for people. It is 80 columns wide, whether or not out is a terminal.
func (s *report) print(out io.Writer) error {
	p := &sheet{dot: " · "}
	if !term.UTF8() {
		p.dot = ", "
	}
	s.head(p)
	s.grid(p)
	s.summary(p)
	for _, f := range s.findings {
		p.wrapped(fmt.Sprintf("%-3d", f.n), f.what+" "+f.do)
	}
	if s.command != "" {
		p.line("Use:  " + s.command)
	} else if s.x.checks.readRefused != nil && !s.x.triedByWriting() {
		p.line("No transfer could be tried.")
	} else {
		p.line("No transfer works.")
	}
	text := p.String()
	if !term.UTF8() {
		text = term.ASCII(text)
	}
	_, err := io.WriteString(out, text)
	return err
}

func (p *sheet) line(s string) { p.WriteString(strings.TrimRight(s, " ") + "\n") }

// wrapped writes text after a mark, and indents its further lines by the width of the mark.
func (p *sheet) wrapped(mark, text string) {
	for _, line := range term.Wrap(text, pageWidth-term.Cells(mark)) {
		p.line(mark + line)
		mark = strings.Repeat(" ", term.Cells(mark))
	}
}

// facts writes facts separated by dots. A fact is split between lines only if it does not fit on one.
func (p *sheet) facts(all []string) {
	line := ""
	for _, f := range all {
		switch {
		case f == "":
		case line == "":
			line = f
		case term.Cells(line)+term.Cells(p.dot)+term.Cells(f) <= pageWidth-2:
			line += p.dot + f
		default:
			p.wrapped("  ", line)
			line = f
		}
	}
	if line != "" {
		p.wrapped("  ", line)
	}
}

func (s *report) head(p *sheet) {
	x := s.x
	total := time.Duration(0)
	for _, t := range x.steps {
		if t.name == "connect" || t.name == "greeting" {
			total += t.took
		}
	}
	head := term.Pad(net.JoinHostPort(x.host, x.port), gridAt-1) + " " + x.greetingText()
	if len(x.steps) > 0 {
		right := millis(total)
		room := pageWidth - term.Cells(right) - 2
		head = term.Pad(term.Fit(head, room), room) + "  " + right
	}
	p.line(head)
	if x.greeting.Code == 0 {
		return
	}
	facts := []string{}
	if x.system != "" {
		facts = append(facts, term.Fit(ftp.Printable(x.system), 40))
	}
	switch missing := x.missing(); {
	case !x.asked:
		facts = append(facts, "FEAT "+notAsked)
	case errors.Is(x.featErr, client.ErrTimeout):
		facts = append(facts, "FEAT not answered in time")
	case x.featErr != nil:
		facts = append(facts, "FEAT not answered")
	case !x.hasFEAT:
		facts = append(facts, "no FEAT")
	case len(missing) > 0:
		facts = append(facts, "FEAT lacks "+strings.Join(missing, ", "))
	default:
		facts = append(facts, "FEAT lacks nothing")
	}
	p.facts(facts)
	facts = nil
	for _, t := range x.steps {
		facts = append(facts, t.name+" "+millis(t.took))
	}
	p.facts(facts)
}

func millis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// mark returns the text of a cell: ok, -, or the number of the finding about it.
func (s *report) mark(c *gridCell) string {
	for _, f := range s.findings {
		if f.level != note && c.state != absent && slices.Contains(f.cells, c) {
			return fmt.Sprintf("fix %d", f.n)
		}
	}
	if c.state == works {
		return "ok"
	}
	return "-"
}

// rowName returns the text of the first two columns.
func rowName(r *gridRow) string { return fmt.Sprintf("%-8s%s", r.protection(), r.family) }

func (s *report) grid(p *sheet) {
	head := strings.Repeat(" ", gridAt)
	for _, way := range ways {
		head += term.Pad(way, gridStep)
	}
	p.line(head)
	for _, r := range s.x.rows {
		line := term.Pad("  "+rowName(r), gridAt)
		for way := range r.cells {
			line += term.Pad(s.mark(&r.cells[way]), gridStep)
		}
		p.line(line + s.aside(r))
	}
}

// aside returns the text after the cells: why a row was not tried, or that its certificate is bad.
func (s *report) aside(r *gridRow) string {
	if r.err != nil {
		return r.aside(s.x)
	}
	for _, f := range s.findings {
		if slices.Contains(f.rows, r) {
			return fmt.Sprintf("certificate: fix %d", f.n)
		}
	}
	return ""
}

// words returns the facts below the grid, each a name and a value.
func (x *exam) words() [][2]string {
	k := &x.checks
	var all [][2]string
	add := func(name, value string) {
		if value != "" {
			all = append(all, [2]string{name, value})
		}
	}
	file := string(notTried)
	if k.noFile != "" {
		file += " (" + k.noFile + ")"
	}
	if used, _ := x.bestWay(); used != nil {
		if k.noFile != "" {
			add("restart", file)
			add("sizes", file)
		} else {
			add("restart", string(k.restart))
			add("sizes", x.sizeWord())
		}
	}
	switch {
	case k.mlsdRefused:
		add("MLSD", "refused")
	case x.greeting.Code != 0 && (!x.asked || x.featErr != nil):
		add("MLSD", notAsked)
	case x.greeting.Code != 0:
		add("MLSD", yesNo(x.hasMLSD()))
	}
	if off, ok := k.zone(); ok && off == 0 {
		add("LIST times", "UTC")
	} else if ok {
		add("LIST times", "another zone")
	}
	add("TLS session reuse", x.tlsWords())
	if x.triedByWriting() {
		add("transfers", "tried by uploads, because the account may not read")
	}
	if k.write != nil {
		add("upload", k.write.String())
	}
	return all
}

// notAsked replaces the value of a fact that is unknown, because there was no login or no reply to FEAT.
const notAsked = "not asked"

func (x *exam) sizeWord() string {
	if len(x.checks.sizes) == 0 {
		return "not reported"
	}
	if len(seeSize(x)) > 0 {
		return "wrong"
	}
	return string(honest)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (s *report) summary(p *sheet) {
	var facts []string
	for _, w := range s.x.words() {
		facts = append(facts, w[0]+" "+w[1])
	}
	p.facts(facts)
}
