package explain

import (
	"strings"
	"unicode"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
)

// The columns of a ladder, behind the session's label if there is one.
const (
	commandAt = 13 // where a command begins; what a connection does ends at arrowAt-2
	arrowAt   = 25
	gap       = 2  // on either side of the arrow
	noteAt    = 16 // in the server's column

	minArrow, maxArrow = 11, 33
	bestServer         = 35 // columns of the server's: `229 |||40017|   "I listen on 40017"`
	MinServer          = 14 // "listens :40017"
	mostServer         = 60
	longest            = 300 // columns of one text, over all its lines
)

// glyphs are what a ladder is drawn with.
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
	Tag    int  // columns for the session's label; 0: none
}

// NewPen returns a pen for lines of that many columns.
func NewPen(width int, inASCII, colour bool) Pen {
	p := Pen{glyphs: lines, Width: width, ascii: inASCII, colour: colour}
	if inASCII {
		p.glyphs = ascii
	}
	return p
}

// rung is one step of a ladder.
type rung struct {
	tag     string   // the session
	label   string   // "control" or "data"
	left    string   // what the client does or says
	command bool     // left is a command
	said    string   // what the client says by it, below
	arrow   shaft    // from arrow, bytes or failed
	right   string   // what the server does or says
	notes   []string // beside that if there is room, else below
	bad     bool
}

// shaft is the arrow of a rung: as the text that is drawn, and what it says.
type shaft struct {
	text   string
	to     ftp.Side
	bytes  bool   // of a transfer
	label  string // what is written on it
	cut    bool   // it does not get there
	stub   bool   // a connection that did not come about, from the side that is not to
	dialed bool   // that side dialed, and did not wait
	why    string // it did not
}

// arrowLen is the arrow's share of the width: what the server's column leaves.
func (p *Pen) arrowLen() int {
	free := p.Width - p.Tag - arrowAt - gap
	return max(min(max(free-bestServer, minArrow), free-MinServer, maxArrow), 3)
}

func (p *Pen) serverLen() int {
	return min(max(p.Width-p.Tag-arrowAt-gap-p.arrowLen(), MinServer), mostServer)
}

// arrow is a message or a call, to that side.
func (p *Pen) arrow(to ftp.Side) shaft {
	return shaft{text: p.shaft(to, p.Single, "", false), to: to}
}

// bytes is the arrow of a transfer, with text on it. It is cut just before its end
// if the transfer was.
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

// failed makes r a connection that did not come about, seen from the side that
// dialed or, waiting, listened. Why stands where the arrow would, or at the right.
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

// header says whose column is whose.
func (p *Pen) header(us ftp.Side) string {
	user, server := "you (client)", "server"
	if us == ftp.ServerPI {
		user, server = "client", "you (server)"
	}
	line := strings.Repeat(" ", p.Tag+arrowAt-14) + user
	return p.Finish(term.Pad(line, p.Tag+arrowAt+p.arrowLen()+gap+3)+server, false)
}

// draw is a rung as lines.
func (p *Pen) draw(r rung) string {
	left := term.Pad(p.Clean(r.label), arrowAt-gap-term.Cells(r.left)) + p.Clean(r.left)
	if r.command {
		left = term.Truncate(p.Clean(r.left), arrowAt-gap, p.more)
		at := commandAt
		if commandAt+term.Cells(left) >= arrowAt { // a file name that is longer
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

// serverLines lays out the server's column: the first note stands beside what the
// server does if there is room for both, the others below.
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

// Finish returns a whole line, cut to the width of the terminal.
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

// Clean returns s without what must not be shown, and bounds it: it may come from elsewhere.
func (p *Pen) Clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || p.ascii && c > unicode.MaxASCII {
			return '?'
		}
		return c
	}, s)
	return term.Truncate(s, longest, p.more)
}
