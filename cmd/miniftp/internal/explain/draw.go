package explain

import (
	"strings"
	"unicode"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
)

// The columns of a ladder, after the session's label if there is one.
const (
	commandAt = 13 // where a command begins; other text in the client's column ends at arrowAt-2
	arrowAt   = 25
	gap       = 2  // on either side of the arrow
	noteAt    = 16 // in the server's column

	minArrow, maxArrow = 11, 33
	bestServer         = 35  // width of the server's column for `229 |||40017|   "I listen on 40017"`
	MinServer          = 14  // its minimum width, for "listens :40017"
	mostServer         = 60  // its maximum width
	longest            = 300 // maximum columns of one text, over all its lines
)

// glyphs holds the characters that a ladder is drawn with.
type glyphs struct{ Single, Double, Left, Right, Cross, to, more string }

var (
	lines = glyphs{"─", "═", "◀", "▶", "✗", "→", "…"}
	ascii = glyphs{"-", "=", "<", ">", "x", "->", "..."}
)

// Pen draws rungs, each line at most width columns wide.
type Pen struct {
	glyphs
	Width  int
	ascii  bool
	colour bool // failures are bold
	Tag    int  // width of the session's label, 0 for none
}

// NewPen returns a Pen for lines of at most width columns.
func NewPen(width int, inASCII, colour bool) Pen {
	p := Pen{glyphs: lines, Width: width, ascii: inASCII, colour: colour}
	if inASCII {
		p.glyphs = ascii
	}
	return p
}

// rung is one step of a ladder: a command, a reply, a connection or a transfer.
type rung struct {
	tag     string   // label of the session
	label   string   // "control", "data" or ""
	left    string   // what the client does or sends
	command bool     // left is a command
	said    string   // the meaning of the command, drawn below it
	arrow   shaft    // made by arrow, bytes or failed
	right   string   // what the server does or sends
	notes   []string // drawn beside right if there is room, else below
	bad     bool     // a failure
}

// shaft is the arrow of a rung: its text in a ladder, and what a picture needs to draw it.
type shaft struct {
	text   string
	to     ftp.Side
	bytes  bool   // the arrow of a transfer
	label  string // the text on the arrow
	cut    bool   // the arrow does not reach its end
	stub   bool   // a connection that failed, drawn at the other side than to
	dialed bool   // with stub: that side dialed, rather than listened
	why    string // with stub: the reason
}

// arrowLen returns the length of arrows, which depends on the width that the server's column leaves.
func (p *Pen) arrowLen() int {
	free := p.Width - p.Tag - arrowAt - gap
	return max(min(max(free-bestServer, minArrow), free-MinServer, maxArrow), 3)
}

func (p *Pen) serverLen() int {
	return min(max(p.Width-p.Tag-arrowAt-gap-p.arrowLen(), MinServer), mostServer)
}

// arrow returns the arrow of a message or a connection to the given side.
func (p *Pen) arrow(to ftp.Side) shaft {
	return shaft{text: p.shaft(to, p.Single, "", false), to: to}
}

// bytes returns the arrow of a transfer, with text on it. If cut is true, it ends in a cross.
func (p *Pen) bytes(to ftp.Side, text string, cut bool) shaft {
	return shaft{text: p.shaft(to, p.Double, text, cut), to: to, bytes: true, label: text, cut: cut}
}

// fits reports whether text has room on an arrow.
func (p *Pen) fits(text string) bool { return term.Cells(text)+5 <= p.arrowLen() }

func (p *Pen) shaft(to ftp.Side, line, text string, cut bool) string {
	free := p.arrowLen() - 1
	body := strings.Repeat(line, free)
	if text != "" {
		free -= term.Cells(text) + 2
		body = strings.Repeat(line, free-free/2) + " " + text + " " + strings.Repeat(line, free/2)
	}
	head := p.Left
	switch {
	case cut:
		head = p.Cross
	case to == ftp.ServerPI:
		head = p.Right
	}
	if to == ftp.ServerPI {
		return body + head
	}
	return head + body
}

// failed makes r the rung of a connection that failed, as seen by the side from, which dialed or listened.
// The reason is drawn in the place of the arrow or, if there is no room, in the server's column.
func (p *Pen) failed(r rung, from ftp.Side, dialed bool, why string) rung {
	stub := strings.Repeat(" ", min(4, p.arrowLen()-1))
	if dialed {
		stub = strings.Repeat(p.Single, len(stub))
	}
	why = p.Clean(why)
	r.arrow = shaft{to: 1 - from, cut: true, stub: true, dialed: dialed, why: why}
	room := term.Cells(stub)+2+term.Cells(why) <= p.arrowLen()+gap-1
	text := stub + p.Cross
	if from == ftp.UserPI {
		if room {
			text += " " + why
		}
	} else {
		text = p.Cross + stub
		if room {
			text = why + " " + text
		}
		text = strings.Repeat(" ", max(p.arrowLen()-term.Cells(text), 0)) + text
	}
	r.arrow.text = text
	if !room {
		r.notes = append([]string{why}, r.notes...)
	}
	if r.right == "" && len(r.notes) > 0 {
		r.right, r.notes = r.notes[0], r.notes[1:]
	}
	r.bad = true
	return r
}

// header returns the line that names the columns.
func (p *Pen) header(us ftp.Side) string {
	user, server := "you (client)", "server"
	if us == ftp.ServerPI {
		user, server = "client", "you (server)"
	}
	line := strings.Repeat(" ", p.Tag+arrowAt-14) + user
	return p.Finish(term.Pad(line, p.Tag+arrowAt+p.arrowLen()+gap+3)+server, false)
}

// draw returns the lines of a rung.
func (p *Pen) draw(r rung) string {
	left := term.Pad(p.Clean(r.label), arrowAt-gap-term.Cells(r.left)) + p.Clean(r.left)
	if r.command {
		left = term.Truncate(p.Clean(r.left), arrowAt-gap, p.more)
		at := commandAt
		if commandAt+term.Cells(left) >= arrowAt { // with a long file name
			at = arrowAt - gap - term.Cells(left)
		}
		left = term.Pad("", at) + left
	}
	if p.Tag > 0 {
		left = term.Pad(r.tag, p.Tag) + left
	}
	left = term.Pad(left, p.Tag+arrowAt) + r.arrow.text
	below := term.Pad("", p.Tag+arrowAt+p.arrowLen()+gap)
	var b strings.Builder
	for i, text := range p.serverLines(r) {
		if i == 0 {
			b.WriteString(p.Finish(term.Pad(left, term.Cells(below))+text, r.bad))
		} else {
			b.WriteString(p.Finish(below+text, r.bad))
		}
	}
	if r.said != "" {
		said := p.Clean(r.said)
		b.WriteString(p.Finish(term.Pad("", p.Tag+max(arrowAt-gap-term.Cells(said), 0))+said, r.bad))
	}
	return b.String()
}

// serverLines lays out the server's column. The first note is beside r.right if there is room for both, the
// others are below.
func (p *Pen) serverLines(r rung) []string {
	room := p.serverLen()
	right, notes := p.Clean(r.right), r.notes
	if len(notes) > 0 {
		beside := term.Pad(right, noteAt-gap) + "  " + p.Clean(notes[0])
		if right == "" || term.Cells(beside) <= room {
			right, notes = strings.TrimLeft(beside, " "), notes[1:]
		}
	}
	all := []string{right}
	if term.Cells(right) > room {
		all = term.Wrap(right, room)
	}
	for _, n := range notes {
		if n != "" {
			all = append(all, term.Wrap(p.Clean(n), room)...)
		}
	}
	return all
}

// Finish returns line with a newline, without trailing blanks and cut to the width. If bad is true, it is
// bold where colours are used.
func (p *Pen) Finish(line string, bad bool) string {
	line = strings.TrimRight(line, " ")
	if term.Cells(line) > p.Width {
		line = strings.TrimRight(term.Truncate(line, p.Width, ""), " ")
	}
	if bad && p.colour {
		return "\x1b[1m" + line + "\x1b[0m\n"
	}
	return line + "\n"
}

// Clean returns s with unprintable characters replaced, and shortened. It must be used for all text that may
// come from the peer.
func (p *Pen) Clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || p.ascii && c > unicode.MaxASCII {
			return '?'
		}
		return c
	}, s)
	return term.Truncate(s, longest, p.more)
}
