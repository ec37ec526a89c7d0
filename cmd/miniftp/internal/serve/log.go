package serve

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// logLevels are the words of --log-level.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// serverLogs are the logs of serve. All of them are written in the background.
type serverLogs struct {
	queue  *logQueue
	events *eventLog
	level  slog.LevelVar
	out    *logFile // where the log goes
	xfer   *logFile // the xferlog
	log    *slog.Logger
	see    ftp.Observer
}

// openLogs makes the logs: a line per session, login, transfer and change, and for each
// refusal. They are one more observer.
func openLogs(e *verb.Env, cf *config) (*serverLogs, error) {
	l := &serverLogs{out: &logFile{instead: e.Err}, xfer: &logFile{instead: io.Discard}}
	files, err := cf.openLogFiles()
	if err != nil {
		return nil, err
	}
	l.queue = newLogQueue()
	l.take(cf, files)
	out := l.queue.to(l.out)
	opts := &slog.HandlerOptions{Level: &l.level}
	switch format := cf.logFormat(e.Err); format {
	case "json":
		l.log = slog.New(slog.NewJSONHandler(out, opts))
	case "console":
		l.log = slog.New(consoleHandler{out, &l.level})
	default:
		l.log = slog.New(slog.NewTextHandler(out, opts))
	}
	l.queue.onDropped = func(lines int) {
		l.log.Warn("lines of the log were dropped: nothing read them in time", "lines", lines)
	}
	l.events = newEventLog(l.log, l.queue.to(l.xfer), l.xfer.kept)
	see := watch.Observers{l.events}
	if cf.Verbose {
		see = append(see, watch.WireLog(l.queue.to(e.Err)))
	}
	if cf.Explain {
		see = append(see, explain.NewLadder(l.queue.to(e.Err), term.Width(e.Err)))
	}
	l.see = see
	return l, nil
}

// logFormat is the format of the log: lines for people where it goes to a terminal, unless
// another one is asked for.
func (cf *config) logFormat(stderr io.Writer) string {
	if format := cf.LogFormat; format != "" {
		return format
	}
	if cf.LogFile == "" && term.IsTerminal(stderr) {
		return "console"
	}
	return "text"
}

// logFiles are the files of the logs; nil is none.
type logFiles struct{ out, xfer *os.File }

// openLogFiles opens them anew: they may have other names by now, or have been renamed
// by logrotate.
func (cf *config) openLogFiles() (f logFiles, err error) {
	if f.out, err = cf.openLog(&cf.LogFile); err == nil {
		f.xfer, err = cf.openLog(&cf.Xferlog)
	}
	if err != nil {
		f.close()
	}
	return f, err
}

// openLog opens what a setting names. A pipe that nobody reads is an error, nothing to
// wait for.
func (cf *config) openLog(field *string) (*os.File, error) {
	name := *field
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, cf.Located(field, verb.LocalProblem(name, err))
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
	level := logLevels[cf.LogLevel]
	if cf.Quiet {
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
	l.events.end()
	l.queue.close()
	l.out.use(nil)
	l.xfer.use(nil)
}

// logFile is a file that lines are appended to.
type logFile struct {
	instead io.Writer // where there is no file

	mu sync.Mutex
	f  *os.File
}

// use continues in that file, or, with nil, in none. A write that is still waiting for the old one
// does not delay it.
func (l *logFile) use(f *os.File) {
	l.mu.Lock()
	old := l.f
	l.f = f
	l.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
}

// kept reports whether what is written is kept anywhere.
func (l *logFile) kept() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f != nil || l.instead != io.Discard
}

// Write writes whole lines.
func (l *logFile) Write(lines []byte) (int, error) {
	for {
		l.mu.Lock()
		f := l.f
		l.mu.Unlock()
		if f == nil {
			return l.instead.Write(lines)
		}
		n, err := f.Write(lines)
		if !errors.Is(err, os.ErrClosed) {
			return n, err
		}
		lines = lines[n:] // it was changed for another one meanwhile
	}
}
