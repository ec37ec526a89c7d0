package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
)

// serverLog makes the log of serve: a line per session, login and transfer, and
// for each refusal of a data connection. It is one more observer.
func (e *env) serverLog(c *cli.Context) (*slog.Logger, ftp.Observer, error) {
	level, ok := logLevels[c.String("log-level")]
	if !ok {
		return nil, nil, usagef("--log-level %q: it is debug, info, warn or error", c.String("log-level"))
	}
	if c.Bool("quiet") {
		level = max(level, slog.LevelWarn)
	}
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch c.String("log-format") {
	case "text":
		h = slog.NewTextHandler(e.err, opts)
	case "json":
		h = slog.NewJSONHandler(e.err, opts)
	default:
		return nil, nil, usagef("--log-format %q: it is text or json", c.String("log-format"))
	}
	log := slog.New(h)
	var see observers
	if log.Enabled(context.Background(), slog.LevelWarn) {
		see = append(see, &eventLog{log: log, users: map[uint64]string{}})
	}
	if c.Bool("verbose") {
		see = append(see, wireLog(e.err))
	}
	if c.Bool("explain") {
		see = append(see, newLadder(e.err, terminalWidth(e.err)))
	}
	return log, see, nil
}

// eventLog writes events as log lines.
type eventLog struct {
	log   *slog.Logger
	mu    sync.Mutex
	users map[uint64]string // by session
}

func (l *eventLog) Observe(e ftp.Event) {
	id := slog.Uint64("session", e.Control.ID)
	switch h := e.What.(type) {
	case ftp.ControlOpened:
		l.log.Info("session opened", id, "from", e.Control.Remote)
	case ftp.LoggedInAs:
		l.setUser(e.Control.ID, h.User)
		l.log.Info("logged in", id, "user", ftp.Printable(h.User), "from", e.Control.Remote)
	case ftp.ReplyGiven:
		if l.log.Enabled(context.Background(), slog.LevelDebug) {
			l.log.Debug("reply", id, "verb", h.Verb, "code", int(h.Reply.Code), "text", ftp.Printable(h.Reply.Last()))
		}
		if h.Verb == "PASS" && h.Reply.Code.Class() == ftp.PermanentFail {
			l.log.Warn("login refused", id, "from", e.Control.Remote)
		}
	case ftp.StrangerRefused:
		l.log.Warn("a stranger called on a data port", id, "from", h.Remote)
	case ftp.DataFailed:
		l.log.Warn("no data connection", id, "mode", h.Mode.String(), "addr", h.Addr, "err", h.Err)
	case ftp.TransferDone:
		l.transfer(id, e.Control.ID, h)
	case ftp.ControlClosed:
		l.setUser(e.Control.ID, "")
		if h.Err != nil {
			l.log.Info("session closed", id, "err", h.Err)
			return
		}
		l.log.Info("session closed", id)
	}
}

func (l *eventLog) transfer(id slog.Attr, session uint64, t ftp.TransferDone) {
	attrs := []any{
		id, "user", l.user(session), "verb", t.Verb, "path", ftp.Printable(t.Path), "bytes", t.Bytes,
		"seconds", t.Took.Seconds(), "mode", t.Mode.String(),
	}
	if t.Err == nil {
		l.log.Info("transferred", attrs...)
		return
	}
	var reply *ftp.Error
	why := t.Err.Error()
	if errors.As(t.Err, &reply) {
		why = reply.Reply.String()
	} else if errors.Is(t.Err, context.Canceled) {
		why = "broken off"
	}
	l.log.Warn("transfer failed", append(attrs, "err", why)...)
}

func (l *eventLog) setUser(session uint64, user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if user == "" {
		delete(l.users, session)
		return
	}
	l.users[session] = ftp.Printable(user)
}

func (l *eventLog) user(session uint64) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.users[session]
}
