package serve

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/serve/settings"
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
func openLogs(e *verb.Env, cf *settings.Config) (*serverLogs, error) {
	l := &serverLogs{out: &logFile{instead: e.Err}, xfer: &logFile{instead: io.Discard}}
	files, err := openLogFiles(cf)
	if err != nil {
		return nil, err
	}
	l.queue = newLogQueue()
	l.take(cf, files)
	out := l.queue.to(l.out)
	opts := &slog.HandlerOptions{Level: &l.level}
	switch format := logFormat(cf, e.Err); format {
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
	if cf.On("verbose") {
		see = append(see, watch.WireLog(l.queue.to(e.Err)))
	}
	if cf.On("explain") {
		see = append(see, explain.NewLadder(l.queue.to(e.Err), term.Width(e.Err)))
	}
	l.see = see
	return l, nil
}

// logFormat is the format of the log: lines for people where it goes to a terminal, unless
// another one is asked for.
func logFormat(cf *settings.Config, stderr io.Writer) string {
	if format := cf.Str("log-format"); format != "" {
		return format
	}
	if cf.Str("log-file") == "" && term.IsTerminal(stderr) {
		return "console"
	}
	return "text"
}

// logFiles are the files of the logs; nil is none.
type logFiles struct{ out, xfer *os.File }

// openLogFiles opens them anew: they may have other names by now, or have been renamed
// by logrotate.
func openLogFiles(cf *settings.Config) (f logFiles, err error) {
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
func openLog(cf *settings.Config, setting string) (*os.File, error) {
	name := cf.Str(setting)
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, cf.Located(setting, verb.LocalProblem(name, err))
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
func (l *serverLogs) take(cf *settings.Config, f logFiles) {
	l.out.use(f.out)
	l.xfer.use(f.xfer)
	level := logLevels[cf.Str("log-level")]
	if cf.On("quiet") {
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
