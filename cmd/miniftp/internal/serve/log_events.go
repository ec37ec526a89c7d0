package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// eventLog writes events as log lines.
type eventLog struct {
	log      *slog.Logger
	xfer     io.Writer
	xferKept func() bool // whether what is written to xfer is kept anywhere

	mu        sync.Mutex
	sessions  map[uint64]*sessionState
	strangers perMinute // lines about clients that are not admitted or never log in
}

func newEventLog(log *slog.Logger, xfer io.Writer, xferKept func() bool) *eventLog {
	return &eventLog{log: log, xfer: xfer, xferKept: xferKept, sessions: map[uint64]*sessionState{}, strangers: perMinute{tally: tally{most: linesPerMinute}}}
}

// sessionState holds what the events so far have shown about a session.
type sessionState struct {
	since     time.Time
	user      string
	everIn    bool   // a user has logged in at some time
	control   string // the TLS version of the control connection, or "clear"
	data      string // the TLS version of the last data connection
	ascii     bool   // TYPE A is set
	typeAsked string // the argument of the last TYPE
	commands  int
	transfers int
	changes   int
	down, up  int64
	limited   tally // lines that a client can cause as often as it likes: refusals and logins
}

func (l *eventLog) Observe(e ftp.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, admitted := l.sessions[e.Control.ID]
	if !admitted { // a new client, or one that was not admitted
		s = &sessionState{since: e.At, control: inClear, limited: tally{most: linesPerSession}}
	}
	id, from := e.Control.ID, e.Control.Remote
	// Replies are frequent, and are logged only at debug. At other levels, their lines are not even composed.
	debug := l.log.Enabled(context.Background(), slog.LevelDebug)
	switch h := e.What.(type) {
	case ftp.ControlOpened:
		l.sessions[e.Control.ID] = s
		if debug {
			l.log.Debug("session opened", "session", id, "from", from)
		}
	case ftp.ControlSecured:
		s.control = h.TLS.Version
		if debug {
			l.log.Debug("control connection under TLS", "session", id, "tls", h.TLS.Version, "suite", h.TLS.Suite, "resumed", h.TLS.Resumed, "peer", clean(h.TLS.Peer))
		}
	case ftp.ControlCleared:
		s.control = inClear
	case ftp.DataOpened:
		s.data = "none" // until the handshake is complete
	case ftp.DataSecured:
		s.data = h.TLS.Version
	case ftp.LoggedInAs:
		s.user, s.everIn = h.User, true
		if !s.limited.allow("logged in") {
			return
		}
		l.log.Info("logged in", "session", id, "user", clean(h.User), "from", from, "tls", s.control)
	case ftp.CommandGiven:
		s.command(h.Command)
	case ftp.ReplyGiven:
		s.reply(h)
		if debug {
			l.log.Debug("reply", "session", id, "verb", clean(h.Verb), "code", int(h.Reply.Code), "text", clean(h.Reply.Last()))
		}
	case ftp.TransferDone:
		l.transfer(e, s, h)
	case ftp.Changed:
		l.changed(e, s, h)
	case ftp.ControlClosed:
		delete(l.sessions, e.Control.ID)
		s.limited.rest(l.log, "session", id, "user", clean(s.user), "from", from)
		if s.everIn || l.strangers.allow(l.log, e.At, "session closed without a login") {
			s.closed(l.log, e, h)
		}
	default:
		l.refusal(e, s, admitted)
	}
}

// end logs how many lines about strangers were left out.
func (l *eventLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strangers.rest(l.log)
}

// changed logs a command that changed a file, or that failed to.
func (l *eventLog) changed(e ftp.Event, s *sessionState, c ftp.Changed) {
	attrs := []any{"session", e.Control.ID, "user", clean(s.user), "from", e.Control.Remote, "verb", c.Verb, "path", clean(c.Path)}
	if c.To != "" {
		attrs = append(attrs, "to", clean(c.To))
	}
	if c.Reply.Code.Class() == ftp.Completion {
		s.changes++
		l.log.Info("changed", attrs...)
	} else if s.limited.allow(fmt.Sprintf("%s answered %d", c.Verb, c.Reply.Code)) {
		l.log.Warn("refused", append(attrs, "why", clean(c.Reply.String()))...)
	}
}

// refusal logs a refusal or a failed data connection, and the setting that decides about it. Other
// events are ignored.
func (l *eventLog) refusal(e ftp.Event, s *sessionState, admitted bool) {
	if !l.log.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	attrs := []any{"session", e.Control.ID}
	if s.user != "" {
		attrs = append(attrs, "user", clean(s.user))
	}
	attrs = append(attrs, "from", e.Control.Remote.String())
	var reason ftp.Reason
	line := ""
	msg := "refused"
	switch h := e.What.(type) {
	case ftp.Refused:
		if h.Verb != "" {
			attrs = append(attrs, "verb", h.Verb)
		}
		if h.Path != "" {
			attrs = append(attrs, "path", clean(h.Path))
		}
		attrs, reason, line = append(attrs, "why", clean(h.Why)), h.Reason, h.Verb
	case ftp.StrangerRefused:
		attrs = append(attrs, "why", "another host connected to the data port", "stranger", h.Remote)
		reason = ftp.ReasonForeignHost
	case ftp.DataFailed:
		var guard *dtp.GuardError
		if errors.Is(h.Err, dtp.ErrNotResumed) {
			reason = ftp.ReasonNotResumed
		} else if !errors.As(h.Err, &guard) {
			msg = "no data connection"
		} else if reason = ftp.ReasonForeignHost; guard.Addr.Port() < 1024 {
			reason = ftp.ReasonLowPort
		}
		attrs = append(attrs, "why", clean(h.Err.Error()), "mode", h.Mode.String(), "stance", h.Stance.String(), "addr", h.Addr)
	default:
		return
	}
	option := settings.Deciding(reason)
	if option != "" {
		attrs = append(attrs, "option", option)
	}
	line = strings.Join(strings.Fields(msg+" "+line+" "+option), " ")
	if s.everIn && s.limited.allow(line) || !s.everIn && l.strangers.allow(l.log, e.At, line) && (!admitted || s.limited.allow(line)) {
		l.log.Warn(msg, attrs...)
	}
}

// inClear is logged in place of a TLS version for a connection without TLS.
const inClear = "clear"

// clean returns s without control characters and shortened to what fits in a log line. It must be used
// for all text that comes from a client.
func clean(s string) string {
	const most = 1024
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return ftp.Printable(s)
}

// command counts a command, and keeps the argument of TYPE until its reply.
func (s *sessionState) command(c ftp.Command) {
	s.commands++
	if c.Verb == "TYPE" {
		s.typeAsked = strings.ToUpper(c.Arg)
	}
}

func (s *sessionState) reply(r ftp.ReplyGiven) {
	switch {
	case r.Reply.Code.Class() != ftp.Completion:
	case r.Verb == "TYPE":
		s.ascii = strings.HasPrefix(s.typeAsked, "A")
	case r.Verb == "REIN":
		s.user, s.ascii = "", false
	}
}

// closed logs the summary of a session.
func (s *sessionState) closed(log *slog.Logger, e ftp.Event, h ftp.ControlClosed) {
	if !log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	attrs := []any{
		"session", e.Control.ID, "user", clean(s.user), "from", e.Control.Remote, "tls", s.control, "seconds", seconds(e.At.Sub(s.since)),
		"commands", s.commands, "transfers", s.transfers, "changes", s.changes, "sent", s.down, "received", s.up,
	}
	if h.Err != nil {
		attrs = append(attrs, "err", clean(h.Err.Error()))
	}
	log.Info("session closed", attrs...)
}

// transfer logs a transfer, in the log and in the xferlog.
func (l *eventLog) transfer(e ftp.Event, s *sessionState, t ftp.TransferDone) {
	secured := inClear
	if t.Protection == ftp.Private {
		secured = s.data
	}
	s.transfers++
	if t.Direction == ftp.Store {
		s.up += t.Bytes
	} else {
		s.down += t.Bytes
	}
	if l.xferKept() {
		if line := xferLine(e, s, t); line != "" {
			_, _ = io.WriteString(l.xfer, line)
		}
	}
	level := slog.LevelInfo
	if t.Err != nil {
		level = slog.LevelWarn
	}
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{
		"session", e.Control.ID, "user", clean(s.user), "verb", t.Verb, "path", clean(t.Path), "bytes", t.Bytes, "seconds", seconds(t.Took),
		"rate", perSecond(t.Bytes, t.Took), "mode", t.Mode.String(), "stance", e.Control.Side.Stance(t.Mode).String(),
		"tls", secured, "from", e.Control.Remote,
	}
	if t.Err == nil {
		l.log.Info("transferred", append(attrs, "result", "whole")...)
		return
	}
	l.log.Warn("transfer failed", append(attrs, "result", clean(why(t.Err)))...)
}

// why returns the reason for the failure of a transfer.
func why(err error) string {
	var reply *ftp.Error
	switch {
	case errors.As(err, &reply):
		return reply.Reply.String()
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return err.Error()
}

// seconds returns d in seconds, rounded to milliseconds.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// perSecond returns a rate in bytes per second.
func perSecond(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took, time.Microsecond).Seconds())
}
