package sessions

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Version is the version of the form of events and sessions in JSON. A change that adds fields or kinds keeps it.
const Version = 1

// The kinds of events.
const (
	Opened      = "opened"
	Secured     = "secured"
	Cleared     = "cleared"
	LoggedIn    = "logged-in"
	Commanded   = "command"
	Replied     = "reply"
	Offered     = "data-offered"
	DataOpened  = "data-opened"
	DataSecured = "data-secured"
	DataFailed  = "data-failed"
	Stranger    = "stranger"
	Refused     = "refused"
	Changed     = "changed"
	Transfer    = "transfer"
	Closed      = "closed"
	Lost        = "lost" // events were lost, because the listener did not read them in time
)

// Event is an event of a server, for people and programs. docs/operating.md documents its form in JSON. Fields that are
// empty, 0 or false are left out. Texts from clients have no control characters, and passwords are masked.
type Event struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Server  string    `json:"server,omitempty"` // where the events of several servers are shown together
	Session uint64    `json:"session,omitempty"`
	User    string    `json:"user,omitempty"`
	From    string    `json:"from,omitempty"`

	Verb   string `json:"verb,omitempty"`
	Arg    string `json:"arg,omitempty"`
	Path   string `json:"path,omitempty"` // virtual and absolute
	To     string `json:"to,omitempty"`   // the new path
	Code   int    `json:"code,omitempty"`
	Text   string `json:"text,omitempty"` // the last line of a reply
	Why    string `json:"why,omitempty"`
	Option string `json:"option,omitempty"` // the setting that decides about a refusal

	TLS     string `json:"tls,omitempty"`
	Suite   string `json:"suite,omitempty"`
	Resumed bool   `json:"resumed,omitempty"`
	Peer    string `json:"peer,omitempty"`
	Mode    string `json:"mode,omitempty"`
	Stance  string `json:"stance,omitempty"`
	Addr    string `json:"addr,omitempty"`
	Local   string `json:"local,omitempty"` // the server's address of a data connection
	Said    string `json:"said,omitempty"`

	Offset    int64   `json:"offset,omitempty"`
	Bytes     int64   `json:"bytes,omitempty"`
	Seconds   float64 `json:"seconds,omitempty"`
	Commands  uint32  `json:"commands,omitempty"`
	Transfers uint32  `json:"transfers,omitempty"`
	Changes   uint32  `json:"changes,omitempty"`
	Sent      int64   `json:"sent,omitempty"`
	Received  int64   `json:"received,omitempty"`
	SHA256    string  `json:"sha256,omitempty"` // of an upload, if the server computes it
	Doubt     string  `json:"doubt,omitempty"`  // of a complete upload that may be cut short
	Events    int     `json:"events,omitempty"` // that were lost
}

// event describes e. s is its session after e.
func (l *List) event(e ftp.Event, s *Session) Event {
	v := Event{Version: Version, Time: e.At.Round(0), Session: e.Control.ID, User: Clean(s.User), From: e.Control.Remote.String()}
	switch h := e.What.(type) {
	case ftp.ControlOpened:
		v.Kind = Opened
	case ftp.ControlSecured:
		v.Kind = Secured
		v.secured(h.TLS)
	case ftp.ControlCleared:
		v.Kind = Cleared
	case ftp.LoggedInAs:
		v.Kind = LoggedIn
		if s.TLS != InClear {
			v.TLS = s.TLS
		}
	case ftp.CommandGiven:
		c := h.Command.Masked()
		v.Kind, v.Verb, v.Arg = Commanded, Clean(c.Verb), Clean(c.Arg)
	case ftp.ReplyGiven:
		v.Kind, v.Verb, v.Code, v.Text = Replied, Clean(h.Verb), int(h.Reply.Code), Clean(h.Reply.Last())
	case ftp.Changed:
		v.Kind, v.Verb, v.Path, v.To, v.Code = Changed, h.Verb, Clean(h.Path), Clean(h.To), int(h.Reply.Code)
		if h.Reply.Code.Class() != ftp.Completion {
			v.Kind, v.Why = Refused, Clean(h.Reply.String())
		}
	case ftp.TransferDone:
		v.Kind, v.Verb, v.Path, v.Mode, v.Stance = Transfer, h.Verb, Clean(h.Path), h.Mode.String(), e.Control.Side.Stance(h.Mode).String()
		v.Offset, v.Bytes, v.Seconds = h.Offset, h.Bytes, seconds(h.Took)
		if h.Protection == ftp.Private {
			v.TLS = s.DataTLS
		}
		v.SHA256, v.Doubt = h.SHA256, h.Doubt
		if h.Err != nil {
			v.Why = Clean(Reason(h.Err))
		}
	case ftp.ControlClosed:
		v.Kind, v.Seconds = Closed, seconds(l.Age(s, e.At))
		v.Commands, v.Transfers, v.Changes, v.Sent, v.Received = s.Commands, s.Transfers, s.Changes, s.Sent, s.Received
		if h.Err != nil {
			v.Why = Clean(h.Err.Error())
		}
	default:
		l.other(&v, e)
	}
	return v
}

// other describes events about data connections and refusals.
func (l *List) other(v *Event, e ftp.Event) {
	switch h := e.What.(type) {
	case ftp.DataOffered:
		v.Kind, v.Mode, v.Stance, v.Addr, v.Said = Offered, h.Mode.String(), h.Stance.String(), h.Addr.String(), h.Said
	case ftp.DataOpened:
		v.Kind, v.Mode, v.Stance, v.Addr, v.Seconds = DataOpened, h.Mode.String(), h.Stance.String(), h.Remote.String(), seconds(h.Took)
		v.Local = h.Local.String()
	case ftp.DataSecured:
		v.Kind = DataSecured
		v.secured(h.TLS)
	case ftp.DataFailed:
		v.Kind, v.Mode, v.Stance, v.Addr, v.Why = DataFailed, h.Mode.String(), h.Stance.String(), h.Addr.String(), Clean(h.Err.Error())
		if _, reason, refused := DataFailure(h); refused {
			v.Option = l.option(reason)
		}
	case ftp.StrangerRefused:
		v.Kind, v.Addr, v.Option = Stranger, h.Remote.String(), l.option(ftp.ReasonForeignHost)
	case ftp.Refused:
		if h.User != "" {
			v.User = Clean(h.User)
		}
		v.Kind, v.Verb, v.Path, v.Why, v.Option = Refused, Clean(h.Verb), Clean(h.Path), Clean(h.Why), l.option(h.Reason)
	default:
		v.Kind = strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e.What), "ftp."))
	}
}

func (v *Event) secured(t ftp.TLS) {
	v.TLS, v.Suite, v.Resumed, v.Peer = t.Version, t.Suite, t.Resumed, Clean(t.Peer)
}

// DataFailure tells a data connection that a rule refused from one that could not be opened: msg is what the log says,
// and reason is the rule.
func DataFailure(h ftp.DataFailed) (msg string, reason ftp.Reason, refused bool) {
	var guard *dtp.GuardError
	switch {
	case errors.Is(h.Err, dtp.ErrNotResumed):
		return "refused", ftp.ReasonNotResumed, true
	case !errors.As(h.Err, &guard):
		return "no data connection", ftp.ReasonOther, false
	case guard.Addr.Port() < 1024:
		return "refused", ftp.ReasonLowPort, true
	}
	return "refused", ftp.ReasonForeignHost, true
}

// RefusedFor reports whether an event is a refusal by a rule of the server, and returns the rule.
func RefusedFor(what ftp.Happening) (reason ftp.Reason, ok bool) {
	switch h := what.(type) {
	case ftp.Refused:
		return h.Reason, true
	case ftp.StrangerRefused:
		return ftp.ReasonForeignHost, true
	case ftp.DataFailed:
		_, reason, ok = DataFailure(h)
	}
	return reason, ok
}

// Reason returns the reason for the failure of a transfer.
func Reason(err error) string {
	var reply *ftp.Error
	switch {
	case errors.As(err, &reply):
		return reply.Reply.String()
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return err.Error()
}

// Clean returns s without control characters and shortened to what fits in a line. It must be used for all text that
// comes from a client.
func Clean(s string) string {
	const most = 1024
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return ftp.Printable(s)
}

// seconds returns d in seconds, rounded to milliseconds.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// Kept is the number of recent events that a List holds.
const Kept = 100

// worthKeeping reports whether an event is one of those that a List holds: what people look for afterwards.
func worthKeeping(what ftp.Happening) bool {
	switch what.(type) {
	case ftp.LoggedInAs, ftp.TransferDone, ftp.Changed, ftp.Refused, ftp.StrangerRefused, ftp.DataFailed, ftp.ControlClosed:
		return true
	}
	return false
}

// Watcher receives the events of a List from the time when it was added.
type Watcher struct {
	C    chan Event
	lost int // guarded by List.mu
}

// Watch adds a Watcher that holds up to buffer events that its owner has not received yet. The owner must call stop.
func (l *List) Watch(buffer int) (w *Watcher, stop func()) {
	w = &Watcher{C: make(chan Event, buffer)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers[w] = struct{}{}
	return w, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, w)
	}
}

// Recent returns the last events: logins, transfers, changes, refusals and ends of sessions, the oldest first.
func (l *List) Recent() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append([]Event(nil), l.recent[l.next:]...), l.recent[:l.next]...)
}

// share passes an event to the watchers, and keeps it if it is worth it. List.mu must be held.
func (l *List) share(e ftp.Event, s *Session) {
	keep := worthKeeping(e.What)
	if !keep && len(l.watchers) == 0 {
		return
	}
	v := l.event(e, s)
	for w := range l.watchers {
		w.send(v)
	}
	switch {
	case !keep:
	case len(l.recent) < Kept:
		l.recent = append(l.recent, v)
	default:
		l.recent[l.next] = v
		l.next = (l.next + 1) % Kept
	}
}

// send passes an event to w, unless its buffer is full. In that case a later event is preceded by one that says how
// many were lost.
func (w *Watcher) send(v Event) {
	if w.lost > 0 {
		select {
		case w.C <- Event{Version: Version, Time: v.Time, Kind: Lost, Events: w.lost}:
			w.lost = 0
		default:
		}
	}
	if w.lost == 0 {
		select {
		case w.C <- v:
			return
		default:
		}
	}
	w.lost++
}
