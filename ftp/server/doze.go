package server

import (
	"errors"
	"os"
	"time"

	"miniftp/ftp"
)

// A goroutine that has run a command keeps the stack that it took, and the session a
// buffer to read into. Of a session that has been still for a moment another
// goroutine takes care, whose stack is new and as small as can be, and which reads
// nothing until there is something to read.
const (
	moment      = 100 * time.Millisecond
	halfAMoment = moment / 2
)

// setDeadline bounds the wait for the next line. A session that transfers is
// not idle. The idle limit counts from the last command: bytes that are not a whole
// line do not move it. Moving the deadline a little is not worth the call.
func (s *session) setDeadline() {
	var at time.Time
	little := time.Second
	if s.job == nil {
		now := time.Now()
		s.asked = now
		if s.idleBy.IsZero() {
			s.idleBy = now.Add(s.idle)
		}
		if s.machine.Login != ftp.LoggedIn && s.idleBy.After(s.loginBy) {
			s.idleBy = s.loginBy
		}
		at = s.idleBy
		if s.canDoze && s.idleBy.Sub(now) > moment {
			at, little = now.Add(moment), halfAMoment
		}
	}
	if d := at.Sub(s.wakeAt); s.wakeAt.IsZero() || at.IsZero() || d >= little || d < 0 {
		s.wakeAt = at
		_ = s.conn.SetReadDeadline(at)
	}
}

// timeout handles the read deadline: it is a wake-up, the end of a moment without a
// command, which lets the session doze, or the idle limit.
func (s *session) timeout() (dozes bool) {
	at := s.wakeAt
	s.wakeAt = time.Time{}
	now := time.Now()
	switch {
	case at.IsZero() || now.Before(at):
		_ = s.conn.SetReadDeadline(time.Time{}) // woken; lives looks at what for
	case now.Before(s.idleBy):
		return true
	case s.machine.Login != ftp.LoggedIn && !s.idleBy.Before(s.loginBy):
		s.refused("no login in time", ftp.ReasonLoginTimeout)
		s.reply(ftp.Command{}, ftp.Replyf(421, "No login within %v. Goodbye.", s.set.LoginTimeout))
	default:
		s.refused("no command for too long", ftp.ReasonIdleTimeout)
		s.reply(ftp.Command{}, ftp.Replyf(421, "No command for %v. Goodbye.", s.idle))
	}
	return false
}

// doze waits for the client, on a goroutine of its own, until it says something, is
// gone or has been still for too long, or until the session is woken; then the session
// goes on. It keeps to the order of next: first the deadline, then a look for news.
func (s *session) doze() {
	s.out = nil
	s.lines.GiveBack()
	s.data.Shrink()
	s.wakeAt = s.idleBy
	_ = s.raw.SetReadDeadline(s.idleBy)
	var err error
	if !s.stopping.Load() {
		err = awaitInput(s.raw)
	}
	s.live(func() {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.timeout()
		}
	})
}
