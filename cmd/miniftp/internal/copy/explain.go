package copy

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp"
)

// ladder draws a copy from server to server: two control connections of this program, and a data
// connection between the servers. The source is on the left, this program in the middle, and the
// destination on the right.
type ladder struct {
	mu        sync.Mutex
	w         io.Writer
	pen       explain.Pen
	headed    bool
	announced string   // the announced port that one of them listens on
	began     [2]bool  // the source and the destination have sent 150 or 125
	finals    []func() // draw the last replies, below the data connection
}

// The widths of the columns; the arrows are between them.
const (
	labelAt  = 9
	sourceAt = 20
	youAt    = 16
	arrowAt  = 9
)

func newLadder(w io.Writer, p explain.Pen) *ladder {
	p.Tag = 0
	return &ladder{w: w, pen: p}
}

// replace returns see with this ladder in place of one with two columns.
func (l *ladder) replace(see ftp.Observer, source bool) ftp.Observer {
	all := watch.Observers{side{l, source}}
	if list, ok := see.(watch.Observers); ok {
		for _, o := range list {
			if old, ok := o.(*explain.Ladder); ok && old.Page == nil {
				continue
			}
			all = append(all, o)
		}
	}
	return all
}

// side observes one of the two control connections.
type side struct {
	*ladder
	source bool
}

// Observe draws e.
func (s side) Observe(e ftp.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch h := e.What.(type) {
	case ftp.ControlOpened:
		s.opened(e.Control)
	case ftp.DialFailed:
		s.head()
		s.row("control", "", s.pen.Cross, "dials "+h.Addr, explain.Reason(h.Err))
	case ftp.ControlSecured:
		s.row("", "", s.pen.Single, "TLS client", "TLS server")
	case ftp.CommandGiven:
		s.command(h.Command)
	case ftp.ReplyGiven:
		s.reply(h.Verb, h.Reply)
	case ftp.TransferDone:
		s.done(h)
	case ftp.ControlClosed:
		if h.Err != nil {
			s.row("control", "", s.pen.Cross, "", explain.Reason(h.Err))
		}
	}
}

// row draws a rung between this program and one of the servers. line is the character of the shaft,
// or a cross for a failure. The arrow points to the server unless head is "reply".
func (s side) row(label, head, line, you, server string) {
	p := s.pen
	shaft := strings.Repeat(line, arrowAt-1)
	if line == p.Cross {
		shaft = term.Pad(p.Cross, arrowAt-1)
	}
	toServer := head != "reply"
	left := s.source == toServer // the arrow points to the left
	arrow := shaft + p.Right
	if left {
		arrow = p.Left + shaft
	}
	if line == p.Cross {
		arrow = term.Pad(p.Cross, arrowAt)
	}
	text := term.Pad(label, labelAt)
	if s.source {
		text += term.Pad(term.Fit(p.Clean(server), sourceAt), sourceAt) + " " + arrow + " " + term.Fit(p.Clean(you), youAt)
		s.print(text)
		if term.Cells(p.Clean(server)) > sourceAt {
			for _, l := range term.Wrap(p.Clean(server), max(p.Width-labelAt, sourceAt)) {
				s.print(term.Pad("", labelAt) + l)
			}
		}
		return
	}
	text += term.Pad("", sourceAt+arrowAt+2) + term.Pad(term.Fit(p.Clean(you), youAt), youAt) + " " + arrow + " "
	room := max(p.Width-term.Cells(text), explain.MinServer)
	for i, l := range term.Wrap(p.Clean(server), room) {
		if i > 0 {
			text = term.Pad("", term.Cells(text))
		}
		s.print(text + l)
	}
}

func (l *ladder) print(text string) {
	_, _ = io.WriteString(l.w, l.pen.Finish(text, false))
}

func (s side) head() {
	if !s.headed {
		s.headed = true
		s.print(term.Pad("", labelAt) + term.Pad("source", sourceAt+arrowAt+2) + term.Pad("you (client)", youAt+arrowAt+2) + "destination")
	}
}

func (s side) opened(c *ftp.Control) {
	s.head()
	s.row("control", "", s.pen.Single, "dials "+explain.Port(c.Local, c.Local), "listens "+explain.Port(c.Remote, c.Remote))
}

// command draws the commands that concern the data connection, except PORT and EPRT, which reply draws.
func (s side) command(c ftp.Command) {
	switch c.Verb {
	case "EPSV", "PASV", "CPSV":
		s.row("", "", s.pen.Single, c.Verb, "")
	case "RETR", "STOR":
		s.began[s.index()] = false
		s.row("", "", s.pen.Single, c.Verb+" "+target.Base(c.Arg), "")
	case "SSCN":
		s.row("", "", s.pen.Single, c.Verb+" "+c.Arg, "")
	}
}

func (s side) reply(verb string, r ftp.Reply) {
	no := r.Code.Class() >= ftp.TransientFail
	switch {
	case r.Code.Class() == ftp.Preliminary:
		if verb == "RETR" || verb == "STOR" {
			s.begins(r)
		}
	case verb == "EPSV" || verb == "PASV" || verb == "CPSV":
		s.listening(r)
	case verb == "PORT" || verb == "EPRT":
		said := fmt.Sprint(int(r.Code))
		if no {
			said = r.String()
		}
		s.row("", "", s.pen.Single, verb+" "+s.announced, said)
	case verb == "RETR" || verb == "STOR":
		s.finals = append(s.finals, func() {
			said := fmt.Sprint(int(r.Code))
			if no {
				said = r.String()
			}
			s.row("", "reply", s.pen.Single, "", said)
		})
	case no && (verb == "" || verb == "SSCN"):
		s.row("", "reply", s.pen.Single, "", r.String())
	}
}

// index returns the index of this side in began.
func (s side) index() int {
	if s.source {
		return 0
	}
	return 1
}

// begins draws the reply that starts a transfer. Some servers repeat it during a long transfer.
func (s side) begins(r ftp.Reply) {
	if n := s.index(); !s.began[n] {
		s.began[n] = true
		s.row("", "reply", s.pen.Single, "", fmt.Sprint(int(r.Code)))
	}
}

// listening draws the reply that announces an address.
func (s side) listening(r ftp.Reply) {
	port, err229 := ftp.Parse229(r.Text())
	addr, err227 := ftp.Parse227(r.Text())
	switch {
	case r.Code == 229 && err229 == nil:
		s.announced = fmt.Sprintf(":%d", port)
		s.row("", "reply", s.pen.Single, "", fmt.Sprintf("229 |||%d|", port))
	case r.Code == 227 && err227 == nil:
		s.announced = fmt.Sprintf(":%d", addr.Port())
		s.row("", "reply", s.pen.Single, "", "227 … "+s.announced)
	default:
		s.row("", "reply", s.pen.Single, "", r.String())
	}
}

// done draws the data connection when the source is done. A server may send its last reply before the
// transfer is reported as done, so the last replies are kept until the destination, which is reported
// last, is done too.
func (s side) done(h ftp.TransferDone) {
	if !s.source {
		for _, draw := range s.finals {
			draw()
		}
		s.finals = nil
		return
	}
	p := s.pen
	source, dest := "dials", "listens "+s.announced
	if h.Mode == ftp.Passive {
		source, dest = "listens "+s.announced, "dials"
	}
	width, head := 2*arrowAt+youAt+1, p.Right
	text := " " + term.Size(h.Bytes) + " in " + term.Span(h.Took) + " "
	if h.Err != nil {
		head, text = p.Cross, ""
	}
	rest := max(width-term.Cells(text), 2)
	shaft := strings.Repeat(p.Double, rest/2) + text + strings.Repeat(p.Double, rest-rest/2)
	line := term.Pad("data", labelAt) + term.Pad(source, sourceAt) + " " + shaft + head + " "
	s.print(line + term.Fit(dest, max(p.Width-term.Cells(line), explain.MinServer)))
	note := "the data goes from server to server, not through the client"
	if h.Err != nil {
		if note = "no data connection"; !errors.As(h.Err, new(*ftp.Error)) {
			note = explain.Reason(h.Err)
		}
	}
	for _, l := range term.Wrap(p.Clean(note), max(p.Width-labelAt-sourceAt-1, explain.MinServer)) {
		s.print(term.Pad("", labelAt+sourceAt+1) + l)
	}
}
