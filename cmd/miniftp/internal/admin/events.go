package admin

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Events returns the verb events.
func Events(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "events", Usage: "show what happens at a running server",
		Flags: servers(
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "print events as they happen, until Ctrl-C or the end of the server"},
			&cli.BoolFlag{Name: "json", Usage: "print a line of JSON for each event; docs/operating.md describes it"}),
		Description: flags.Examples("Prints a line for each of the last 100 logins, transfers, changes, refusals and ends of sessions. With --follow it prints events from now on instead; with --json these include commands, replies and data connections. With --shared-state it prints the events of all servers that share their state, some seconds late. Passwords are masked.",
			"miniftp events",
			"miniftp events --follow --json",
			"miniftp events --follow --shared-state s3://ftp/state"),
		Action: func(c *cli.Context) error { return runEvents(e, c) },
	}
}

func runEvents(e *verb.Env, c *cli.Context) error {
	if several, err := sharing(c); several || err != nil {
		if err != nil {
			return err
		}
		return sharedEvents(e, c)
	}
	cl, err := dial(c)
	if err != nil {
		return err
	}
	err = cl.Events(c.Context, c.Bool("follow"), func(line []byte) error {
		if c.Bool("json") {
			_, err := e.Out.Write(line)
			return err
		}
		var v sessions.Event
		if json.Unmarshal(line, &v) != nil {
			return nil // from a newer server
		}
		if text := v.Line(); text != "" {
			return write(e, v.Time.Local().Format("15:04 ")+text+"\n")
		}
		return nil
	})
	switch {
	case c.Context.Err() != nil && c.Bool("follow"):
		return verb.ErrStopped
	case err == nil && c.Bool("follow"):
		e.Note("the server has ended")
	}
	return err
}

// sharedEvents prints the events of all servers that share a state.
func sharedEvents(e *verb.Env, c *cli.Context) error {
	state, closer, err := openShared(c)
	if err != nil {
		return err
	}
	defer closer.Close()
	enc := json.NewEncoder(e.Out)
	enc.SetEscapeHTML(false)
	err = state.Events(c.Context, c.Bool("follow"), func(v sessions.Event) error {
		if c.Bool("json") {
			return enc.Encode(v)
		}
		if text := v.Line(); text != "" {
			return write(e, v.Time.Local().Format("15:04 ")+v.Server+"  "+text+"\n")
		}
		return nil
	})
	if c.Context.Err() != nil && c.Bool("follow") {
		return verb.ErrStopped
	}
	return err
}
