package server

import (
	"net"
	"time"
)

// alarm is the read deadline of a control connection, which does two things: it ends a wait for the
// client in time, and it is how other goroutines wake the session's owner while he reads.
//
// Who has news for the owner makes it visible first and calls wake then, which moves the deadline
// into the past. The owner sets the deadline first and looks for news then. So whichever comes
// first, no news is missed: either the owner sees it, or the wake-up comes behind his deadline and
// ends his read. arm is the only way to set the deadline for a read, and keeps to that order.
type alarm struct {
	conn net.Conn  // the TCP connection; TLS over it has the same deadlines
	at   time.Time // the deadline that the owner has set; zero: none, or not known
}

// wake ends the owner's read, the next one if he is not reading. Any goroutine may call it.
func (a *alarm) wake() { _ = a.conn.SetReadDeadline(time.Unix(1, 0)) }

// arm has the next read end at that time; zero: never. It reports whether the owner may read: he may
// not if there is news. A deadline that is there already and differs by less than slack stays.
func (a *alarm) arm(at time.Time, slack time.Duration, news func() bool) bool {
	if d := at.Sub(a.at); a.at.IsZero() || at.IsZero() || d >= slack || d < 0 {
		a.at = at
		_ = a.conn.SetReadDeadline(at)
	}
	return !news()
}

// rang takes up a read that ended by its deadline: it reports whether the time has come. Else it was
// a wake-up.
func (a *alarm) rang(now time.Time) bool {
	at := a.at
	a.at = time.Time{}
	if at.IsZero() || now.Before(at) {
		_ = a.conn.SetReadDeadline(time.Time{})
		return false
	}
	return true
}

// forget is called when something else has set the deadline, or what it depends on has changed.
func (a *alarm) forget() { a.at = time.Time{} }
