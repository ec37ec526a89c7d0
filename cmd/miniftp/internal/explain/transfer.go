package explain

import (
	"errors"
	"fmt"
	"strings"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// This file draws TLS handshakes, transfers, and the ends of connections.

// secured draws a TLS handshake. The FTP client is the TLS client in both modes: active mode reverses only who
// listens and who dials.
func (t *talk) secured(s ftp.TLS) {
	how := s.Version
	if s.Resumed {
		how += ", resumed"
	}
	t.put(rung{left: "TLS client", arrow: t.Pen.arrow(ftp.ServerPI), right: "TLS server", notes: []string{how}})
}

// transferDone draws the bytes of a transfer, and then what waited for its end.
func (t *talk) transferDone(h ftp.TransferDone) {
	t.drawNext()
	if t.began.Code != 0 { // it still waits for a data connection, but there was none
		t.drawReply(t.began)
		t.began = ftp.Reply{}
	}
	if refused := errors.As(h.Err, new(*ftp.Error)) && h.Bytes == 0; (t.opened || t.keeps) && !refused {
		t.bytes(h)
	}
	switch {
	case t.final.Code == 0:
	case h.Err == nil && t.final.Code.Class() == ftp.TransientFail: // the client has aborted the transfer on purpose
		t.put(rung{arrow: t.Pen.arrow(ftp.UserPI), right: fmt.Sprint(int(t.final.Code)), notes: []string{"as requested"}})
	default:
		t.drawReply(t.final)
	}
	t.busy, t.opened, t.moving, t.final = "", false, false, ftp.Reply{}
	if len(t.ahead) > 0 { // drawn only now, so that the transfers are not mixed up
		t.busy, t.next, t.ahead = t.ahead[0].Verb, t.named(t.ahead[0]), t.ahead[1:]
		t.moving = true
	}
	if len(t.finals) > 0 {
		t.final, t.finals = t.finals[0], t.finals[1:]
	}
	if t.lost != nil {
		t.end(*t.lost)
	}
}

// bytes draws the double arrow, from the sender to the receiver.
func (t *talk) bytes(h ftp.TransferDone) {
	took, speed := "in "+term.Span(h.Took), ""
	if h.Bytes > 0 {
		speed = term.Rate(h.Bytes, h.Took)
	}
	long, short := term.Size(h.Bytes)+" "+took, term.Size(h.Bytes)
	r := rung{}
	switch {
	case t.Pen.fits(long):
		r.right = speed
	case t.Pen.fits(short):
		r.right = strings.TrimSuffix(took+", "+speed, ", ")
		long = short
	default:
		r.right = strings.TrimSuffix(long+", "+speed, ", ")
		long = ""
	}
	to := ftp.UserPI
	if h.Direction.Sender() == ftp.UserPI {
		to = ftp.ServerPI
	}
	r.arrow = t.Pen.bytes(to, long, false)
	if h.Err == nil && t.final.Code.Class() == ftp.TransientFail {
		r.notes = []string{"a segment: the rest arrives over another connection"}
		t.put(r)
		return
	}
	if why := cutShort(h.Err); why != "" {
		r.arrow, r.bad = t.Pen.bytes(to, long, true), true
		r.notes = []string{why}
	}
	t.put(r)
}

// cutShort returns why the bytes stopped, or "" if all arrived or the reply gives the reason.
func cutShort(err error) string {
	var cut *client.TruncatedError
	switch {
	case err == nil, errors.Is(err, client.ErrUnconfirmed):
		return ""
	case errors.As(err, &cut) && cut.Want >= 0:
		return fmt.Sprintf("cut short: %d of %d bytes", cut.Got, cut.Want)
	case errors.As(err, &cut):
		return fmt.Sprintf("cut short after %d bytes", cut.Got)
	case errors.As(err, new(*ftp.Error)):
		return "" // the reply gives the reason
	}
	return Reason(err)
}

// end draws why the control connection was lost, unless it ended by QUIT. If a transfer is running, its end is
// drawn first.
func (t *talk) end(h ftp.ControlClosed) {
	t.unanswered()
	if t.busy != "" && t.control.Side == ftp.UserPI {
		t.lost = &h
		return
	}
	if h.Err != nil && !errors.As(h.Err, new(*ftp.Error)) {
		t.put(t.Pen.failed(rung{label: "control"}, ftp.UserPI, false, Reason(h.Err)))
	}
	t.flush()
	delete(t.talks, t.control.ID)
}
