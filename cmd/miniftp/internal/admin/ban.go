package admin

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// Ban returns the verb ban.
func Ban(e *verb.Env) *cli.Command {
	span := flags.Duration("for", time.Hour, "", "let the ban last `DURATION`")
	span.EnvVars = flags.NoVariable
	return &cli.Command{
		Name: "ban", Usage: "list, add and remove the bans of a running server", ArgsUsage: "list|add|remove",
		Description: flags.Examples("A ban refuses logins from an address (IPv6: from its /64 network), or only those of one user from there. The server bans clients that guess passwords (--max-login-failures); those bans are in the list too. Bans end when the server ends. With --shared-state they are those of all servers that share their state, which take them over within seconds.",
			"miniftp ban list",
			"miniftp ban add --for 2h 192.0.2.7",
			"miniftp ban remove 192.0.2.7"),
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the bans in force", Flags: servers(jsonFlag()),
				Description: flags.Examples("Prints the address, the user if only one is banned there, and when the ban ends.",
					"miniftp ban list",
					"miniftp ban list --json"),
				Action: func(c *cli.Context) error { return runBanList(e, c) },
			},
			{
				Name: "add", Usage: "refuse logins from an address", ArgsUsage: "ADDR [USER]", Flags: servers(span, quietFlag()),
				Description: flags.Examples("Refuses new logins. Sessions that are logged in continue; miniftp kick ends them.",
					"miniftp ban add 192.0.2.7",
					"miniftp ban add --for 24h 192.0.2.7 alice"),
				Action: func(c *cli.Context) error { return runBanAdd(e, c) },
			},
			{
				Name: "remove", Usage: "lift a ban", ArgsUsage: "ADDR [USER]", Flags: servers(quietFlag()),
				Description: flags.Examples("Lifts a ban, whoever made it, and forgets the failed logins that led to it.",
					"miniftp ban remove 192.0.2.7",
					"miniftp ban remove 192.0.2.7 alice"),
				Action: func(c *cli.Context) error { return runBanRemove(e, c) },
			},
		},
		Action: func(c *cli.Context) error { return noBanVerb(c) },
	}
}

func noBanVerb(c *cli.Context) error {
	if word := c.Args().First(); word != "" {
		return verb.Usagef("miniftp ban has no verb %q%s: use list, add or remove", ftp.MaskURL(word),
			verb.DidYouMean(verb.Nearest(word, flags.VerbNames(c.Command.Subcommands))))
	}
	return verb.Usagef("miniftp ban needs list, add or remove; see miniftp ban --help")
}

// bans is what has bans: a server, or the state that several share.
type bans interface {
	Bans(ctx context.Context) ([]control.Ban, error)
	Ban(ctx context.Context, b control.Ban, d time.Duration) error
	Unban(ctx context.Context, b control.Ban) error
}

// withBans calls f with the bans that the flags choose.
func withBans(c *cli.Context, f func(context.Context, bans) error) error {
	several, err := sharing(c)
	switch {
	case err != nil:
		return err
	case several:
		return shared(c, func(ctx context.Context, s control.Shared) error { return f(ctx, s) })
	}
	cl, err := dial(c)
	if err != nil {
		return err
	}
	return f(c.Context, cl)
}

func runBanList(e *verb.Env, c *cli.Context) error {
	return withBans(c, func(ctx context.Context, b bans) error {
		all, err := b.Bans(ctx)
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			return verb.PrintJSON(e.Out, all)
		case len(all) == 0:
			e.Note("nobody is banned")
			return nil
		}
		return write(e, join(banTable(all)))
	})
}

// banTable returns bans as lines.
func banTable(all []control.Ban) []string {
	addr, name := len("ADDRESS"), len("USER")
	for _, b := range all {
		addr, name = max(addr, term.Cells(b.Addr)), max(name, term.Cells(ftp.Printable(b.User)))
	}
	lines := []string{term.Pad("ADDRESS", addr) + "  " + term.Pad("USER", name) + "  UNTIL"}
	for _, b := range all {
		who := b.User
		if who == "" {
			who = "all"
		}
		lines = append(lines, term.Pad(b.Addr, addr)+"  "+term.Pad(ftp.Printable(who), name)+"  "+b.Until.Local().Format(time.DateTime))
	}
	return lines
}

func runBanAdd(e *verb.Env, c *cli.Context) error {
	ban, err := control.NewBan(c.Args().Get(0), c.Args().Get(1))
	if err != nil {
		return err
	}
	d := c.Duration("for")
	if d <= 0 {
		return verb.Usagef("--for %v: must be greater than 0", d)
	}
	return withBans(c, func(ctx context.Context, b bans) error {
		if err := b.Ban(ctx, ban, d); err != nil {
			return err
		}
		e.Note("%s is banned for %s", ftp.Printable(ban.String()), flags.DurationText(d))
		return nil
	})
}

func runBanRemove(e *verb.Env, c *cli.Context) error {
	ban, err := control.NewBan(c.Args().Get(0), c.Args().Get(1))
	if err != nil {
		return err
	}
	return withBans(c, func(ctx context.Context, b bans) error {
		if err := b.Unban(ctx, ban); err != nil {
			return err
		}
		e.Note("%s is no longer banned", ftp.Printable(ban.String()))
		return nil
	})
}
