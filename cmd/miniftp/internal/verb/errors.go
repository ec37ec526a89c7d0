package verb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// usageError is what Usagef returns.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// Usagef returns the error of a command line that can't be understood: exit 2.
func Usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Reported is an error that was printed already.
type Reported struct{ Err error }

func (r Reported) Error() string { return r.Err.Error() }

func (r Reported) Unwrap() error { return r.Err }

// LocalProblem returns the error of a local file: one line with its name and the cause.
func LocalProblem(name string, err error) error {
	return At(name, &client.LocalError{Err: Cause(err)})
}

// FirstError returns a, or b if a is nil.
func FirstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// At returns err with the URL or file that it is about in front. An error that was printed already, or
// that is about the command line, is returned as it is.
func At(where string, err error) error {
	if err == nil || errors.As(err, new(Reported)) || errors.As(err, new(usageError)) {
		return err
	}
	if IsURL(where) {
		where = ftp.MaskURL(where) // of ftp://al/ice:pw@host/ the path is a password
	}
	return &placed{where, err}
}

// placed is an error with the URL or the file that it is about.
type placed struct {
	where string
	err   error
}

func (p *placed) Error() string { return ftp.Printable(p.where) + ": " + p.err.Error() }

func (p *placed) Unwrap() error { return p.err }

// Cause returns what the operating system says, without the call and the name that Go puts in front.
func Cause(err error) error {
	for {
		var path *fs.PathError
		var link *os.LinkError
		var call *os.SyscallError
		switch {
		case errors.As(err, &path):
			err = path.Err
		case errors.As(err, &link):
			err = link.Err
		case errors.As(err, &call):
			err = call.Err
		default:
			return err
		}
	}
}

// ErrStopped is the end that was asked for: exit 0.
var ErrStopped = errors.New("stopped")

// errStrict is wrapped by the errors for names that were left out.
var errStrict = errors.New("--strict was given")

// Hinted is an error that is printed in other words, usually with what to do about it.
type Hinted struct {
	Err  error
	Text string
}

func (h Hinted) Error() string { return h.Text }

func (h Hinted) Unwrap() error { return h.Err }

// AtSide returns err with the name of the side that it is about in front: the local file or the URL.
func AtSide(url, local string, err error) error {
	if errors.As(err, new(*client.LocalError)) {
		return LocalProblem(local, err)
	}
	return At(url, err)
}

// WithoutResume adds to the error of a resume that is impossible how to do without; asked is whether
// -c was given.
func WithoutResume(asked bool, err error) error {
	if asked && errors.As(err, new(*client.ResumeError)) {
		return fmt.Errorf("%w (without -c it begins anew)", err)
	}
	return err
}

// Fatal reports whether the next file would fail for the same reason.
func Fatal(err error) bool {
	if errors.As(err, new(*client.DeadError)) || errors.As(err, new(usageError)) || errors.Is(err, context.Canceled) {
		return true
	}
	code := ExitCode(err)
	return code == ExitConnect || code == ExitLogin || code == ExitTLS
}

// The exit codes; other people's scripts know them.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2
	ExitConnect     = 3
	ExitLogin       = 4
	ExitRefused     = 5
	ExitIncomplete  = 6
	ExitTLS         = 7
	ExitLocal       = 8
	ExitInterrupted = 130
)

// ExitMeanings is the table of README.md.
var ExitMeanings = []struct {
	Code    int
	Meaning string
}{
	{ExitOK, "done, all of it"},
	{ExitFailure, "any other failure"},
	{ExitUsage, "usage"},
	{ExitConnect, "no connection: refused, unreachable, timed out, unknown host"},
	{ExitLogin, "login refused"},
	{ExitRefused, "the server said no: not found, no permission"},
	{ExitIncomplete, "incomplete or wrong data: cut short, size or hash differs"},
	{ExitTLS, "TLS: certificate not trusted, handshake failed, or the server has none"},
	{ExitLocal, "the local side: disk full, no permission, not a directory"},
	{ExitInterrupted, "interrupted"},
}

// Report prints err, unless that was done before, and returns the exit code.
func (e *Env) Report(err error) int {
	switch {
	case err == nil, errors.Is(err, ErrStopped):
		return ExitOK
	case e.Ctx.Err() != nil:
		line := "miniftp: interrupted"
		if term.IsTerminal(e.Err) { // scripts know the bare line
			line += e.Resume
		}
		e.Say(line)
		return ExitInterrupted
	}
	e.SayError(err)
	return ExitCode(err)
}

// ResumeHint says how to continue the named verb after an interrupt, as the end of the line
// that reports the interrupt. It is empty if the verb can only begin anew.
func ResumeHint(verb string) string {
	switch verb {
	case "get", "put":
		return "; with -c it continues where it stopped"
	case "mirror":
		return "; the same command continues where it stopped"
	}
	return ""
}

// exits are the exit codes of the kinds of failures.
var exits = map[client.Kind]int{
	client.KindOther: ExitFailure, client.KindCanceled: ExitInterrupted, client.KindLocal: ExitLocal,
	client.KindUnreachable: ExitConnect, client.KindLogin: ExitLogin, client.KindTLS: ExitTLS,
	client.KindRefused: ExitRefused, client.KindIncomplete: ExitIncomplete,
}

// ExitCode returns the exit code for err. Where several fit, the one that explains most comes first: after
// an interrupt it does not matter which call failed.
func ExitCode(err error) int {
	switch kind := client.KindOf(err); {
	case err == nil:
		return ExitOK
	case kind == client.KindCanceled:
		return ExitInterrupted
	case errors.As(err, new(usageError)), errors.Is(err, ftp.ErrLineBreak):
		return ExitUsage
	case errors.Is(err, errStrict) && kind != client.KindLocal && kind != client.KindTLS:
		return ExitIncomplete
	default:
		return exits[kind]
	}
}
