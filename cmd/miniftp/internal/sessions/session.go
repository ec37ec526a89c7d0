// Package sessions follows the sessions of a server by its events. From these it makes the list of sessions that
// miniftp who shows, the stream of events that miniftp events prints, and the lines for people in the log.
//
// It must not depend on the server: all that it knows comes from events.
package sessions

import (
	"strings"
	"sync"
	"time"

	"miniftp/ftp"
)

// InClear stands in for a TLS version where there is no TLS.
const InClear = "clear"

// noTLS is the TLS version of a data connection without TLS, or before its handshake is complete.
const noTLS = "none"

// Session holds what the events so far have shown about a session. There is one for each session, so it is small.
type Session struct {
	Control *ftp.Control
	User    string // "" before the login
	TLS     string // the TLS version of the control connection, or InClear
	DataTLS string // the TLS version of the last data connection
	verb    string // of the running command or, if none is running, of the last one
	arg     string // of the same command, with passwords masked, and shortened

	since  time.Duration // after List.epoch, like the following times
	active time.Duration // when the last command began or ended
	begun  time.Duration // when the running transfer began; 0: none is running

	Sent, Received               int64 // bytes, on data connections that have ended
	Commands, Transfers, Changes uint32

	EverIn bool // a user has logged in at some time
	ASCII  bool // TYPE A is set
	asked  bool // the last TYPE asked for A
	busy   bool // a command is running
	early  bool // it was answered by a 1xx reply
	mode   uint8
	stance uint8

	refused uint8 // 1 more than the ftp.Reason of the last refusal since the running command began; 0: there was none

	Lines Counts // lines of the log, by reason
}

// maxArg is the length to which the argument of a command is shortened.
const maxArg = 256

// update changes s as an event shows. now is the time of the event.
func (s *Session) update(e ftp.Event, now time.Duration) {
	switch h := e.What.(type) {
	case ftp.ControlSecured:
		s.TLS = h.TLS.Version
	case ftp.ControlCleared:
		s.TLS = InClear
	case ftp.DataOffered:
		s.way(h.Mode, h.Stance)
	case ftp.DataOpened:
		s.way(h.Mode, h.Stance)
		s.DataTLS = noTLS // until the handshake is complete
	case ftp.DataSecured:
		s.DataTLS = h.TLS.Version
	case ftp.LoggedInAs:
		s.User, s.EverIn = h.User, true
	case ftp.CommandGiven:
		s.command(h.Command, now)
	case ftp.ReplyGiven:
		s.reply(h, now)
	case ftp.Refused:
		s.refused = uint8(h.Reason) + 1
	case ftp.TransferDone:
		s.begun = 0
		s.Transfers++
		if h.Direction == ftp.Store {
			s.Received += h.Bytes
		} else {
			s.Sent += h.Bytes
		}
	case ftp.Changed:
		if h.Reply.Code.Class() == ftp.Completion {
			s.Changes++
		}
	}
}

// way records how the next or the current data connection is made.
func (s *Session) way(m ftp.DataMode, st ftp.Stance) { s.mode, s.stance = uint8(m), uint8(st) }

// command records a command. NOOP and STAT are answered while another command is running, which stays the one that
// is shown.
func (s *Session) command(c ftp.Command, now time.Duration) {
	s.Commands++
	s.active = now
	if c.Verb == "TYPE" {
		s.asked = len(c.Arg) > 0 && c.Arg[0]&^0x20 == 'A'
	}
	if s.busy && (c.Verb == "NOOP" || c.Verb == "STAT") {
		return
	}
	s.busy, s.early, s.begun, s.refused = true, false, 0, 0
	s.verb, s.arg = short(c.Verb), short(c.Arg)
}

// short returns text from a client, shortened to what is kept for the time until the next command.
func short(text string) string {
	if len(text) <= maxArg {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:maxArg]), "") + "…"
}

func (s *Session) reply(r ftp.ReplyGiven, now time.Duration) {
	class := r.Reply.Code.Class()
	if short(r.Verb) == s.verb {
		if class == ftp.Preliminary {
			s.begun, s.early = now, true
		} else {
			s.busy, s.begun, s.active = false, 0, now
		}
	}
	switch {
	case class != ftp.Completion:
	case r.Verb == "TYPE":
		s.ASCII = s.asked
	case r.Verb == "REIN":
		s.User, s.ASCII = "", false
	}
}

// List holds the sessions of a server. It is an ftp.Observer, and safe for concurrent use.
type List struct {
	option func(ftp.Reason) string
	follow func(e ftp.Event, s *Session, known bool)
	epoch  time.Time

	mu       sync.Mutex
	took     time.Duration // of the event that is being followed: see FirstReply
	open     map[uint64]*Session
	watchers map[*Watcher]struct{}
	recent   []Event // the last ones, in a ring
	next     int     // index in recent of the next one
}

// New returns an empty List. option returns the setting of the server that decides about refusals for a reason.
//
// follow is called with each event and the session that it belongs to, which includes what the event has changed.
// known is false if the session was not in the list before: it has just begun, or was not admitted. follow is not
// called concurrently, and must not keep the Session.
func New(option func(ftp.Reason) string, follow func(e ftp.Event, s *Session, known bool)) *List {
	return &List{option: option, follow: follow, epoch: time.Now(), open: map[uint64]*Session{}, watchers: map[*Watcher]struct{}{}}
}

// Observe adds an event.
func (l *List) Observe(e ftp.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := e.At.Sub(l.epoch)
	s, known := l.open[e.Control.ID]
	if !known {
		s = &Session{Control: e.Control, TLS: InClear, since: now, active: now}
	}
	l.took = s.waited(e, now)
	s.update(e, now)
	switch e.What.(type) {
	case ftp.ControlOpened:
		l.open[e.Control.ID] = s
	case ftp.ControlClosed:
		delete(l.open, e.Control.ID)
	}
	if l.follow != nil {
		l.follow(e, s, known)
	}
	l.share(e, s)
}

// FirstReply returns how long the client has waited for the reply that is being followed, if it is the first one to the
// running command. Only follow may call it.
func (l *List) FirstReply() (took time.Duration, ok bool) { return l.took, l.took >= 0 }

// waited returns how long the running command has lasted if e is the first reply to it, else -1. s is as it was before e.
func (s *Session) waited(e ftp.Event, now time.Duration) time.Duration {
	if r, ok := e.What.(ftp.ReplyGiven); ok && s.busy && !s.early && short(r.Verb) == s.verb {
		return max(0, now-s.active)
	}
	return -1
}

// Each calls first, and then f for each session, while no event is followed. They must not keep a Session, and not call
// the List.
func (l *List) Each(first func(), f func(s *Session)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first()
	for _, s := range l.open {
		f(s)
	}
}

// Running describes a running transfer.
type Running struct {
	Began   time.Duration // tells it from the other transfers of the session
	Verb    string
	Stance  ftp.Stance
	Private bool // under TLS
}

// Running returns the running transfer, if there is one.
func (s *Session) Running() (r Running, ok bool) {
	return Running{s.begun, s.verb, ftp.Stance(s.stance), s.DataTLS != "" && s.DataTLS != noTLS}, s.begun != 0
}

// Refusal returns why something was last refused since the running command began.
func (s *Session) Refusal() (why ftp.Reason, ok bool) {
	return ftp.Reason(s.refused) - 1, s.refused > 0
}

// Age returns how long the session has lasted at the time of an event.
func (l *List) Age(s *Session, at time.Time) time.Duration { return at.Sub(l.epoch) - s.since }

// Counts counts things by name. The zero value is empty. There are few names, so it is a list, which takes less
// memory than a map.
type Counts []Count

// Count is a name and how often it was counted.
type Count struct {
	Name string
	N    int
}

// Add counts name and returns how often it was counted.
func (c *Counts) Add(name string) int {
	for i := range *c {
		if one := &(*c)[i]; one.Name == name {
			one.N++
			return one.N
		}
	}
	*c = append(*c, Count{name, 1})
	return 1
}
