package verb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// usageError is an error of the command line; see Usagef.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// Usagef returns an error for a command line that can't be understood. Its exit code is 2.
func Usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Reported is an error that has been printed already.
type Reported struct{ Err error }

func (r Reported) Error() string { return r.Err.Error() }

func (r Reported) Unwrap() error { return r.Err }

// LocalProblem returns an error about a local file: its name and the cause, on one line.
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

// At returns err with a prefix: the URL or file that it is about. An error that has been printed,
// or that is about the command line, is returned unchanged.
func At(where string, err error) error {
	if err == nil || errors.As(err, new(Reported)) || errors.As(err, new(usageError)) {
		return err
	}
	if IsURL(where) {
		where = ftp.MaskURL(where) // in ftp://al/ice:pw@host/ the path holds a password
	}
	return &placed{where, err}
}

// placed is an error with the URL or the file that it is about.
type placed struct {
	where string
	err   error
}

func (p *placed) Error() string {
	text := p.err.Error()
	if no, ok := errors.AsType[*ftp.Error](p.err); ok && isStorage(p.where) {
		text = strings.Replace(text, no.Error(), storageReason(no, p.where), 1)
	}
	return ftp.Printable(p.where) + ": " + text
}

// storageReason returns the text of a reply about a file in a storage. The reply is that of the server in this
// program, so its code and its path, which is part of where, would only distract.
func storageReason(no *ftp.Error, where string) string {
	text := strings.TrimSuffix(no.Text(), ".")
	if name, reason, ok := strings.Cut(text, ": "); ok && (name == no.Verb || strings.Contains(where, ftp.PathEscape(strings.Trim(name, "/")))) {
		return reason
	}
	return text
}

func (p *placed) Unwrap() error { return p.err }

// Cause returns the error of the operating system in err, without the call and the name that
// package os adds.
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

// ErrStopped is returned when a verb ends because the user asked it to. The exit code is 0.
var ErrStopped = errors.New("stopped")

// errStrict is wrapped by errors about names that were left out.
var errStrict = errors.New("--strict was given")

// Hinted is an error that is printed as Text, usually with advice on what to do.
type Hinted struct {
	Err  error
	Text string
}

func (h Hinted) Error() string { return h.Text }

func (h Hinted) Unwrap() error { return h.Err }

// AtSide returns err prefixed with the side that it is about: the local file or the URL.
func AtSide(url, local string, err error) error {
	if errors.As(err, new(*client.LocalError)) {
		return LocalProblem(local, err)
	}
	return At(url, err)
}

// WithoutResume adds to an error about an impossible resume how to transfer the file without it.
// asked reports whether -c was given.
func WithoutResume(asked bool, err error) error {
	if asked && errors.As(err, new(*client.ResumeError)) {
		return fmt.Errorf("%w (without -c it starts over)", err)
	}
	return err
}

// Fatal reports whether the next file would fail for the same reason, so that the run must end.
func Fatal(err error) bool {
	if errors.As(err, new(*client.DeadError)) || errors.As(err, new(usageError)) || errors.Is(err, context.Canceled) {
		return true
	}
	code := ExitCode(err)
	return code == ExitConnect || code == ExitLogin || code == ExitTLS
}

// The exit codes. Scripts depend on them: they must not change.
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

// ExitMeanings lists the exit codes and their meanings. It is the table in README.md.
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

// Report prints err, unless that has been done, and returns the exit code.
func (e *Env) Report(err error) int {
	switch {
	case err == nil, errors.Is(err, ErrStopped):
		return ExitOK
	case e.Ctx.Err() != nil:
		line := "miniftp: interrupted"
		if term.IsTerminal(e.Err) { // scripts rely on the bare line
			line += e.Resume
		}
		e.Say(line)
		return ExitInterrupted
	}
	e.SayError(err)
	return ExitCode(err)
}

// ResumeHint returns how to continue the named verb after an interrupt. It is appended to the line
// that reports the interrupt, and empty if the verb can only start over.
func ResumeHint(verb string) string {
	switch verb {
	case "get", "put":
		return "; with -c it continues where it stopped"
	case "mirror":
		return "; the same command continues where it stopped"
	}
	return ""
}

// exits maps the kinds of failures to exit codes.
var exits = map[client.Kind]int{
	client.KindOther: ExitFailure, client.KindCanceled: ExitInterrupted, client.KindLocal: ExitLocal,
	client.KindUnreachable: ExitConnect, client.KindLogin: ExitLogin, client.KindTLS: ExitTLS,
	client.KindRefused: ExitRefused, client.KindIncomplete: ExitIncomplete,
}

// ExitCode returns the exit code for err. If several would fit, it returns the one that explains
// most: after an interrupt, for example, it does not matter which call failed.
func ExitCode(err error) int {
	var coded interface{ VerbExit() int } // an error that knows its exit code, such as that of a storage
	switch kind := client.KindOf(err); {
	case err == nil:
		return ExitOK
	case kind == client.KindCanceled:
		return ExitInterrupted
	case errors.As(err, new(usageError)), errors.Is(err, ftp.ErrLineBreak):
		return ExitUsage
	case errors.As(err, &coded):
		return coded.VerbExit()
	case errors.Is(err, errStrict) && kind != client.KindLocal && kind != client.KindTLS:
		return ExitIncomplete
	default:
		return exits[kind]
	}
}
