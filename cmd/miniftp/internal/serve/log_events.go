package serve

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp"
)

// eventLog writes events as log lines.
type eventLog struct {
	log      *slog.Logger
	xfer     io.Writer
	xferKept func() bool // whether what is written to xfer is kept anywhere
	sessions *sessions.List
	also     []func(ftp.Event, *sessions.Session) // follow the sessions, too

	mu        sync.Mutex
	strangers perMinute // lines about clients that are not admitted or never log in
}

func newEventLog(log *slog.Logger, xfer io.Writer, xferKept func() bool) *eventLog {
	l := &eventLog{log: log, xfer: xfer, xferKept: xferKept}
	l.sessions = sessions.New(settings.Deciding, l.follow)
	return l
}

func (l *eventLog) Observe(e ftp.Event) { l.sessions.Observe(e) }

// follow logs an event of the session s, which is as it is after the event. admitted is false for a new client, and
// for one that was not admitted.
func (l *eventLog) follow(e ftp.Event, s *sessions.Session, admitted bool) {
	for _, follow := range l.also {
		follow(e, s)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id, from := e.Control.ID, e.Control.Remote
	// Replies are frequent, and are logged only at debug. At other levels, their lines are not even composed.
	debug := l.log.Enabled(context.Background(), slog.LevelDebug)
	switch h := e.What.(type) {
	case ftp.ControlOpened:
		if debug {
			l.log.Debug("session opened", "session", id, "from", from)
		}
	case ftp.ControlSecured:
		if debug {
			l.log.Debug("control connection under TLS", "session", id, "tls", h.TLS.Version, "suite", h.TLS.Suite, "resumed", h.TLS.Resumed, "peer", clean(h.TLS.Peer))
		}
	case ftp.LoggedInAs:
		if !allow(&s.Lines, linesPerSession, "logged in") {
			return
		}
		l.log.Info("logged in", "session", id, "user", clean(h.User), "from", from, "tls", s.TLS, "result", done)
	case ftp.ReplyGiven:
		if debug {
			l.log.Debug("reply", "session", id, "verb", clean(h.Verb), "code", int(h.Reply.Code), "text", clean(h.Reply.Last()))
		}
	case ftp.TransferDone:
		l.transfer(e, s, h)
	case ftp.Changed:
		l.changed(e, s, h)
	case ftp.ControlClosed:
		rest(&s.Lines, linesPerSession, l.log, "session", id, "user", clean(s.User), "from", from)
		if s.EverIn || l.strangers.allow(l.log, e.At, "session closed without a login") {
			l.closed(e, s, h)
		}
	case ftp.Refused, ftp.StrangerRefused, ftp.DataFailed:
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
func (l *eventLog) changed(e ftp.Event, s *sessions.Session, c ftp.Changed) {
	attrs := []any{"session", e.Control.ID, "user", clean(s.User), "from", e.Control.Remote, "verb", c.Verb, "path", clean(c.Path)}
	if c.To != "" {
		attrs = append(attrs, "to", clean(c.To))
	}
	if c.Reply.Code.Class() == ftp.Completion {
		l.log.Info("changed", append(attrs, "result", done)...)
	} else if allow(&s.Lines, linesPerSession, fmt.Sprintf("%s answered %d", c.Verb, c.Reply.Code)) {
		l.log.Warn("refused", append(attrs, "why", clean(c.Reply.String()), "result", refused)...)
	}
}

// refusal logs a refusal or a failed data connection, and the setting that decides about it.
func (l *eventLog) refusal(e ftp.Event, s *sessions.Session, admitted bool) {
	if !l.log.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	attrs := []any{"session", e.Control.ID}
	user := s.User
	if r, ok := e.What.(ftp.Refused); ok {
		user = cmp.Or(r.User, user)
	}
	if user != "" {
		attrs = append(attrs, "user", clean(user))
	}
	attrs = append(attrs, "from", e.Control.Remote.String())
	var reason ftp.Reason
	line := ""
	msg := refused
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
		msg, reason, _ = sessions.DataFailure(h)
		attrs = append(attrs, "why", clean(h.Err.Error()), "mode", h.Mode.String(), "stance", h.Stance.String(), "addr", h.Addr)
	}
	option := settings.Deciding(reason)
	if option != "" {
		attrs = append(attrs, "option", option)
	}
	if msg == refused {
		attrs = append(attrs, "result", refused)
	}
	line = strings.Join(strings.Fields(msg+" "+line+" "+option), " ")
	if s.EverIn && allow(&s.Lines, linesPerSession, line) || !s.EverIn && l.strangers.allow(l.log, e.At, line) && (!admitted || allow(&s.Lines, linesPerSession, line)) {
		l.log.Warn(msg, attrs...)
	}
}

// inClear is logged in place of a TLS version for a connection without TLS.
const inClear = sessions.InClear

// clean returns s without control characters and shortened to what fits in a log line. It must be used
// for all text that comes from a client.
func clean(s string) string { return sessions.Clean(s) }

// closed logs the summary of a session.
func (l *eventLog) closed(e ftp.Event, s *sessions.Session, h ftp.ControlClosed) {
	level := slog.LevelInfo
	if isCheck(e, s, h) {
		level = slog.LevelDebug
	}
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{
		"session", e.Control.ID, "user", clean(s.User), "from", e.Control.Remote, "tls", s.TLS, "seconds", seconds(l.sessions.Age(s, e.At)),
		"commands", s.Commands, "transfers", s.Transfers, "changes", s.Changes, "sent", s.Sent, "received", s.Received,
	}
	if h.Err != nil {
		attrs = append(attrs, "err", clean(h.Err.Error()))
	}
	l.log.Log(context.Background(), level, "session closed", attrs...)
}

// isCheck reports whether a session was a health check by this host: it sent QUIT at most.
func isCheck(e ftp.Event, s *sessions.Session, h ftp.ControlClosed) bool {
	remote := e.Control.Remote.Addr()
	return s.Commands <= 1 && h.Err == nil && (remote.IsLoopback() || remote == e.Control.Local.Addr())
}

// transfer logs a transfer, in the log and in the xferlog.
func (l *eventLog) transfer(e ftp.Event, s *sessions.Session, t ftp.TransferDone) {
	secured := inClear
	if t.Protection == ftp.Private {
		secured = s.DataTLS
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
		"session", e.Control.ID, "user", clean(s.User), "verb", t.Verb, "path", clean(t.Path), "bytes", t.Bytes, "seconds", seconds(t.Took),
		"rate", perSecond(t.Bytes, t.Took), "mode", t.Mode.String(), "stance", e.Control.Side.Stance(t.Mode).String(),
		"tls", secured, "from", e.Control.Remote,
	}
	if t.Err == nil {
		if t.SHA256 != "" {
			attrs = append(attrs, "sha256", t.SHA256)
		}
		if t.Doubt != "" {
			attrs = append(attrs, "doubt", t.Doubt)
		}
		l.log.Info("transferred", append(attrs, "result", whole)...)
		return
	}
	l.log.Warn("transfer failed", append(attrs, "result", clean(sessions.Reason(t.Err)))...)
}

// The results that are logged. That of a transfer that failed is the reason.
const (
	whole   = "whole" // of a complete transfer
	done    = "done"  // of a login, and of a command that has changed a file
	refused = "refused"
)

// seconds returns d in seconds, rounded to milliseconds.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// perSecond returns a rate in bytes per second.
func perSecond(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took, time.Microsecond).Seconds())
}
