// Package explain is --explain: it draws who listened, who dialed and how the address was
// announced, as a ladder on a terminal or as a picture in a file.
//
// It draws from events alone: it stands on verb and term, and must not know a client or a server.
package explain

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
)

// Ladder draws, as it happens, the control connection and every data connection:
// who listens, how the address travels, who dials, which way the bytes go, and
// where it fails and why. The client is on the left and the server on the right,
// whichever of them this program is. It is an ftp.Observer, safe for concurrent use.
type Ladder struct {
	mu    sync.Mutex
	w     io.Writer
	Pen   Pen
	talks map[uint64]*talk // by control connection
	seen  int              // how many there were
	tried bool             // one could not be dialed, below a header
	Page  *Picture         // gets every rung, too; may be nil
	Proxy string           // all goes through it, and has its address; "": there is none
}

// NewLadder returns a ladder that draws on w, at most width columns wide, in ASCII if the locale is not
// UTF-8.
func NewLadder(w io.Writer, width int) *Ladder {
	return &Ladder{w: w, Pen: NewPen(width, !term.UTF8(), term.Colour(w)), talks: map[uint64]*talk{}}
}

// talk is what is remembered of one control connection from event to event.
type talk struct {
	*Ladder
	control *ftp.Control
	address ftp.Command     // a PORT or EPRT whose reply is awaited
	offer   ftp.DataOffered // the last address that was agreed on
	guarded error           // why this server will not call it
	advised string          // what was said last
	noEPSV  bool            // EPSV was just refused
	next    string          // a transfer command, to be drawn below the data connection
	busy    string          // the transfer command that runs
	ahead   []ftp.Command   // those that were sent before it was over
	finals  []ftp.Reply     // to those
	began   ftp.Reply       // 150, to be drawn below the data connection
	stands  bool            // the data connection outlives its transfers
	opened  bool            // its data connection stood
	failed  bool            // or did not come about
	final   ftp.Reply       // came before the end of the data
	lost    *ftp.ControlClosed
	moving  bool   // from the address of a data connection to the end of its transfer
	held    []rung // of that, while there are other sessions: each transfer is drawn as a whole
}

// Observe draws what e adds to the picture.
func (l *Ladder) Observe(e ftp.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.talks[e.Control.ID]
	if t == nil {
		switch h := e.What.(type) {
		case ftp.ControlOpened:
		case ftp.DialFailed:
			l.dialFailed(e.Control, h)
			return
		default:
			return // what a closed connection leaves behind
		}
		t = &talk{Ladder: l, control: e.Control}
		l.talks[e.Control.ID] = t
	}
	t.hear(e.What)
	if len(l.talks) < 2 || !t.moving || t.lost != nil || len(t.held) == mostHeld {
		t.flush()
	}
}

// mostHeld bounds the rungs that wait until their transfer is over.
const mostHeld = 50

// flush draws the rungs that are held.
func (t *talk) flush() {
	var out strings.Builder
	for _, r := range t.held {
		r.tag = t.tag()
		out.WriteString(t.Pen.draw(r))
		t.Page.add(r)
	}
	t.held = t.held[:0]
	t.write(out.String())
}

func (l *Ladder) write(text string) {
	if text != "" {
		_, _ = io.WriteString(l.w, text)
	}
}

func (t *talk) hear(what ftp.Happening) {
	switch h := what.(type) {
	case ftp.ControlOpened:
		t.begin()
	case ftp.CommandGiven:
		t.command(h.Command)
	case ftp.ReplyGiven:
		t.reply(h.Verb, h.Reply)
	case ftp.ControlSecured:
		t.secured(h.TLS)
	case ftp.DataSecured:
		t.secured(h.TLS)
	case ftp.ControlCleared:
		t.put(rung{left: "TLS ends", arrow: t.Pen.arrow(ftp.ServerPI), right: "CCC: clear again"})
	case ftp.DataOffered:
		t.offer, t.opened, t.failed, t.stands = h, false, false, false
	case ftp.DataOpened:
		t.dataOpened(h)
	case ftp.DataFailed:
		t.dataFailed(h)
	case ftp.StrangerRefused:
		t.stranger(h)
	case ftp.TransferDone:
		t.transferDone(h)
	case ftp.ControlClosed:
		t.end(h)
	}
}

// put draws one rung.
func (t *talk) put(r rung) { t.held = append(t.held, r) }

func (t *talk) tag() string { return fmt.Sprintf("#%d", t.control.ID) }

// dialFailed draws a control connection that did not come about.
func (l *Ladder) dialFailed(c *ftp.Control, h ftp.DialFailed) {
	if l.seen == 0 && !l.tried {
		l.write(l.Pen.header(c.Side))
		l.Page.header(c.Side)
	}
	l.tried = true
	r := rung{label: "control", left: "dials", right: h.Addr}
	if l.Proxy != "" {
		r.notes = []string{"through the proxy " + l.Proxy}
	}
	r = l.Pen.failed(r, ftp.UserPI, true, Reason(h.Err))
	l.write(l.Pen.draw(r))
	l.Page.add(r)
}

// begin draws the control connection, below a header that says who is who. Once
// a second one is seen, each rung says whose it is.
func (t *talk) begin() {
	t.seen++
	if t.seen > 1 {
		t.Pen.Tag = max(t.Pen.Tag, 5, len(t.tag())+1)
	}
	if t.seen == 1 && !t.tried || t.seen == 2 {
		t.write(t.Pen.header(t.control.Side))
		t.Page.header(t.control.Side)
	}
	user, server := t.ends(t.control.Local, t.control.Remote)
	r := rung{label: "control", left: t.onLeft(user, "dials"), arrow: t.Pen.arrow(ftp.ServerPI), right: t.onRight("listens", server)}
	if user.IsValid() && !user.Addr().IsLoopback() {
		r.notes = []string{fmt.Sprintf("%v %s %v", user.Addr(), t.Pen.to, server.Addr())}
	}
	if t.Proxy != "" {
		r.notes = []string{"through the proxy " + t.Proxy}
	}
	t.put(r)
}

// ends sorts our address and the peer's into the client's and the server's.
func (t *talk) ends(local, remote netip.AddrPort) (user, server netip.AddrPort) {
	if t.control.Side == ftp.UserPI {
		return local, remote
	}
	return remote, local
}

// onLeft is ":51234 dials"; onRight is "dials :51234".
func (t *talk) onLeft(a netip.AddrPort, does string) string {
	user, _ := t.ends(t.control.Local, t.control.Remote)
	return strings.TrimSpace(Port(a, user) + " " + does)
}

func (t *talk) onRight(does string, a netip.AddrPort) string {
	if t.Proxy != "" {
		return does // the port is the proxy's
	}
	_, server := t.ends(t.control.Local, t.control.Remote)
	return strings.TrimSpace(does + " " + Port(a, server))
}

// Port returns an address as ":51234", with the host in front if that is not the known one. It is empty
// where a proxy hides the address.
func Port(a, known netip.AddrPort) string {
	switch {
	case !a.IsValid() || a.Port() == 0:
		return ""
	case a.Addr() != known.Addr():
		return a.String()
	}
	return fmt.Sprintf(":%d", a.Port())
}

// command draws the commands that have to do with data connections. PORT and
// EPRT wait for their reply, to stand on one rung with it.
func (t *talk) command(c ftp.Command) {
	t.unanswered()
	switch {
	case c.Verb == "EPSV", c.Verb == "PASV", c.Verb == "EPRT", c.Verb == "PORT", ftp.IsTransfer(c.Verb):
		t.moving = true
	}
	switch {
	case c.Verb == "EPSV" && strings.EqualFold(c.Arg, "ALL"):
	case c.Verb == "EPSV", c.Verb == "PASV":
		r := rung{command: true, left: c.Verb, arrow: t.Pen.arrow(ftp.ServerPI)}
		if t.noEPSV && c.Verb == "PASV" {
			r.right = "the older way, as EPSV was refused"
		}
		t.noEPSV = false
		t.put(r)
	case c.Verb == "EPRT", c.Verb == "PORT":
		t.address = c
	case ftp.IsTransfer(c.Verb) && t.busy != "":
		t.ahead = append(t.ahead, c)
	case ftp.IsTransfer(c.Verb):
		t.busy, t.next, t.final, t.began = c.Verb, t.named(c), ftp.Reply{}, ftp.Reply{}
		if t.offer.Said == "" || t.stands || t.offer.Mode == ftp.Active || t.opened || t.failed {
			t.drawNext()
		}
	}
}

// named is a transfer command with the end of its path, which tells more than its beginning.
func (t *talk) named(c ftp.Command) string {
	text := t.Pen.Clean(strings.TrimSpace(c.Verb + " " + c.Arg))
	if over := term.Cells(text) - (arrowAt - gap); over > 0 {
		room := arrowAt - gap - term.Cells(c.Verb+" "+t.Pen.more)
		return c.Verb + " " + t.Pen.more + term.TruncateLeft(text, term.Cells(text)-room)
	}
	return text
}

// drawNext draws the transfer command, and the reply that it has begun. In passive mode the client sends it and
// dials at the same time, so it stands below the data connection whichever of
// the two was noticed first.
func (t *talk) drawNext() {
	if t.next != "" {
		t.put(rung{command: true, left: t.next, arrow: t.Pen.arrow(ftp.ServerPI)})
		t.next = ""
	}
	if t.began.Code != 0 && (t.opened || t.stands || t.failed) {
		t.drawReply(t.began)
		t.began = ftp.Reply{}
	}
}

// unanswered draws a PORT or EPRT that no reply came to.
func (t *talk) unanswered() {
	if t.address.Verb != "" {
		t.announced(ftp.Reply{})
	}
}

// reply draws how an address was answered, the end of a transfer, and every no.
func (t *talk) reply(verb string, r ftp.Reply) {
	no := r.Code.Class() >= ftp.TransientFail
	if no {
		t.moving = false
	}
	switch {
	case verb != "" && verb == t.address.Verb:
		t.announced(r)
	case r.Code.Class() == ftp.Preliminary && verb != "" && verb == t.busy && t.final.Code == 0:
		t.began = r
		if t.stands = t.stands || r.Code == 125; t.next == "" {
			t.drawNext()
		}
	case r.Code.Class() == ftp.Preliminary:
	case verb != "" && verb == t.busy && t.final.Code != 0:
		t.finals = append(t.finals, r)
	case verb != "" && verb == t.busy:
		if t.control.Side == ftp.UserPI {
			t.final = r // the data may not be at its end
			return
		}
		t.drawNext()
		t.drawReply(r)
		t.busy = "" // the transfer never began
	case ftp.IsTransfer(verb), verb == "" && no:
		t.drawReply(r)
	case verb == "EPSV", verb == "PASV":
		t.listening(verb, r)
	case no:
		t.put(rung{command: true, left: verb, arrow: t.Pen.arrow(ftp.ServerPI), right: r.String(), bad: true})
	}
}

// drawReply draws a reply: only its code, if all is well.
func (t *talk) drawReply(reply ftp.Reply) {
	r := rung{arrow: t.Pen.arrow(ftp.UserPI), right: fmt.Sprint(int(reply.Code))}
	if reply.Code.Class() >= ftp.TransientFail {
		r.right, r.bad = reply.String(), true
	}
	t.put(r)
}

// listening draws the reply in which the server's address travels.
func (t *talk) listening(verb string, reply ftp.Reply) {
	r := rung{arrow: t.Pen.arrow(ftp.UserPI), right: reply.String()}
	port, err229 := ftp.Parse229(reply.Text())
	addr, err227 := ftp.Parse227(reply.Text())
	switch {
	case reply.Code == 229 && err229 == nil:
		r.right = fmt.Sprintf("229 |||%d|", port)
		r.notes = []string{fmt.Sprintf(`"I listen on %d"`, port)}
	case reply.Code == 227 && err227 == nil:
		_, server := t.ends(t.control.Local, t.control.Remote)
		r.right = "227 " + ftp.FormatHostPort(addr)
		r.notes = []string{fmt.Sprintf(`"I listen on %s"`, where(addr, server))}
	case reply.Code == 200:
		return // to EPSV ALL
	default:
		r.bad = true
		t.noEPSV = verb == "EPSV"
	}
	t.put(r)
}

// announced draws PORT or EPRT, in which the client's address travels, and how
// the server took it.
func (t *talk) announced(reply ftp.Reply) {
	parse := ftp.ParseHostPort
	if t.address.Verb == "EPRT" {
		parse = ftp.ParseEPRT
	}
	addr, _ := parse(t.address.Arg)
	user, _ := t.ends(t.control.Local, t.control.Remote)
	r := rung{command: true, left: fmt.Sprintf("%s :%d", t.address.Verb, addr.Port()), arrow: t.Pen.arrow(ftp.ServerPI)}
	switch reply.Code.Class() {
	case 0: // none came
	case ftp.Completion:
		r.right = fmt.Sprint(int(reply.Code))
		r.said = fmt.Sprintf(`"call me on %s"`, where(addr, user))
	default:
		r.right, r.bad = reply.String(), true
		r.notes = []string{t.once(t.refusedAddress(addr, reply.Code))}
	}
	t.put(r)
	t.address, t.guarded = ftp.Command{}, nil
}

// where is the port alone if the host is the one that is known already.
func where(a, known netip.AddrPort) string {
	if a.Addr() == known.Addr() {
		return fmt.Sprint(a.Port())
	}
	return a.String()
}

// dataOpened draws the data connection: the same rung in both modes, with the
// stances and the arrow the other way round.
func (t *talk) dataOpened(h ftp.DataOpened) {
	t.opened = true
	user, server := t.ends(h.Local, h.Remote)
	r := rung{label: "data", left: t.onLeft(user, "dials"), arrow: t.Pen.arrow(ftp.ServerPI), right: t.onRight("listens", server), notes: []string{"passive"}}
	if h.Mode == ftp.Active {
		r = rung{label: "data", left: t.onLeft(user, "listens"), arrow: t.Pen.arrow(ftp.UserPI), right: t.onRight("dials", server), notes: []string{"active: the roles are reversed"}}
	}
	if t.Proxy == "" && t.control.Side == ftp.UserPI && h.Mode == ftp.Passive && t.offer.Addr.IsValid() && t.offer.Addr.Addr() != h.Remote.Addr() && h.Remote.IsValid() {
		r.notes = append(r.notes, fmt.Sprintf("227 named %v%s: the host of the control connection was called instead", t.offer.Addr.Addr(), ifPrivate(t.offer.Addr.Addr())))
	}
	t.put(r)
	t.drawNext()
}
