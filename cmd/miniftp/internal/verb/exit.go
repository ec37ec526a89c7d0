package verb

import (
	"context"
	"errors"
	"io/fs"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

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

// Report prints what went wrong, once, and says how to exit.
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

// ExitCode is the one place that maps errors to exit codes. Its order is that
// of what explains most: who was interrupted does not care which call failed.
func ExitCode(err error) int {
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
		return ExitOK
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &usage), errors.Is(err, ftp.ErrLineBreak):
		return ExitUsage
	case errors.As(err, &local):
		return ExitLocal
	case errors.As(err, &noTLS):
		return ExitTLS
	case errors.As(err, &truncated), errors.As(err, &resume), errors.Is(err, client.ErrUnconfirmed), errors.Is(err, client.ErrPartial), errors.Is(err, errStrict):
		return ExitIncomplete
	case errors.As(err, &reply):
		return replyExit(reply)
	case errors.As(err, &connect), errors.As(err, &open), errors.Is(err, client.ErrTimeout):
		return ExitConnect
	case errors.As(err, &broken), errors.Is(err, dtp.ErrStalled):
		return ExitIncomplete
	case errors.As(err, &name), errors.As(err, &line): // a listing that can't be trusted to be all
		return ExitIncomplete
	case errors.As(err, &path):
		return ExitLocal
	}
	var dead *client.DeadError
	if errors.As(err, &dead) {
		return ExitConnect
	}
	return ExitFailure
}

func replyExit(r *ftp.Error) int {
	switch r.Verb {
	case "USER", "PASS", "ACCT":
		if r.Code != 421 {
			return ExitLogin
		}
	}
	switch r.Code {
	case 521, 522:
		if ftp.IsTransfer(r.Verb) { // of a data connection that is not, or not rightly, under TLS
			return ExitTLS
		}
	case 421, 425:
		return ExitConnect
	case 426, 451:
		return ExitIncomplete
	case 530:
		return ExitLogin
	}
	return ExitRefused
}
