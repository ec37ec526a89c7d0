package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// verb makes the command of the command line for one run of it.
type verb func(*env) *cli.Command

// env is what every verb is given.
type env struct {
	stdio
	ctx   context.Context
	raw   []string // the command line
	verbs []verb
	quiet bool

	watching ftp.Observer              // of all connections; see watch
	watched  bool                      // watching is set, be it nil
	saying   sync.Mutex                // one line at a time
	above    io.Writer                 // where lines go while bars are drawn; nil: to err
	wait     func(n int) time.Duration // before the n-th retry

	resume string // resumeHint of what runs

	jsonFailed func(error) // prints a failure for --json; nil: none is wanted

	atEnd []func() error // what the verb leaves to be done after it, such as writing a picture

	line line // of the shell, that runs this verb; nil: none
}

// stdio is what a verb reads and writes: data goes to out, all else to err.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// line is a line of the shell that runs a verb, as the verb sees it.
type line interface {
	// Told is a message of the verb in the words of the shell.
	Told(text string) string
	// Piped reports whether the output goes to a program, which may stop reading.
	Piped() bool
	// Moved returns what to tell how far a file is; nil if nobody asks.
	Moved() func(done, total int64)
}

// say prints one line that is no data: above the bars if there are any.
func (e *env) say(line string) {
	e.saying.Lock()
	defer e.saying.Unlock()
	if e.above != nil {
		if _, err := io.WriteString(e.above, line+"\n"); err == nil {
			return
		}
	}
	fmt.Fprintln(e.err, line)
}

// sayError prints an error, once; what an interrupt brings about is not one.
func (e *env) sayError(err error) {
	var done reported
	if errors.As(err, &done) || e.ctx.Err() != nil {
		return
	}
	var local *client.LocalError
	if e.line != nil && e.line.Piped() && errors.As(err, &local) && errors.Is(err, syscall.EPIPE) {
		return // the status of the program tells what matters
	}
	e.say(e.told(strings.TrimSpace(err.Error())))
	if e.jsonFailed != nil {
		e.jsonFailed(err)
	}
}

// told is a message with the name of who tells it: the program, or a line of the shell.
func (e *env) told(text string) string {
	if e.line != nil {
		return e.line.Told(text)
	}
	return "miniftp: " + text
}

// note tells something that is no error.
func (e *env) note(format string, args ...any) {
	if !e.quiet {
		e.say(e.told(fmt.Sprintf(format, args...)))
	}
}

// each runs f for every item and goes on after a failure. All failures are
// reported; the first one decides the exit code.
func each[T any](e *env, items []T, f func(T) error) error {
	var first error
	for _, it := range items {
		err := f(it)
		if err == nil {
			continue
		}
		e.sayError(err)
		first = firstError(first, reported{Err: err})
		if fatal(err) || e.ctx.Err() != nil {
			break
		}
	}
	return first
}

// output is standard output; it keeps the first error, so that not every line
// that is printed has to ask for it.
type output struct {
	w    io.Writer
	err  error
	last byte // that was written

	failed func(error) // is called with err; nil: nobody is waiting for it
}

// Unwrap returns what is behind it, for those who ask whether that is a terminal.
func (o *output) Unwrap() io.Writer { return o.w }

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = localProblem("standard output", err)
		if o.failed != nil {
			o.failed(o.err)
		}
	}
	if n > 0 {
		o.last = p[n-1]
	}
	return n, err
}
