package admin

import (
	"context"
	"errors"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Drain returns the verb drain.
func Drain(e *verb.Env) *cli.Command {
	timeout := flags.Duration("timeout", 0, "no limit", "wait at most `DURATION`; the server continues to drain")
	timeout.EnvVars = flags.NoVariable // MINIFTP_TIMEOUT is about connections
	return &cli.Command{
		Name: "drain", Usage: "let a running server end when its last session has ended",
		Flags: server(timeout, jsonFlag(), quietFlag()),
		Description: flags.Examples("The server closes its listening ports, so that a load balancer sends new clients elsewhere; with --drain-delay of serve, /readyz of --metrics says so before. Sessions continue until they end by themselves. With the last one, the server ends with exit code 0, and so does this command. A server that drains can't be made to accept sessions again. miniftp kick ends sessions that last too long.",
			"miniftp drain",
			"miniftp drain --timeout 10m || miniftp kick --from 0.0.0.0/0"),
		Action: func(c *cli.Context) error { return runDrain(e, c, c.Duration("timeout")) },
	}
}

// errLate is the cause of the end of a wait.
var errLate = errors.New("it takes too long")

// drained is the output of drain --json.
type drained struct {
	Server   string `json:"server"`
	Ended    bool   `json:"ended"`    // the server has ended
	Sessions int    `json:"sessions"` // that have not ended
}

func runDrain(e *verb.Env, c *cli.Context, limit time.Duration) error {
	if limit < 0 {
		return verb.Usagef("--timeout %v: must not be negative", limit)
	}
	e.Quiet = e.Quiet || c.Bool("json")
	cl, err := dial(c)
	if err != nil {
		return err
	}
	about, err := cl.About(c.Context)
	if err != nil {
		return err
	}
	if n := about.Sessions; n > 0 {
		e.Note("%s admits no new sessions; waiting for %s to end", about.Name, count(n))
	}
	ctx := c.Context
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errLate)
		defer cancel()
	}
	err = cl.Drain(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errLate) {
		about, err := cl.About(c.Context)
		if err != nil {
			return err
		}
		return verb.FirstError(drainedAs(e, c, drained{about.Name, false, about.Sessions}), errDraining(about.Name, about.Sessions, limit))
	}
	if err != nil {
		return err
	}
	if err := cl.AwaitEnd(c.Context); err != nil {
		return err
	}
	e.Note("%s has ended", about.Name)
	return drainedAs(e, c, drained{about.Name, true, 0})
}

// drainedAs prints the output of drain --json.
func drainedAs(e *verb.Env, c *cli.Context, d drained) error {
	if !c.Bool("json") {
		return nil
	}
	return verb.PrintJSON(e.Out, d)
}

// errDraining returns the error for a server that has not ended in time.
func errDraining(name string, n int, limit time.Duration) error {
	return errors.New(name + " still has " + count(n) + " after " + flags.DurationText(limit) + "; it continues to drain")
}

// count returns a number of sessions.
func count(n int) string {
	return humanize.Comma(int64(n)) + " " + term.Plural(int64(n), "session", "sessions")
}

// Reload returns the verb reload.
func Reload(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "reload", Usage: "make a running server read its settings again",
		Flags: server(jsonFlag(), quietFlag()),
		Description: flags.Examples("The server reads its configuration file, users file and certificates again, and opens its log files anew, as after SIGHUP. New sessions use the new settings. If there is a mistake, nothing changes; this command prints the mistakes and ends with exit code 2.",
			"miniftp reload",
			"miniftp config check miniftp.toml && miniftp reload"),
		Action: func(c *cli.Context) error { return runReload(e, c) },
	}
}

func runReload(e *verb.Env, c *cli.Context) error {
	cl, err := dial(c)
	if err != nil {
		return err
	}
	r, err := cl.Reload(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		if err := verb.PrintJSON(e.Out, r); err != nil || len(r.Mistakes) == 0 {
			return err
		}
		return verb.Usagef("not reloaded: nothing has changed")
	}
	for _, m := range r.Mistakes {
		e.Say(e.Message(m))
	}
	if len(r.Mistakes) > 0 {
		return verb.Usagef("not reloaded: nothing has changed")
	}
	for _, w := range r.Warnings {
		e.Note("%s", w)
	}
	for _, key := range r.Restart {
		e.Note("changing %s needs a restart", key)
	}
	e.Note("reloaded: new sessions use the new settings")
	return nil
}
