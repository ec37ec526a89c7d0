// Package verb provides what every verb works with: the environment of one run, with its streams,
// messages and results as JSON, and the errors with their exit codes.
//
// It is built on the terminal and on the errors of the client. It must not depend on any verb, on
// any flag, or on how a command line is parsed; package flags does that.
package verb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	xterm "golang.org/x/term"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Verb returns the command of one verb. It is called once for each run.
type Verb func(*Env) *cli.Command

// Env is the environment of one run of a verb.
type Env struct {
	Stdio
	Ctx   context.Context
	Raw   []string // the command line
	Verbs []Verb   // all verbs of the program
	Quiet bool

	Watching ftp.Observer              // observes all connections; see package watch
	Watched  bool                      // Watching has been chosen, even if it is nil
	saying   sync.Mutex                // held while a line is printed
	Above    io.Writer                 // where lines go while progress bars are drawn; nil: Err
	Wait     func(n int) time.Duration // how long to wait before the n-th retry

	Resume string // the ResumeHint of the verb that runs

	JSONFailed func(error) // prints a failure as JSON; nil without --json

	AtEnd []func() error // run after the verb, such as writing a picture

	Line ShellLine // the line of the shell that runs this verb; nil outside the shell
}

// Stdio holds the streams of a verb: data goes to Out, everything else to Err.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// ShellLine is a line of the shell that runs a verb.
type ShellLine interface {
	// Message returns a message of the verb as the shell prints it.
	Message(text string) string
	// Piped reports whether the output goes to a program, which may stop reading.
	Piped() bool
	// Moved returns the function to call with the progress of a file; nil if there is none.
	Moved() func(done, total int64)
}

// Say prints one line to standard error, above the bars if there are any. If Above fails, because the
// bars have ended, the line goes directly to Err.
func (e *Env) Say(line string) {
	e.saying.Lock()
	defer e.saying.Unlock()
	if e.Above != nil {
		if _, err := io.WriteString(e.Above, line+"\n"); err == nil {
			return
		}
	}
	fmt.Fprintln(e.Err, line)
}

// ErrWriter returns a writer to standard error that writes between the lines of Say, never into one.
func (e *Env) ErrWriter() io.Writer { return errWriter{e} }

type errWriter struct{ e *Env }

func (w errWriter) Write(p []byte) (int, error) {
	w.e.saying.Lock()
	defer w.e.saying.Unlock()
	return w.e.Err.Write(p)
}

func (w errWriter) Unwrap() io.Writer { return w.e.Err }

// SayError prints err unless it was printed before. After an interrupt it prints nothing, because the error may
// be only a consequence of that.
func (e *Env) SayError(err error) {
	if errors.As(err, new(Reported)) || e.Ctx.Err() != nil {
		return
	}
	if e.Line != nil && e.Line.Piped() && errors.As(err, new(*client.LocalError)) && errors.Is(err, syscall.EPIPE) {
		return // the program stopped reading: its exit status is reported instead
	}
	e.Say(e.Message(strings.TrimSpace(err.Error())))
	if e.JSONFailed != nil {
		e.JSONFailed(err)
	}
}

// Message returns text with a prefix that names its source: the program, or a line of the shell.
func (e *Env) Message(text string) string {
	if e.Line != nil {
		return e.Line.Message(text)
	}
	return "miniftp: " + text
}

// Note prints a message that is not an error, unless --quiet is given.
func (e *Env) Note(format string, args ...any) {
	if !e.Quiet {
		e.Say(e.Message(fmt.Sprintf(format, args...)))
	}
}

// AskHidden shows each prompt on the terminal, which standard input must be, and reads an answer
// without echoing it.
func (e *Env) AskHidden(prompts ...string) ([]string, error) {
	in, ok := term.File(e.In)
	if !ok {
		return nil, io.EOF
	}
	fd := int(in.Fd())
	was, err := xterm.GetState(fd)
	if err != nil {
		return nil, err
	}
	var answers []string
	typed := make(chan error, 1)
	go func() {
		for _, p := range prompts {
			fmt.Fprint(e.Err, p)
			b, err := xterm.ReadPassword(fd)
			fmt.Fprintln(e.Err)
			if err != nil {
				typed <- err
				return
			}
			answers = append(answers, string(b))
		}
		typed <- nil
	}()
	select {
	case err = <-typed:
	case <-e.Ctx.Done(): // the read can't be interrupted; it ends with the process
		fmt.Fprintln(e.Err)
		_ = xterm.Restore(fd, was)
		return nil, context.Cause(e.Ctx)
	}
	if errors.Is(err, io.EOF) {
		err = Usagef("no password was entered")
	}
	return answers, err
}

// Each calls f for every item, even after a failure, and prints each failure. It returns the first
// one, which decides the exit code. It stops early if every other item would fail for the same
// reason.
func Each[T any](e *Env, items []T, f func(T) error) error {
	var first error
	for _, it := range items {
		err := f(it)
		if err == nil {
			continue
		}
		e.SayError(err)
		first = FirstError(first, Reported{Err: err})
		if Fatal(err) || e.Ctx.Err() != nil {
			break
		}
	}
	return first
}

// Output is standard output. It keeps the first error, so that the verbs need not check every line
// that they print.
type Output struct {
	W    io.Writer
	Err  error
	Last byte // the last byte written

	Failed func(error) // called with Err when it is set; may be nil
}

// Unwrap returns the underlying writer, which may be a terminal.
func (o *Output) Unwrap() io.Writer { return o.W }

func (o *Output) Write(p []byte) (int, error) {
	n, err := o.W.Write(p)
	if err != nil && o.Err == nil {
		o.Err = LocalProblem("standard output", err)
		if o.Failed != nil {
			o.Failed(o.Err)
		}
	}
	if n > 0 {
		o.Last = p[n-1]
	}
	return n, err
}

// release is the version of a release. The linker sets it (internal/dist).
var release string

// Version returns the version of the program: that of its release or, failing that, the one that
// the go command has recorded.
func Version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "(devel)"
}
