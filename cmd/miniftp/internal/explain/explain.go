// Package explain implements --explain: it draws which side listened, which dialed and how the address was
// announced, as a ladder on a terminal or as a picture in a file.
//
// It draws only from events (ftp.Observer), so the same code draws for clients and servers.
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

// Ladder draws the control connection and every data connection as events arrive: who listens, how the
// address is announced, who dials, in which direction the bytes go, and where and why it fails. The client
// is always on the left and the server on the right. A Ladder is an ftp.Observer, safe for concurrent use.
//
// A rung is drawn when the events for it are complete, which may be later than the first of them:
//
//   - A PORT or EPRT waits in talk.address for its reply, with which it shares a rung.
//   - A transfer command waits in talk.next for the data connection, and its 150 in talk.began, because in
//     passive mode the client sends the command and dials at the same time. So the order on the page does not
//     depend on which of the two is noticed first.
//   - The final reply to a transfer waits in talk.final until the data has ended, if the client draws.
//   - While there are several sessions, all rungs of a transfer wait in talk.held until it ends, so that
//     transfers are not mixed up.
type Ladder struct {
	mu    sync.Mutex
	w     io.Writer
	Pen   Pen
	talks map[uint64]*talk // open control connections by ID
	seen  int              // number of control connections so far
	tried bool             // a failed dial has been drawn, with a header above
	Page  *Picture         // also gets every rung; may be nil
	Proxy string           // the proxy that connections go through, "" for none; their peer address is that of the proxy
}

// NewLadder returns a Ladder that writes to w, at most width columns wide, and in ASCII if the locale is not
// UTF-8.
func NewLadder(w io.Writer, width int) *Ladder {
	return &Ladder{w: w, Pen: NewPen(width, !term.UTF8(), term.Colour(w)), talks: map[uint64]*talk{}}
}

// talk is the state of one control connection between events. It is guarded by Ladder.mu.
type talk struct {
	*Ladder
	control *ftp.Control
	address ftp.Command        // a PORT or EPRT that waits for its reply
	offer   ftp.DataOffered    // the last offer
	guarded error              // why this server refuses to dial the address
	advised string             // the last advice, which is not repeated
	noEPSV  bool               // EPSV was just refused
	next    string             // a transfer command that waits for the data connection
	busy    string             // the verb of the running transfer
	ahead   []ftp.Command      // transfer commands sent before the running transfer ended
	finals  []ftp.Reply        // final replies to the commands in ahead
	began   ftp.Reply          // a 150 that waits for the data connection
	keeps   bool               // the data connection stays open for several transfers (MODE B)
	opened  bool               // the data connection of the transfer was opened
	failed  bool               // or it failed
	final   ftp.Reply          // a final reply that waits for the end of the data
	lost    *ftp.ControlClosed // the end of the connection, which waits for the end of the transfer
	moving  bool               // true from the command that announces the address to the end of the transfer
	held    []rung             // rungs to be drawn when the transfer ends, or at once if there is only one session
}

// Observe draws what e adds to the ladder.
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
			return // a late event of a closed connection
		}
		t = &talk{Ladder: l, control: e.Control}
		l.talks[e.Control.ID] = t
	}
	t.handle(e.What)
	if len(l.talks) < 2 || !t.moving || t.lost != nil || len(t.held) == mostHeld {
		t.flush()
	}
}

// mostHeld is the maximum number of rungs that wait for the end of their transfer.
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

func (t *talk) handle(what ftp.Happening) {
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
		t.put(rung{left: "TLS ends", arrow: t.Pen.arrow(ftp.ServerPI), right: "CCC: no longer encrypted"})
	case ftp.DataOffered:
		t.offer, t.opened, t.failed, t.keeps = h, false, false, false
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

// put adds a rung to those that flush draws.
func (t *talk) put(r rung) { t.held = append(t.held, r) }

func (t *talk) tag() string { return fmt.Sprintf("#%d", t.control.ID) }

// dialFailed draws a control connection that could not be established.
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

// begin draws the control connection, below a header that names the columns. From the second session on,
// each rung has the label of its session.
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

// ends returns our address and the peer's in the order of the drawing: the client's, then the server's.
func (t *talk) ends(local, remote netip.AddrPort) (user, server netip.AddrPort) {
	if t.control.Side == ftp.UserPI {
		return local, remote
	}
	return remote, local
}

// onLeft and onRight return the text for one end of a connection: ":51234 dials" and "dials :51234".
func (t *talk) onLeft(a netip.AddrPort, does string) string {
	user, _ := t.ends(t.control.Local, t.control.Remote)
	return strings.TrimSpace(Port(a, user) + " " + does)
}

func (t *talk) onRight(does string, a netip.AddrPort) string {
	if t.Proxy != "" {
		return does // the port is that of the proxy
	}
	_, server := t.ends(t.control.Local, t.control.Remote)
	return strings.TrimSpace(does + " " + Port(a, server))
}

// Port returns an address as ":51234", or with the host if that is not the one of known. It returns "" if a
// proxy hides the address.
func Port(a, known netip.AddrPort) string {
	switch {
	case !a.IsValid() || a.Port() == 0:
		return ""
	case a.Addr() != known.Addr():
		return a.String()
	}
	return fmt.Sprintf(":%d", a.Port())
}

// command draws commands for data connections. PORT, EPRT and transfer commands may have to wait: see Ladder.
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
			r.right = "because EPSV was refused"
		}
		t.noEPSV = false
		t.put(r)
	case c.Verb == "EPRT", c.Verb == "PORT":
		t.address = c
	case ftp.IsTransfer(c.Verb) && t.busy != "":
		t.ahead = append(t.ahead, c)
	case ftp.IsTransfer(c.Verb):
		t.busy, t.next, t.final, t.began = c.Verb, t.named(c), ftp.Reply{}, ftp.Reply{}
		if t.offer.Said == "" || t.keeps || t.offer.Mode == ftp.Active || t.opened || t.failed {
			t.drawNext()
		}
	}
}

// named returns the text of a transfer command. If it is too long, the end of its path is kept, which tells
// more than the beginning.
func (t *talk) named(c ftp.Command) string {
	text := t.Pen.Clean(strings.TrimSpace(c.Verb + " " + c.Arg))
	if over := term.Cells(text) - (arrowAt - gap); over > 0 {
		room := arrowAt - gap - term.Cells(c.Verb+" "+t.Pen.more)
		return c.Verb + " " + t.Pen.more + term.TruncateLeft(text, term.Cells(text)-room)
	}
	return text
}

// drawNext draws the transfer command that waits and, if the data connection is open or has failed, its 150.
func (t *talk) drawNext() {
	if t.next != "" {
		t.put(rung{command: true, left: t.next, arrow: t.Pen.arrow(ftp.ServerPI)})
		t.next = ""
	}
	if t.began.Code != 0 && (t.opened || t.keeps || t.failed) {
		t.drawReply(t.began)
		t.began = ftp.Reply{}
	}
}

// unanswered draws a PORT or EPRT that has got no reply.
func (t *talk) unanswered() {
	if t.address.Verb != "" {
		t.announced(ftp.Reply{})
	}
}

// reply draws replies to commands that announce an address, final replies to transfers, and all refusals.
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
		if t.keeps = t.keeps || r.Code == 125; t.next == "" {
			t.drawNext()
		}
	case r.Code.Class() == ftp.Preliminary:
	case verb != "" && verb == t.busy && t.final.Code != 0:
		t.finals = append(t.finals, r)
	case verb != "" && verb == t.busy:
		if t.control.Side == ftp.UserPI {
			t.final = r // the data may not have ended yet
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

// drawReply draws a reply: only its code if it is positive, else all of it.
func (t *talk) drawReply(reply ftp.Reply) {
	r := rung{arrow: t.Pen.arrow(ftp.UserPI), right: fmt.Sprint(int(reply.Code))}
	if reply.Code.Class() >= ftp.TransientFail {
		r.right, r.bad = reply.String(), true
	}
	t.put(r)
}

// listening draws a reply to EPSV or PASV, which announces the server's address.
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
		return // the reply to EPSV ALL
	default:
		r.bad = true
		t.noEPSV = verb == "EPSV"
	}
	t.put(r)
}

// announced draws a PORT or EPRT, which announces the client's address, with its reply.
func (t *talk) announced(reply ftp.Reply) {
	parse := ftp.ParseHostPort
	if t.address.Verb == "EPRT" {
		parse = ftp.ParseEPRT
	}
	addr, _ := parse(t.address.Arg)
	user, _ := t.ends(t.control.Local, t.control.Remote)
	r := rung{command: true, left: fmt.Sprintf("%s :%d", t.address.Verb, addr.Port()), arrow: t.Pen.arrow(ftp.ServerPI)}
	switch reply.Code.Class() {
	case 0: // no reply
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

// where returns an address, but only its port if the host is that of known.
func where(a, known netip.AddrPort) string {
	if a.Addr() == known.Addr() {
		return fmt.Sprint(a.Port())
	}
	return a.String()
}

// dataOpened draws a data connection. In active mode, the stances and the arrow are reversed.
func (t *talk) dataOpened(h ftp.DataOpened) {
	t.opened = true
	user, server := t.ends(h.Local, h.Remote)
	r := rung{label: "data", left: t.onLeft(user, "dials"), arrow: t.Pen.arrow(ftp.ServerPI), right: t.onRight("listens", server), notes: []string{"passive"}}
	if h.Mode == ftp.Active {
		r = rung{label: "data", left: t.onLeft(user, "listens"), arrow: t.Pen.arrow(ftp.UserPI), right: t.onRight("dials", server), notes: []string{"active: the roles are reversed"}}
	}
	if t.Proxy == "" && t.control.Side == ftp.UserPI && h.Mode == ftp.Passive && t.offer.Addr.IsValid() && t.offer.Addr.Addr() != h.Remote.Addr() && h.Remote.IsValid() {
		r.notes = append(r.notes, fmt.Sprintf("227 announced %v%s: the host of the control connection was dialed instead", t.offer.Addr.Addr(), ifPrivate(t.offer.Addr.Addr())))
	}
	t.put(r)
	t.drawNext()
}
