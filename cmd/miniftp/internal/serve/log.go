package serve

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/gate"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// logLevels holds the values of --log-level.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// serverLogs holds the logs of serve. All of them are written in the background, by queue.
type serverLogs struct {
	queue  *logQueue
	events *eventLog
	level  slog.LevelVar
	out    *logFile // destination of log
	xfer   *logFile // the xferlog
	log    *slog.Logger
	see    ftp.Observer // writes log, xferlog, wire log and ladder
}

// openLogs opens the logs. The log has a line for each session, login, transfer, change and refusal,
// made from the events that the server reports to the observer.
func openLogs(e *verb.Env, cf *config) (*serverLogs, error) {
	l := &serverLogs{out: &logFile{instead: e.Err}, xfer: &logFile{instead: io.Discard}}
	files, err := cf.openLogFiles()
	if err != nil {
		return nil, err
	}
	l.queue = newLogQueue()
	l.apply(cf, files)
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
		l.log.Warn("log lines were dropped because they could not be written in time", "lines", lines)
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

// logFormat returns the format of the log. Unless one is set, it is console if the log goes to a
// terminal, else text.
func (cf *config) logFormat(stderr io.Writer) string {
	if format := cf.LogFormat; format != "" {
		return format
	}
	if cf.LogFile == "" && term.IsTerminal(stderr) {
		return "console"
	}
	return "text"
}

// logFiles holds the files of the logs; nil means no file.
type logFiles struct{ out, xfer *os.File }

// openLogFiles opens the log files. A reload opens them again, because they may have been renamed by
// logrotate, or the configuration may name others.
func (cf *config) openLogFiles() (f logFiles, err error) {
	if f.out, err = cf.openLog(&cf.LogFile); err == nil {
		f.xfer, err = cf.openLog(&cf.Xferlog)
	}
	if err != nil {
		f.close()
	}
	return f, err
}

// openLog opens the file that a setting names. O_NONBLOCK makes opening a pipe that nobody reads an
// error rather than a wait. With --run-as, that user must be able to open it again.
func (cf *config) openLog(field *string) (*os.File, error) {
	name := *field
	if name == "" {
		return nil, nil
	}
	const mode = 0o640
	var f *os.File
	var err error
	if cf.becomes() {
		f, err = cf.user.Append(name, mode)
	} else {
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, mode)
	}
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

// apply switches to the files f and to the level that cf sets.
func (l *serverLogs) apply(cf *config, f logFiles) {
	l.out.use(f.out)
	l.xfer.use(f.xfer)
	level := logLevels[cf.LogLevel]
	if cf.Quiet {
		level = max(level, slog.LevelWarn)
	}
	l.level.Set(level)
}

// use sets the options of a server, so that it and its gate write to the logs.
func (l *serverLogs) use(o *server.Options) {
	o.Log, o.Observer = l.log, l.see
	if g, ok := o.Gate.(*gate.Gate); ok {
		g.Log = l.log
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
	instead io.Writer // is written to if f is nil

	mu sync.Mutex
	f  *os.File
}

// use switches to f, or to l.instead if f is nil, and closes the old file. Closing it interrupts a Write
// that is still waiting.
func (l *logFile) use(f *os.File) {
	l.mu.Lock()
	old := l.f
	l.f = f
	l.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
}

// kept reports whether lines that are written go anywhere.
func (l *logFile) kept() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f != nil || l.instead != io.Discard
}

// Write writes whole lines. If use closes the file meanwhile, it writes the rest to the new one.
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
		lines = lines[n:] // use has switched to another file
	}
}
