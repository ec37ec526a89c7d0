package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// logLevels are the words of --log-level.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// serverLogs are the logs of serve.
type serverLogs struct {
	level slog.LevelVar
	out   *logFile // where the log goes
	xfer  *logFile // the xferlog
	log   *slog.Logger
	see   ftp.Observer
}

// openLogs makes the logs: a line per session, login and transfer, and for each
// refusal. They are one more observer.
func (e *env) openLogs(cf *config) (*serverLogs, error) {
	l := &serverLogs{out: &logFile{instead: e.err}, xfer: &logFile{instead: io.Discard}}
	files, err := openLogFiles(cf)
	if err != nil {
		return nil, err
	}
	l.take(cf, files)
	opts := &slog.HandlerOptions{Level: &l.level}
	if cf.str("log-format") == "json" {
		l.log = slog.New(slog.NewJSONHandler(l.out, opts))
	} else {
		l.log = slog.New(slog.NewTextHandler(l.out, opts))
	}
	see := observers{&eventLog{log: l.log, xfer: l.xfer, sessions: map[uint64]*seen{}}}
	if cf.on("verbose") {
		see = append(see, wireLog(e.err))
	}
	if cf.on("explain") {
		see = append(see, newLadder(e.err, terminalWidth(e.err)))
	}
	l.see = see
	return l, nil
}

// logFiles are the files of the logs; nil is none.
type logFiles struct{ out, xfer *os.File }

// openLogFiles opens them anew: they may have other names by now, or have been renamed
// by logrotate.
func openLogFiles(cf *config) (f logFiles, err error) {
	if f.out, err = openLog(cf, "log-file"); err == nil {
		f.xfer, err = openLog(cf, "xferlog")
	}
	if err != nil {
		f.close()
	}
	return f, err
}

// openLog opens what a setting names. A pipe that nobody reads is an error, nothing to
// wait for.
func openLog(cf *config, setting string) (*os.File, error) {
	name := cf.str(setting)
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, cf.located(setting, localProblem(name, err))
	}
	return f, nil
}

func (f logFiles) close() {
	for _, one := range []*os.File{f.out, f.xfer} {
		if one != nil {
			_ = one.Close()
		}
	}
}

// take goes on with files, and at the level, of a configuration.
func (l *serverLogs) take(cf *config, f logFiles) {
	l.out.use(f.out)
	l.xfer.use(f.xfer)
	level := logLevels[cf.str("log-level")]
	if cf.on("quiet") {
		level = max(level, slog.LevelWarn)
	}
	l.level.Set(level)
}

// use makes a server write to the logs.
func (l *serverLogs) use(o *server.Options, certs *certificates) {
	o.Log, o.Observer = l.log, l.see
	if certs != nil {
		certs.log = l.log
	}
}

func (l *serverLogs) close() {
	l.out.use(nil)
	l.xfer.use(nil)
}

// logFile is a file that lines are appended to.
type logFile struct {
	instead io.Writer // where there is no file

	mu sync.Mutex
	f  *os.File
}

// use goes on in that file; nil is none.
func (l *logFile) use(f *os.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		_ = l.f.Close()
	}
	l.f = f
}

// kept reports whether what is written is kept anywhere.
func (l *logFile) kept() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f != nil || l.instead != io.Discard
}

// Write writes whole lines.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return l.instead.Write(line)
	}
	return l.f.Write(line)
}

// eventLog writes events as log lines.
type eventLog struct {
	log      *slog.Logger
	xfer     io.Writer
	mu       sync.Mutex
	sessions map[uint64]*seen
}

// seen is what was seen of a session.
type seen struct {
	since     time.Time
	user      string
	control   string // TLS's version, or "clear"
	data      string // of the data connection under TLS that came last
	ascii     bool   // TYPE A
	typeAsked string
	commands  int
	transfers int
	down, up  int64
}

func (l *eventLog) Observe(e ftp.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[e.Control.ID]
	if s == nil { // of somebody who was not let in
		s = &seen{since: e.At, control: inClear}
	}
	id, from := e.Control.ID, e.Control.Remote
	// What nobody reads is not put together: most replies are only told to a log at debug.
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
			l.log.Debug("control connection under TLS", "session", id, "tls", h.TLS.Version, "suite", h.TLS.Suite, "resumed", h.TLS.Resumed, "peer", plain(h.TLS.Peer))
		}
	case ftp.ControlCleared:
		s.control = inClear
	case ftp.DataOpened:
		s.data = "none" // until the handshake is over
	case ftp.DataSecured:
		s.data = h.TLS.Version
	case ftp.LoggedInAs:
		s.user = h.User
		l.log.Info("logged in", "session", id, "user", plain(h.User), "from", from, "tls", s.control)
	case ftp.CommandGiven:
		s.command(h.Command)
	case ftp.ReplyGiven:
		s.reply(h)
		if debug {
			l.log.Debug("reply", "session", id, "verb", plain(h.Verb), "code", int(h.Reply.Code), "text", plain(h.Reply.Last()))
		}
	case ftp.TransferDone:
		l.transfer(e, s, h)
	case ftp.ControlClosed:
		delete(l.sessions, e.Control.ID)
		s.closed(l.log, e, h)
	default:
		refusal(l.log, e)
	}
}

// refusal logs what was refused, and the setting that decides.
func refusal(log *slog.Logger, e ftp.Event) {
	if !log.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	attrs := []any{"session", e.Control.ID, "from", e.Control.Remote.String()}
	var option string
	msg := "refused"
	switch h := e.What.(type) {
	case ftp.Refused:
		attrs, option = append(attrs, "why", plain(h.Why)), h.Option
	case ftp.StrangerRefused:
		attrs = append(attrs, "why", "a stranger called on a data port", "stranger", h.Remote)
		option = "data-any-host"
	case ftp.DataFailed:
		var guard *dtp.GuardError
		if errors.Is(h.Err, dtp.ErrNotResumed) {
			option = "tls-session-reuse"
		} else if !errors.As(h.Err, &guard) {
			msg = "no data connection"
		} else if option = "data-any-host"; guard.Addr.Port() < 1024 {
			option = "data-low-ports"
		}
		attrs = append(attrs, "why", plain(h.Err.Error()), "mode", h.Mode.String(), "stance", h.Stance.String(), "addr", h.Addr)
	default:
		return
	}
	if option != "" {
		attrs = append(attrs, "option", option)
	}
	log.Warn(msg, attrs...)
}

// inClear is a connection without TLS.
const inClear = "clear"

// plain is text without control characters and of a length that a line can bear:
// most of what is logged was written by somebody else.
func plain(s string) string {
	const most = 1024
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return ftp.Printable(s)
}

// command counts, and keeps what TYPE asks for until its reply.
func (s *seen) command(c ftp.Command) {
	s.commands++
	if c.Verb == "TYPE" {
		s.typeAsked = strings.ToUpper(c.Arg)
	}
}

func (s *seen) reply(r ftp.ReplyGiven) {
	switch {
	case r.Reply.Code.Class() != ftp.Completion:
	case r.Verb == "TYPE":
		s.ascii = strings.HasPrefix(s.typeAsked, "A")
	case r.Verb == "REIN":
		s.user, s.ascii = "", false
	}
}

// closed is the one line about a session.
func (s *seen) closed(log *slog.Logger, e ftp.Event, h ftp.ControlClosed) {
	if !log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	attrs := []any{
		"session", e.Control.ID, "user", plain(s.user), "from", e.Control.Remote, "tls", s.control, "seconds", seconds(e.At.Sub(s.since)),
		"commands", s.commands, "transfers", s.transfers, "sent", s.down, "received", s.up,
	}
	if h.Err != nil {
		attrs = append(attrs, "err", plain(h.Err.Error()))
	}
	log.Info("session closed", attrs...)
}

// transfer is the line about a transfer, and that in the xferlog.
func (l *eventLog) transfer(e ftp.Event, s *seen, t ftp.TransferDone) {
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
	if f, ok := l.xfer.(*logFile); !ok || f.kept() {
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
		"session", e.Control.ID, "user", plain(s.user), "verb", t.Verb, "path", plain(t.Path), "bytes", t.Bytes, "seconds", seconds(t.Took),
		"rate", perSecond(t.Bytes, t.Took), "mode", t.Mode.String(), "stance", e.Control.Side.Stance(t.Mode).String(),
		"tls", secured, "from", e.Control.Remote,
	}
	if t.Err == nil {
		l.log.Info("transferred", append(attrs, "result", "whole")...)
		return
	}
	l.log.Warn("transfer failed", append(attrs, "result", plain(why(t.Err)))...)
}

// why is an error of a transfer in words.
func why(err error) string {
	var reply *ftp.Error
	switch {
	case errors.As(err, &reply):
		return reply.Reply.String()
	case errors.Is(err, context.Canceled):
		return "broken off"
	}
	return err.Error()
}

// seconds are rounded to milliseconds: no more can be told by them.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// perSecond is a rate in bytes per second.
func perSecond(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took, time.Microsecond).Seconds())
}
