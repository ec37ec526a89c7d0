package main

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

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// reported is an error that was printed already.
type reported struct{ Err error }

func (r reported) Error() string { return r.Err.Error() }

func (r reported) Unwrap() error { return r.Err }

// localProblem is a failure of a local file: one line, the file and what it is.
func localProblem(name string, err error) error {
	return at(name, &client.LocalError{Err: cause(err)})
}

// firstError is a, or b where a is nil.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// at puts the URL or file before an error: the line says what happened to what.
func at(where string, err error) error {
	var usage usageError
	var done reported
	if err == nil || errors.As(err, &done) || errors.As(err, &usage) {
		return err
	}
	if isURL(where) {
		where = maskPassword(where) // of ftp://al/ice:pw@host/ the path is a password
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

// cause is what the operating system says, without the call and the name that
// Go puts before it.
func cause(err error) error {
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

// interrupted reports whether the user has had enough.
func interrupted(ctx context.Context) bool { return ctx.Err() != nil }

// errStopped is the end that was asked for: exit 0.
var errStopped = errors.New("stopped")

// errStrict is wrapped by the errors for names that were left out.
var errStrict = errors.New("--strict was given")

// hinted is an error in other words.
type hinted struct {
	err  error
	text string
}

func (h hinted) Error() string { return h.text }

func (h hinted) Unwrap() error { return h.err }

// explainLocal puts the right name before an error: the local file's if it is
// about that.
func explainLocal(url, local string, err error) error {
	var lost *client.LocalError
	if errors.As(err, &lost) {
		return localProblem(local, err)
	}
	return at(url, err)
}

// withoutResume says how a resume that can't be done is got round.
func withoutResume(asked bool, err error) error {
	var no *client.ResumeError
	if asked && errors.As(err, &no) {
		return fmt.Errorf("%w (without -c it begins anew)", err)
	}
	return err
}

// fatal reports whether it makes no sense to go on with the next file.
func fatal(err error) bool {
	var dead *client.DeadError
	var usage usageError
	if errors.As(err, &dead) || errors.As(err, &usage) || errors.Is(err, context.Canceled) {
		return true
	}
	code := exitCode(err)
	return code == exitConnect || code == exitLogin || code == exitTLS
}
