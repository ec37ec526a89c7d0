package main

import (
	"strings"
	"unicode"

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
	leastServer        = 14 // "listens :40017"
	mostServer         = 60
	longest            = 300 // columns of one text, over all its lines
)

// glyphs are what a ladder is drawn with.
type glyphs struct{ single, double, left, right, cross, to, more string }

var (
	lines = glyphs{"─", "═", "◀", "▶", "✗", "→", "…"}
	ascii = glyphs{"-", "=", "<", ">", "x", "->", "..."}
)

// pen draws rungs, each line at most width columns wide.
type pen struct {
	glyphs
	width  int
	ascii  bool
	colour bool // failures are bold
	tag    int  // columns for the session's label; 0: none
}

func newPen(width int, inASCII, colour bool) pen {
	p := pen{glyphs: lines, width: width, ascii: inASCII, colour: colour}
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
func (p *pen) arrowLen() int {
	free := p.width - p.tag - arrowAt - gap
	return max(min(max(free-bestServer, minArrow), free-leastServer, maxArrow), 3)
}

func (p *pen) serverLen() int {
	return min(max(p.width-p.tag-arrowAt-gap-p.arrowLen(), leastServer), mostServer)
}

// arrow is a message or a call, to that side.
func (p *pen) arrow(to ftp.Side) shaft {
	return shaft{text: p.shaft(to, p.single, "", false), to: to}
}

// bytes is the arrow of a transfer, with text on it. It is cut just before its end
// if the transfer was.
func (p *pen) bytes(to ftp.Side, text string, cut bool) shaft {
	return shaft{text: p.shaft(to, p.double, text, cut), to: to, bytes: true, label: text, cut: cut}
}

// fits reports whether text has room on an arrow.
func (p *pen) fits(text string) bool { return cells(text)+5 <= p.arrowLen() }

func (p *pen) shaft(to ftp.Side, line, text string, cut bool) string {
	free := p.arrowLen() - 1
	body := strings.Repeat(line, free)
	if text != "" {
		free -= cells(text) + 2
		body = strings.Repeat(line, free-free/2) + " " + text + " " + strings.Repeat(line, free/2)
	}
	head := p.left
	switch {
	case cut:
		head = p.cross
	case to == ftp.ServerPI:
		head = p.right
	}
	if to == ftp.ServerPI {
		return body + head
	}
	return head + body
}

// failed makes r a connection that did not come about, seen from the side that
// dialed or, waiting, listened. Why stands where the arrow would, or at the right.
func (p *pen) failed(r rung, from ftp.Side, dialed bool, why string) rung {
	stub := strings.Repeat(" ", min(4, p.arrowLen()-1))
	if dialed {
		stub = strings.Repeat(p.single, len(stub))
	}
	why = p.clean(why)
	r.arrow = shaft{to: 1 - from, cut: true, stub: true, dialed: dialed, why: why}
	room := cells(stub)+2+cells(why) <= p.arrowLen()+gap-1
	text := stub + p.cross
	if from == ftp.UserPI {
		if room {
			text += " " + why
		}
	} else {
		text = p.cross + stub
		if room {
			text = why + " " + text
		}
		text = strings.Repeat(" ", max(p.arrowLen()-cells(text), 0)) + text
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
func (p *pen) header(us ftp.Side) string {
	user, server := "you (client)", "server"
	if us == ftp.ServerPI {
		user, server = "client", "you (server)"
	}
	line := strings.Repeat(" ", p.tag+arrowAt-14) + user
	return p.finish(pad(line, p.tag+arrowAt+p.arrowLen()+gap+3)+server, false)
}

// draw is a rung as lines.
func (p *pen) draw(r rung) string {
	left := pad(p.clean(r.label), arrowAt-gap-cells(r.left)) + p.clean(r.left)
	if r.command {
		left = screen.Truncate(p.clean(r.left), arrowAt-gap, p.more)
		at := commandAt
		if commandAt+cells(left) >= arrowAt { // a file name that is longer
			at = arrowAt - gap - cells(left)
		}
		left = pad("", at) + left
	}
	if p.tag > 0 {
		left = pad(r.tag, p.tag) + left
	}
	left = pad(left, p.tag+arrowAt) + r.arrow.text
	below := pad("", p.tag+arrowAt+p.arrowLen()+gap)
	var b strings.Builder
	for i, text := range p.serverLines(r) {
		if i == 0 {
			b.WriteString(p.finish(pad(left, cells(below))+text, r.bad))
		} else {
			b.WriteString(p.finish(below+text, r.bad))
		}
	}
	if r.said != "" {
		said := p.clean(r.said)
		b.WriteString(p.finish(pad("", p.tag+max(arrowAt-gap-cells(said), 0))+said, r.bad))
	}
	return b.String()
}

// serverLines lays out the server's column: the first note stands beside what the
// server does if there is room for both, the others below.
func (p *pen) serverLines(r rung) []string {
	room := p.serverLen()
	right, notes := p.clean(r.right), r.notes
	if len(notes) > 0 {
		beside := pad(right, noteAt-gap) + "  " + p.clean(notes[0])
		if right == "" || cells(beside) <= room {
			right, notes = strings.TrimLeft(beside, " "), notes[1:]
		}
	}
	all := []string{right}
	if cells(right) > room {
		all = wrap(right, room)
	}
	for _, n := range notes {
		if n != "" {
			all = append(all, wrap(p.clean(n), room)...)
		}
	}
	return all
}

// finish ends a line, which is never wider than the terminal.
func (p *pen) finish(line string, bad bool) string {
	line = strings.TrimRight(line, " ")
	if cells(line) > p.width {
		line = strings.TrimRight(screen.Truncate(line, p.width, ""), " ")
	}
	if bad && p.colour {
		return "\x1b[1m" + line + "\x1b[0m\n"
	}
	return line + "\n"
}

// clean makes what came from elsewhere fit to be shown, and bounds it.
func (p *pen) clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || p.ascii && c > unicode.MaxASCII {
			return '?'
		}
		return c
	}, s)
	return screen.Truncate(s, longest, p.more)
}
