package server

import (
	"net"
	"time"
)

// alarm is the read deadline of a control connection. It has two uses: it ends the owner's wait for the client,
// and other goroutines move it into the past to wake the owner from a read.
//
// The order of the steps makes sure that no news is missed. A goroutine with news makes it visible first and
// then calls wake. The owner sets its deadline first and then looks for news. Either the owner sees the news,
// or wake moves the deadline after the owner has set it and ends the read. arm is the only way to set the
// deadline for a read, and keeps this order.
type alarm struct {
	conn net.Conn  // the TCP connection; its deadlines apply to TLS over it, too
	at   time.Time // the deadline that the owner has set; zero: none, or unknown
}

// wake ends the owner's read, or the next one if the owner is not reading. Any goroutine may call it.
func (a *alarm) wake() { _ = a.conn.SetReadDeadline(time.Unix(1, 0)) }

// arm sets the deadline of the next read; zero means none. A deadline already set stays if it is earlier by
// less than slack. arm reports whether the owner may read: it may not if there is news.
func (a *alarm) arm(at time.Time, slack time.Duration, news func() bool) bool {
	if d := at.Sub(a.at); a.at.IsZero() || at.IsZero() || d >= slack || d < 0 {
		a.at = at
		_ = a.conn.SetReadDeadline(at)
	}
	return !news()
}

// rang is called after a read has hit its deadline. It reports whether the time set by arm has come; otherwise
// it was a wake-up, and the deadline is cleared.
func (a *alarm) rang(now time.Time) bool {
	at := a.at
	a.at = time.Time{}
	if at.IsZero() || now.Before(at) {
		_ = a.conn.SetReadDeadline(time.Time{})
		return false
	}
	return true
}

// forget is called when something else has set the deadline or the idle limit has changed, so that the next arm
// sets it again.
func (a *alarm) forget() { a.at = time.Time{} }
