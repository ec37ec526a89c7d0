package admin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Kick returns the verb kick.
func Kick(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "kick", Usage: "end sessions of a running server", ArgsUsage: "[ID]...",
		Flags: servers(
			&cli.StringFlag{Name: "user", EnvVars: flags.NoVariable, Usage: "end the sessions of user `NAME`", DefaultText: "any user"},
			&cli.StringFlag{Name: "from", EnvVars: flags.NoVariable, Usage: "end the sessions from `ADDR`, an address or a network such as 192.0.2.0/24", DefaultText: "any address"},
			jsonFlag(), quietFlag()),
		Description: flags.Examples("Ends the sessions with the numbers that miniftp who shows or, with --user and --from, all to which that applies. A running transfer is aborted. The client can connect again, unless miniftp ban refuses it. With --shared-state a session is SERVER/ID, and its server ends it within seconds.",
			"miniftp kick 12",
			"miniftp kick --user alice --from 192.0.2.7",
			"miniftp kick --shared-state s3://ftp/state web1:21/12"),
		Action: func(c *cli.Context) error { return runKick(e, c) },
	}
}

func runKick(e *verb.Env, c *cli.Context) error {
	several, err := sharing(c)
	if err != nil {
		return err
	}
	w := control.Which{User: c.String("user"), From: c.String("from")}
	if w.From != "" {
		if _, err := control.ParseNetwork(w.From); err != nil {
			return err
		}
	}
	switch byRule := w.User != "" || w.From != ""; {
	case c.NArg() == 0 && !byRule:
		return verb.Usagef("name the sessions: their numbers, --user NAME or --from ADDR; miniftp who lists them")
	case c.NArg() > 0 && byRule:
		return verb.Usagef("numbers of sessions can't be used together with --user or --from")
	}
	targets, err := targets(c.Args().Slice(), several)
	if err != nil {
		return err
	}
	var ended []sessions.Info
	if several {
		err = shared(c, func(ctx context.Context, s control.Shared) (err error) {
			ended, err = s.Kick(ctx, targets, w)
			return err
		})
	} else {
		var cl *control.Client
		if cl, err = dial(c); err == nil {
			for _, t := range targets {
				w.IDs = append(w.IDs, t.ID)
			}
			ended, err = cl.Kick(c.Context, w)
		}
	}
	return kicked(e, c, targets, ended, several, err)
}

// targets parses the numbers of sessions.
func targets(args []string, several bool) (all []control.Target, err error) {
	for _, arg := range args {
		t := control.Target{}
		number := arg
		if at := strings.LastIndexByte(arg, '/'); several {
			if at < 0 {
				return nil, verb.Usagef("%q: with --shared-state a session is SERVER/ID, as miniftp who --shared-state shows it", arg)
			}
			t.Server, number = arg[:at], arg[at+1:]
		}
		if t.ID, err = strconv.ParseUint(number, 10, 64); err != nil {
			return nil, verb.Usagef("%q is not the number of a session; to end the sessions of a user:  miniftp kick --user NAME", arg)
		}
		all = append(all, t)
	}
	return all, nil
}

// kicked reports which sessions were ended, and which of the targets do not exist.
func kicked(e *verb.Env, c *cli.Context, targets []control.Target, ended []sessions.Info, several bool, err error) error {
	out := e.NewJSONLines(c)
	for i := range ended {
		in := &ended[i]
		if out.Result(in); !out.On && !e.Quiet {
			fmt.Fprintln(e.Out, describe(in, several))
		}
	}
	if err != nil {
		return out.End(err)
	}
	if len(targets) == 0 && len(ended) == 0 {
		return out.End(refused("no such session"))
	}
	return out.End(verb.Each(e, targets, func(t control.Target) error {
		if slices.ContainsFunc(ended, func(in sessions.Info) bool { return in.ID == t.ID && (!several || in.Server == t.Server) }) {
			return nil
		}
		id := strconv.FormatUint(t.ID, 10)
		if several {
			id = t.Server + "/" + id
		}
		return refused("no session " + id)
	}))
}

// refused is an error about something that does not exist at the server.
type refused string

func (r refused) Error() string { return string(r) }

// VerbExit returns the exit code; see verb.ExitCode.
func (refused) VerbExit() int { return verb.ExitRefused }
