package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// run is the program but for the process: it returns the exit code.
func run(ctx context.Context, verbs []verb, args []string, io stdio) int {
	return runWith(ctx, verbs, args, io, waits)
}

func runWith(ctx context.Context, verbs []verb, args []string, io stdio, wait func(int) time.Duration) int {
	out := &output{w: io.out}
	io.out = out
	e := &env{stdio: io, ctx: ctx, raw: args, wait: wait, verbs: verbs}
	app := newApp(e)
	args, err := asTyped(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	err = firstError(err, out.err)
	for _, f := range e.atEnd {
		err = firstError(err, f())
	}
	return e.report(err)
}

// newApp is the command line with the verbs of e.
func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:                      "miniftp",
		Usage:                     "an FTP server and client that shows who listens and who dials",
		Version:                   version(),
		HideHelp:                  true, // see helpAsked
		HideVersion:               true, // its -v would be taken for --verbose
		DisableSliceFlagSeparator: true,
		Reader:                    e.in,
		Writer:                    e.out,
		ErrWriter:                 e.err,
		ExitErrHandler:            func(*cli.Context, error) {}, // run decides
		CommandNotFound:           func(*cli.Context, string) {},
		Flags:                     []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version"}},
		Description: examples("Serve this directory, fetch a file from it in another terminal, and see who listens and who dials:",
			"miniftp serve",
			"miniftp get ftp://127.0.0.1:2121/README.md",
			"miniftp demo"),
	}
	for _, command := range e.verbs {
		app.Commands = append(app.Commands, command(e))
	}
	app.Action = e.noVerb
	app.OnUsageError = e.usageErrors("", app.Flags)
	for _, c := range app.Commands {
		e.prepare(c, c.Name)
	}
	return app
}

// noVerb is a command line whose first word is no verb.
func (e *env) noVerb(c *cli.Context) error {
	word := c.Args().First()
	switch {
	case c.Bool("version") && word != "":
		return usagef("--version takes no argument")
	case c.Bool("version"):
		_, err := fmt.Fprintln(e.out, c.App.Name, c.App.Version)
		return err
	case word == "" || word == "help":
		path := slices.DeleteFunc(slices.Clone(c.Args().Tail()), func(a string) bool { return a == "-h" || a == "--help" })
		return e.showHelp(c.App, path, false)
	case isURL(word):
		return usagef("a verb comes first, as in  miniftp get %s", shellWord(maskPassword(word)))
	}
	return noSuchVerb(word, c.App.Commands)
}

// prepare gives every verb the same manners; path is its name behind "miniftp".
func (e *env) prepare(c *cli.Command, path string) {
	for _, sub := range c.Subcommands {
		e.prepare(sub, path+" "+sub.Name)
	}
	for _, f := range c.Flags {
		if !noVariable[path+" --"+f.Names()[0]] {
			setEnv(f)
		}
	}
	c.OnUsageError = e.usageErrors(path, c.Flags)
	c.HideHelp = true
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		if err := e.checkOrder(ctx); err != nil {
			return err
		}
		e.quiet = ctx.Bool("quiet")
		if c.Name != "serve" {
			debug.SetGCPercent(25) // a client holds little, and not much more than that
		}
		return action(ctx)
	}
}

// noVariable are the flags that turn a harmless command line into one that deletes, or that
// writes to a file. They have no environment variable: one that is set for a verb must not
// do so in another.
var noVariable = map[string]bool{"mirror --delete": true, "passwd --delete": true, "passwd --file": true, "rm --recursive": true, "rm --force": true}

// setEnv names the environment variable of a flag: MINIFTP_ and its name.
func setEnv(f cli.Flag) {
	name := []string{envName(f.Names()[0])}
	switch f := f.(type) {
	case *cli.BoolFlag:
		f.EnvVars = name
	case *cli.StringFlag:
		f.EnvVars = name
	case *cli.StringSliceFlag:
		f.EnvVars = name
	case *cli.IntFlag:
		f.EnvVars = name
	case *durationFlag:
		f.EnvVars = name
	case *cli.GenericFlag:
		f.EnvVars = name
	}
}

func envName(flag string) string {
	return "MINIFTP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// cli would print help for any flag whose name is h, such as that of ls.
func init() { cli.HelpFlag = nil }

// waits is how long to wait before the n-th retry: 1 s, 2 s, 4 s … at most 30 s.
func waits(n int) time.Duration { return min(time.Second<<min(n, 10), 30*time.Second) }
