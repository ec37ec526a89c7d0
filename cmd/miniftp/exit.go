package main

import (
	"context"
	"errors"
	"io/fs"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

// The exit codes; other people's scripts know them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitConnect     = 3
	exitLogin       = 4
	exitRefused     = 5
	exitIncomplete  = 6
	exitTLS         = 7
	exitLocal       = 8
	exitInterrupted = 130
)

// exitMeanings is the table of README.md.
var exitMeanings = []struct {
	code    int
	meaning string
}{
	{exitOK, "done, all of it"},
	{exitFailure, "any other failure"},
	{exitUsage, "usage"},
	{exitConnect, "no connection: refused, unreachable, timed out, unknown host"},
	{exitLogin, "login refused"},
	{exitRefused, "the server said no: not found, no permission"},
	{exitIncomplete, "incomplete or wrong data: cut short, size or hash differs"},
	{exitTLS, "TLS: certificate not trusted, handshake failed, or the server has none"},
	{exitLocal, "the local side: disk full, no permission, not a directory"},
	{exitInterrupted, "interrupted"},
}

// report prints what went wrong, once, and says how to exit.
func (e *env) report(err error) int {
	switch {
	case err == nil, errors.Is(err, errStopped):
		return exitOK
	case e.ctx.Err() != nil:
		line := "miniftp: interrupted"
		if isTerminal(e.err) { // scripts know the bare line
			line += e.resume
		}
		e.say(line)
		return exitInterrupted
	}
	e.sayError(err)
	return exitCode(err)
}

// resumeHint says how to continue the named verb after an interrupt, as the end of the line
// that reports the interrupt. It is empty if the verb can only begin anew.
func resumeHint(verb string) string {
	switch verb {
	case "get", "put":
		return "; with -c it continues where it stopped"
	case "mirror":
		return "; the same command continues where it stopped"
	}
	return ""
}

// exitCode is the one place that maps errors to exit codes. Its order is that
// of what explains most: who was interrupted does not care which call failed.
func exitCode(err error) int {
	var (
		usage     usageError
		reply     *ftp.Error
		connect   *client.ConnectError
		open      *client.OpenError
		truncated *client.TruncatedError
		resume    *client.ResumeError
		broken    *dtp.BrokenError
		local     *client.LocalError
		path      *fs.PathError
		name      *client.NameError
		line      *ftp.LineError
		noTLS     *client.TLSError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage), errors.Is(err, ftp.ErrLineBreak):
		return exitUsage
	case errors.As(err, &local):
		return exitLocal
	case errors.As(err, &noTLS):
		return exitTLS
	case errors.As(err, &truncated), errors.As(err, &resume), errors.Is(err, client.ErrUnconfirmed), errors.Is(err, client.ErrPartial), errors.Is(err, errStrict):
		return exitIncomplete
	case errors.As(err, &reply):
		return replyExit(reply)
	case errors.As(err, &connect), errors.As(err, &open), errors.Is(err, client.ErrTimeout):
		return exitConnect
	case errors.As(err, &broken), errors.Is(err, dtp.ErrStalled):
		return exitIncomplete
	case errors.As(err, &name), errors.As(err, &line): // a listing that can't be trusted to be all
		return exitIncomplete
	case errors.As(err, &path):
		return exitLocal
	}
	var dead *client.DeadError
	if errors.As(err, &dead) {
		return exitConnect
	}
	return exitFailure
}

func replyExit(r *ftp.Error) int {
	switch r.Verb {
	case "USER", "PASS", "ACCT":
		if r.Code != 421 {
			return exitLogin
		}
	}
	switch r.Code {
	case 521, 522:
		if ftp.IsTransfer(r.Verb) { // of a data connection that is not, or not rightly, under TLS
			return exitTLS
		}
	case 421, 425:
		return exitConnect
	case 426, 451:
		return exitIncomplete
	case 530:
		return exitLogin
	}
	return exitRefused
}
