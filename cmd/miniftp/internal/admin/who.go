package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Who returns the verb who.
func Who(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "who", Usage: "list the sessions of a running server",
		Flags: servers(jsonFlag()),
		Description: flags.Examples("Lists who is connected to the server that runs on this host, since when, and what each session does. Only the user who runs the server, or root, can see that. With --shared-state it lists the sessions of all servers that share their state, as of some seconds ago.",
			"miniftp who",
			"miniftp who --json",
			"miniftp who --shared-state s3://ftp/state"),
		Action: func(c *cli.Context) error { return runWho(e, c) },
	}
}

func runWho(e *verb.Env, c *cli.Context) error {
	e.Quiet = c.Bool("json")
	several, err := sharing(c)
	switch {
	case err != nil:
		return err
	case several:
		return shared(c, func(ctx context.Context, s control.Shared) error { return whoShared(ctx, e, c, s) })
	}
	cl, err := dial(c)
	if err != nil {
		return err
	}
	all, err := cl.Sessions(c.Context)
	if err != nil {
		return err
	}
	about, err := cl.About(c.Context)
	if err != nil {
		return err
	}
	if about.Draining {
		e.Note("%s is draining: it admits no new sessions, and ends with the last one", about.Name)
	}
	for _, cert := range about.Certificates {
		if problem := cert.Problem(time.Now()); problem != "" {
			e.Note("%s", problem)
		}
	}
	if len(all) == 0 {
		e.Note("nobody is connected to %s", about.Name)
	}
	return list(e, c, all, false)
}

func whoShared(ctx context.Context, e *verb.Env, c *cli.Context, s control.Shared) error {
	all, n, omitted, err := s.Sessions(ctx)
	switch {
	case err != nil:
		return err
	case n == 0:
		e.Note("no server publishes its sessions there (serve --shared-state with the same bucket and prefix)")
	case len(all) == 0:
		e.Note("nobody is connected to the %d %s", n, term.Plural(int64(n), "server", "servers"))
	case omitted > 0:
		e.Note("%s more sessions are not listed, because there are too many at one server", humanize.Comma(int64(omitted)))
	}
	return list(e, c, all, true)
}

// list prints sessions.
func list(e *verb.Env, c *cli.Context, all []sessions.Info, several bool) error {
	if c.Bool("json") {
		if all == nil {
			all = []sessions.Info{}
		}
		return verb.PrintJSON(e.Out, all)
	}
	if len(all) == 0 {
		return nil
	}
	return write(e, join(table(all, term.Width(e.Out), several, time.Now())))
}

// describe names a session that was ended.
func describe(in *sessions.Info, several bool) string {
	who := in.User
	if who == "" {
		who = "a client that was not logged in"
	}
	return fmt.Sprintf("ended session %s: %s from %s", name(in, several), who, in.From)
}
