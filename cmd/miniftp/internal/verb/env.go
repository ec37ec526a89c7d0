// Package verb is what every verb is given: the environment of one run, with its streams, its
// messages, its errors with their exit codes, and its results as JSON.
//
// It stands on the terminal and on the errors of the client. It must not know any verb, any flag,
// or how a command line is read; see flags.
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

// Verb makes the command of one verb, for one run of it.
type Verb func(*Env) *cli.Command

// Env is the environment of one run of a verb.
type Env struct {
	Stdio
	Ctx   context.Context
	Raw   []string // the command line
	Verbs []Verb
	Quiet bool

	Watching ftp.Observer              // of all connections; see watch
	Watched  bool                      // watching is set, be it nil
	saying   sync.Mutex                // one line at a time
	Above    io.Writer                 // where lines go while bars are drawn; nil: to err
	Wait     func(n int) time.Duration // before the n-th retry

	Resume string // ResumeHint of what runs

	JSONFailed func(error) // prints a failure for --json; nil: none is wanted

	AtEnd []func() error // what the verb leaves to be done after it, such as writing a picture

	Line ShellLine // of the shell, that runs this verb; nil: none
}

// Stdio holds the streams of a verb: data goes to Out, everything else to Err.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// ShellLine is a line of the shell that runs a verb, as the verb sees it.
type ShellLine interface {
	// Told is a message of the verb in the words of the shell.
	Message(text string) string
	// Piped reports whether the output goes to a program, which may stop reading.
	Piped() bool
	// Moved returns what to tell how far a file is; nil if nobody asks.
	Moved() func(done, total int64)
}

// Say prints one line to standard error, above the bars if there are any.
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

// SayError prints err unless it was printed before. What an interrupt causes is not printed.
func (e *Env) SayError(err error) {
	if errors.As(err, new(Reported)) || e.Ctx.Err() != nil {
		return
	}
	if e.Line != nil && e.Line.Piped() && errors.As(err, new(*client.LocalError)) && errors.Is(err, syscall.EPIPE) {
		return // the status of the program tells what matters
	}
	e.Say(e.Message(strings.TrimSpace(err.Error())))
	if e.JSONFailed != nil {
		e.JSONFailed(err)
	}
}

// Message puts in front of text who says it: the program, or a line of the shell.
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

// AskHidden shows each prompt on the terminal that standard input is, and reads an answer that is
// not shown.
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
	case <-e.Ctx.Done(): // nothing ends the read: the process will
		fmt.Fprintln(e.Err)
		_ = xterm.Restore(fd, was)
		return nil, context.Cause(e.Ctx)
	}
	if errors.Is(err, io.EOF) {
		err = Usagef("no password was typed")
	}
	return answers, err
}

// Each runs f for every item, also after a failure. All failures are reported; the first one decides the
// exit code.
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

// Output is standard output; it keeps the first error, so that not every line
// that is printed has to ask for it.
type Output struct {
	W    io.Writer
	Err  error
	Last byte // that was written

	Failed func(error) // is called with err; nil: nobody is waiting for it
}

// Unwrap returns the writer below, which may be a terminal.
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

// release is the version of a release; its build sets it (internal/dist).
var release string

// Version returns the version of the program: that of its release, or what the go command has
// recorded.
func Version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "(devel)"
}
