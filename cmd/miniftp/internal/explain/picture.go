package explain

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Picture draws a ladder as an SVG image, or as an HTML page with such an image. A nil *Picture ignores rungs.
// A Picture that belongs to a Ladder is guarded by its lock.
type Picture struct {
	name  string // of the file
	title string // the command that was run
	us    ftp.Side
	pen   Pen
	rungs []rung // a rung with only a label is a heading
	more  int    // number of rungs that were dropped
	tag   string // label of the session of the last rung
	many  bool   // there are several sessions
}

// pictureColumns is a width at which no text of a rung is shortened.
const pictureColumns = 120

// mostRungs is the maximum number of rungs in a picture.
const mostRungs = 2000

// NewPicture returns a Picture that Save writes to the file name.
func NewPicture(name, title string) *Picture {
	return &Picture{name: name, title: title, pen: NewPen(pictureColumns, false, false)}
}

// Ladder returns a Ladder that draws only in p.
func (p *Picture) Ladder() *Ladder {
	l := NewLadder(io.Discard, pictureColumns)
	l.Page = p
	return l
}

func (p *Picture) header(us ftp.Side) {
	if p != nil {
		p.us = us
	}
}

func (p *Picture) add(r rung) {
	switch {
	case p == nil:
	case len(p.rungs) < mostRungs:
		p.many = p.many || p.tag != "" && p.tag != r.tag
		p.tag = r.tag
		p.rungs = append(p.rungs, r)
	default:
		p.more++
	}
}

// Heading begins another part of the picture, with other sessions than the part before.
func (p *Picture) Heading(text string) {
	p.rungs = append(p.rungs, rung{label: text})
	p.tag = ""
}

// Save writes the file.
func (p *Picture) Save() error {
	if p == nil {
		return nil
	}
	text := p.svg()
	if strings.EqualFold(filepath.Ext(p.name), ".html") {
		text = p.html(text)
	}
	if err := os.WriteFile(p.name, []byte(text), 0o644); err != nil {
		return verb.LocalProblem(p.name, err)
	}
	return nil
}

// The dimensions of a picture, in its own units. Text is monospaced with 8.4 units per column.
const (
	pageWidth = 1000
	userAt    = 330 // x of the client's line
	serverAt  = 630 // x of the server's line
	stepTall  = 30
	lineTall  = 19
	headTall  = 96
	pageNotes = 40 // columns of text to the right of the server's line
)

// style has colours for light and dark screens.
const style = `
svg { background: #ffffff; color: #1f2328; font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
text { fill: currentColor; white-space: pre; }
.title { font-weight: bold; font-size: 15px; } .dim { opacity: .65; } .note { opacity: .75; font-style: italic; }
.label { font-weight: bold; } .life { stroke: #8c959f; stroke-dasharray: 2 5; }
.says { stroke: #0969da; stroke-width: 1.6; fill: none; } .says-head { fill: #0969da; }
.bytes { stroke: #1a7f37; stroke-width: 7; fill: none; } .bytes-head { fill: #1a7f37; }
.fails { stroke: #cf222e; stroke-width: 2.4; fill: none; } .bad { fill: #cf222e; }
.paper { fill: #ffffff; } .band { fill: #1a7f37; opacity: .09; } .role { fill: #8250df; font-weight: bold; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; color: #e6edf3; } .paper { fill: #0d1117; }
  .says { stroke: #58a6ff; } .says-head { fill: #58a6ff; } .bytes { stroke: #3fb950; } .bytes-head { fill: #3fb950; }
  .fails { stroke: #f85149; } .bad { fill: #f85149; } .role { fill: #bc8cff; } .band { fill: #3fb950; opacity: .13; }
}
`

func (p *Picture) svg() string {
	user, server := "you (client)", "server"
	if p.us == ftp.ServerPI {
		user, server = "client", "you (server)"
	}
	var b bytes.Buffer
	y := headTall
	for _, r := range p.rungs {
		y = p.step(&b, r, y)
	}
	if p.more > 0 {
		textAt(&b, userAt, y+lineTall, "dim", "start", fmt.Sprintf("and %d more steps", p.more))
		y += stepTall
	}
	tall := y + 24
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", pageWidth, tall, pageWidth, tall)
	fmt.Fprintf(&out, "<title>%s</title>\n<style>%s</style>\n", escaped(p.title), style)
	textAt(&out, 16, 30, "title", "start", fitted(p.title, 112))
	textAt(&out, 16, 52, "dim", "start", "who listens, who dials, how the address is announced, and in which direction the bytes go")
	textAt(&out, userAt, 82, "label", "middle", user)
	textAt(&out, serverAt, 82, "label", "middle", server)
	for _, x := range []int{userAt, serverAt} {
		fmt.Fprintf(&out, `<line class="life" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", x, headTall-6, x, tall-10)
	}
	out.Write(b.Bytes())
	out.WriteString("</svg>\n")
	return out.String()
}

func (p *Picture) html(svg string) string {
	return "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n" +
		"<title>" + escaped(p.title) + "</title>\n" +
		"<style>html { color-scheme: light dark; } body { margin: 1.5rem auto; max-width: 1000px; } svg { width: 100%; height: auto; }</style>\n" +
		svg + "</html>\n"
}

// step draws one rung at y, and returns the y of the next one.
func (p *Picture) step(b *bytes.Buffer, r rung, y int) int {
	notes := p.notes(r)
	next := y + max(stepTall, 11+lineTall*len(notes))
	if r.said != "" {
		next = max(next, y+11+2*lineTall)
		textAt(b, userAt-14, y+stepTall/2+5+lineTall, "note", "end", fitted(p.pen.Clean(r.said), 36))
	}
	at := y + stepTall/2
	if r.label == "data" || r.arrow.bytes {
		fmt.Fprintf(b, `<rect class="band" x="0" y="%d" width="%d" height="%d"/>`+"\n", y, pageWidth, next-y)
	}
	p.shaft(b, r.arrow, at)
	left, class := p.pen.Clean(r.left), "role"
	if r.command {
		left, class = fitted(left, 24), ""
	}
	textAt(b, userAt-14, at+5, class, "end", left)
	if p.many && r.tag != "" {
		textAt(b, 16, at+5, "dim", "start", r.tag)
		textAt(b, 56, at+5, "label", "start", r.label)
	} else {
		textAt(b, 16, at+5, "label", "start", r.label)
	}
	for i, n := range notes {
		class := "note"
		switch {
		case r.bad:
			class = "bad"
		case i == 0 && r.right != "":
			class = roleClass(r.right)
		}
		textAt(b, serverAt+14, at+5+i*lineTall, class, "start", n)
	}
	return next
}

// roleClass returns the class that highlights who listens and who dials, or "" for other text.
func roleClass(text string) string {
	if strings.Contains(text, "listens") || strings.Contains(text, "dials") {
		return "role"
	}
	return ""
}

// notes returns the lines of the server's column.
func (p *Picture) notes(r rung) (all []string) {
	for _, text := range append([]string{r.right}, r.notes...) {
		if text = p.pen.Clean(text); text != "" && text != r.arrow.why {
			all = append(all, term.Wrap(text, pageNotes)...)
		}
	}
	return all
}

func (p *Picture) shaft(b *bytes.Buffer, s shaft, y int) {
	if s.text == "" {
		return
	}
	from, to, dir := userAt, serverAt, 1
	if s.to == ftp.UserPI {
		from, to, dir = serverAt, userAt, -1
	}
	switch {
	case s.stub:
		p.stub(b, s, from, dir, y)
		return
	case s.cut:
		to -= 26 * dir
		cross(b, to+9*dir, y)
	default:
		class, size := "says-head", 5
		if s.bytes {
			class, size = "bytes-head", 9
		}
		fmt.Fprintf(b, `<path class="%s" d="M%d %d l%d %d v%d z"/>`+"\n", class, to-2*dir, y, -2*size*dir, -size, 2*size)
		to -= (2*size + 1) * dir
	}
	class := "says"
	if s.bytes {
		class = "bytes"
	}
	fmt.Fprintf(b, `<line class="%s" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", class, from+2*dir, y, to, y)
	if s.label != "" {
		middle, wide := (userAt+serverAt)/2, int(8.4*float64(term.Cells(s.label)))+16
		fmt.Fprintf(b, `<rect class="paper" x="%d" y="%d" width="%d" height="20" rx="4"/>`+"\n", middle-wide/2, y-10, wide)
		textAt(b, middle, y+5, "label", "middle", s.label)
	}
}

// stub draws a connection that failed, with the reason beside its cross.
func (p *Picture) stub(b *bytes.Buffer, s shaft, from, dir, y int) {
	end := from + 44*dir
	if s.dialed {
		fmt.Fprintf(b, `<line class="fails" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", from+2*dir, y, end-10*dir, y)
	}
	cross(b, end, y)
	anchor := "start"
	if dir < 0 {
		anchor = "end"
	}
	textAt(b, end+14*dir, y+5, "bad", anchor, fitted(s.why, 28))
}

func cross(b *bytes.Buffer, x, y int) {
	fmt.Fprintf(b, `<path class="fails" d="M%d %d l12 12 m0 -12 l-12 12"/>`+"\n", x-6, y-6)
}

func textAt(b *bytes.Buffer, x, y int, class, anchor, text string) {
	if text == "" {
		return
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, escaped(text))
}

func fitted(s string, columns int) string { return term.Truncate(s, columns, "…") }

// escaped returns s escaped for XML.
func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // writing to a Buffer can't fail
	return b.String()
}
