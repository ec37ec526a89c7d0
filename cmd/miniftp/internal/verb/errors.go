package verb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// usageError is a command line that can't be understood: exit 2.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

func Usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Reported is an error that was printed already.
type Reported struct{ Err error }

func (r Reported) Error() string { return r.Err.Error() }

func (r Reported) Unwrap() error { return r.Err }

// LocalProblem is a failure of a local file: one line, the file and what it is.
func LocalProblem(name string, err error) error {
	return At(name, &client.LocalError{Err: Cause(err)})
}

// FirstError is a, or b where a is nil.
func FirstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// At puts the URL or file before an error: the line says what happened to what.
func At(where string, err error) error {
	var usage usageError
	var done Reported
	if err == nil || errors.As(err, &done) || errors.As(err, &usage) {
		return err
	}
	if IsURL(where) {
		where = MaskPassword(where) // of ftp://al/ice:pw@host/ the path is a password
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

// Cause is what the operating system says, without the call and the name that
// Go puts before it.
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

// Interrupted reports whether the user has had enough.
func Interrupted(ctx context.Context) bool { return ctx.Err() != nil }

// ErrStopped is the end that was asked for: exit 0.
var ErrStopped = errors.New("stopped")

// errStrict is wrapped by the errors for names that were left out.
var errStrict = errors.New("--strict was given")

// Hinted is an error in other words.
type Hinted struct {
	Err  error
	Text string
}

func (h Hinted) Error() string { return h.Text }

func (h Hinted) Unwrap() error { return h.Err }

// AtSide puts the right name before an error: the local file's if it is
// about that.
func AtSide(url, local string, err error) error {
	var lost *client.LocalError
	if errors.As(err, &lost) {
		return LocalProblem(local, err)
	}
	return At(url, err)
}

// WithoutResume says how a resume that can't be done is got round.
func WithoutResume(asked bool, err error) error {
	var no *client.ResumeError
	if asked && errors.As(err, &no) {
		return fmt.Errorf("%w (without -c it begins anew)", err)
	}
	return err
}

// Fatal reports whether it makes no sense to go on with the next file.
func Fatal(err error) bool {
	var dead *client.DeadError
	var usage usageError
	if errors.As(err, &dead) || errors.As(err, &usage) || errors.Is(err, context.Canceled) {
		return true
	}
	code := ExitCode(err)
	return code == ExitConnect || code == ExitLogin || code == ExitTLS
}
