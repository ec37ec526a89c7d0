package metrics

import (
	"errors"
	"net"
	"syscall"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// handshake is what TLS handshakes are counted by.
type handshake struct {
	which   string // "control" or "data"
	version string
	resumed bool
}

// connection is what data connections are counted by.
type connection struct {
	outcome string
	stance  ftp.Stance
}

// The outcomes of data connections.
const (
	opened       = "opened"
	nobodyCame   = "nobody_came"
	noAnswer     = "no_answer"
	dialFailed   = "dial_failed"
	acceptFailed = "accept_failed"
	refused      = "refused"
	stranger     = "stranger"
	notResumed   = "not_resumed"
	tlsFailed    = "tls_failed"
	canceled     = "canceled"
)

func handshakesOf() (all []handshake) {
	for _, which := range []string{"control", "data"} {
		for _, version := range []string{"TLS 1.2", "TLS 1.3"} {
			all = append(all, handshake{which, version, false}, handshake{which, version, true})
		}
	}
	return all
}

func connectionsOf() (all []connection) {
	for _, outcome := range []string{opened, refused, notResumed, tlsFailed, canceled} {
		all = append(all, connection{outcome, ftp.Listens}, connection{outcome, ftp.Dials})
	}
	return append(all, connection{nobodyCame, ftp.Listens}, connection{acceptFailed, ftp.Listens}, connection{stranger, ftp.Listens}, connection{noAnswer, ftp.Dials}, connection{dialFailed, ftp.Dials})
}

// Follow counts an event of session s. It is called by the function that follows the sessions in l, so it is not called
// concurrently.
func (m *Metrics) Follow(l *sessions.List, e ftp.Event, s *sessions.Session) {
	if reason, ok := sessions.RefusedFor(e.What); ok {
		m.refuse(reason)
	}
	switch h := e.What.(type) {
	case ftp.ControlOpened:
		m.opened.Inc()
	case ftp.ControlClosed:
		m.sessionTime.Update(l.Age(s, e.At).Seconds())
	case ftp.ControlSecured:
		m.secured("control", h.TLS)
	case ftp.CommandGiven:
		m.commands.Inc()
	case ftp.ReplyGiven:
		m.replied(h, s)
		if took, ok := l.FirstReply(); ok {
			m.replyTime.Update(took.Seconds())
		}
	case ftp.LoggedInAs:
		m.logins.Inc()
	case ftp.Changed:
		both, known := m.changes[h.Verb]
		if !known {
			both = m.changes[other]
		}
		both[index(h.Reply.Code.Class() == ftp.Completion)].Inc()
	case ftp.TransferDone:
		m.transferred(e.Control.Side.Stance(h.Mode), h)
	default:
		m.data(e.What)
	}
}

// data counts an event about a data connection. Other events are ignored.
func (m *Metrics) data(what ftp.Happening) {
	switch h := what.(type) {
	case ftp.DataOpened:
		m.connected(opened, h.Stance)
		m.openTime[h.Stance].Update(h.Took.Seconds())
	case ftp.DataSecured:
		m.secured("data", h.TLS)
	case ftp.DataFailed:
		m.connected(outcomeOf(h), h.Stance)
	case ftp.StrangerRefused:
		m.connected(stranger, ftp.Listens)
	}
}

// outcomeOf returns the outcome of a data connection that failed.
func outcomeOf(h ftp.DataFailed) string {
	_, reason, isRule := sessions.DataFailure(h)
	var handshake *dtp.TLSError
	var system syscall.Errno
	var network net.Error
	switch {
	case reason == ftp.ReasonNotResumed:
		return notResumed
	case isRule:
		return refused
	case errors.As(h.Err, &handshake):
		return tlsFailed
	case errors.Is(h.Err, dtp.ErrNobodyCame):
		return nobodyCame
	case errors.Is(h.Err, dtp.ErrNoAnswer):
		return noAnswer
	case !errors.As(h.Err, &system) && !errors.As(h.Err, &network):
		return canceled // the other errors say why it is no longer needed
	case h.Stance == ftp.Dials:
		return dialFailed
	}
	return acceptFailed
}

func (m *Metrics) connected(outcome string, stance ftp.Stance) {
	if c := m.connections[connection{outcome, stance}]; c != nil {
		c.Inc()
	}
}

func (m *Metrics) secured(which string, t ftp.TLS) {
	if c := m.handshakes[handshake{which, t.Version, t.Resumed}]; c != nil {
		c.Inc()
	}
}

func (m *Metrics) refuse(r ftp.Reason) {
	if r < 0 || int(r) >= reasons {
		r = ftp.ReasonOther
	}
	m.refused[r].Inc()
}

// kindOf returns the kind of a transfer.
func kindOf(verb string) int {
	switch {
	case sessions.Uploads(verb):
		return upload
	case verb == "RETR":
		return download
	}
	return listing
}

func (m *Metrics) transferred(stance ftp.Stance, t ftp.TransferDone) {
	kind, tls := kindOf(t.Verb), index(t.Protection == ftp.Private)
	m.transfers[kind][stance][tls][index(t.Err == nil)].Inc()
	m.transferTime[kind].Update(t.Took.Seconds())
	m.carried[kind][stance][tls] += uint64(max(0, t.Bytes))
}

// replied counts a reply, and a login that failed with it.
func (m *Metrics) replied(r ftp.ReplyGiven, s *sessions.Session) {
	code := int(r.Reply.Code)
	if code < 100 || code >= len(m.replies) {
		return
	}
	if m.replies[code] == nil {
		m.newReply(code)
	}
	m.replies[code].Inc()
	if (r.Verb == "PASS" || r.Verb == "USER") && code >= 400 && code/10 != 50 { // 50x: it was no login
		m.failed[failure(code, s)].Inc()
	}
}

// failure returns the reason for which a login was answered with code.
func failure(code int, s *sessions.Session) string {
	why, known := s.Refusal()
	for _, r := range loginReasons {
		if known && r == why {
			return slug(r)
		}
	}
	if code == 530 || known && why == ftp.ReasonLogin {
		return incorrect
	}
	return other
}
