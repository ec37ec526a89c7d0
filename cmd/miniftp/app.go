package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// env is what every verb is given.
type env struct {
	stdio
	ctx  context.Context
	stop func() // gives the signals back to the system: a second one ends at once
	raw  []string
}

// run is the program but for the process: it returns the exit code.
func run(ctx context.Context, stop func(), args []string, io stdio) int {
	e := &env{stdio: io, ctx: ctx, stop: stop, raw: args}
	app := newApp(e)
	err := app.RunContext(ctx, args)
	return e.report(err)
}

// newApp is the command line. A new verb is one more line here and its file.
func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:                      "miniftp",
		Usage:                     "an FTP server and client that shows who listens and who dials",
		Version:                   version(),
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		Reader:                    e.in,
		Writer:                    e.out,
		ErrWriter:                 e.err,
		ExitErrHandler:            func(*cli.Context, error) {}, // run decides
		CommandNotFound:           func(*cli.Context, string) {},
		Description: "Serve the current directory:\n  miniftp serve\nFetch from it, in another terminal:\n" +
			"  miniftp get ftp://127.0.0.1:2121/README.md\nSee who listens and who dials, in both modes:\n  miniftp demo",
		Commands: []*cli.Command{
			e.serve(), e.get(), e.put(), e.ls(), e.cat(), e.stat(), e.rm(), e.mkdir(), e.mv(), e.chmod(), e.hash(), e.demo(),
		},
	}
	app.Action = func(c *cli.Context) error {
		if c.Args().Present() {
			return usagef("%q is not a verb of miniftp: miniftp --help lists them", c.Args().First())
		}
		return cli.ShowAppHelp(c)
	}
	app.OnUsageError = onUsageError
	for _, c := range app.Commands {
		e.prepare(c)
	}
	return app
}

// prepare gives every verb the same manners.
func (e *env) prepare(c *cli.Command) {
	c.OnUsageError = onUsageError
	c.HideHelpCommand = true
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		if err := e.checkOrder(ctx); err != nil {
			return err
		}
		return action(ctx)
	}
	for _, f := range c.Flags {
		setEnv(f)
	}
}

// setEnv names the environment variable of a flag: MINIFTP_ and its name.
func setEnv(f cli.Flag) {
	name := []string{"MINIFTP_" + strings.ToUpper(strings.ReplaceAll(f.Names()[0], "-", "_"))}
	switch f := f.(type) {
	case *cli.BoolFlag:
		f.EnvVars = name
	case *cli.StringFlag:
		f.EnvVars = name
	case *cli.StringSliceFlag:
		f.EnvVars = name
	case *cli.IntFlag:
		f.EnvVars = name
	case *cli.DurationFlag:
		f.EnvVars = name
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usageError{err.Error()} }

// usageError is a command line that can't be understood: exit 2.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// checkOrder refuses a flag behind an argument: it would be taken for a file
// name. Behind "--" everything is an argument.
func (e *env) checkOrder(c *cli.Context) error {
	args := c.Args().Slice()
	free := 0
	if i := slices.Index(e.raw, "--"); i >= 0 {
		free = len(e.raw) - i - 1
	}
	for i, a := range args[:max(len(args)-free, 0)] {
		if i > 0 && len(a) > 1 && a[0] == '-' {
			rest := slices.Delete(slices.Clone(args), i, i+1)
			return usagef("%s stands behind the arguments: flags come first, as in  miniftp %s %s %s", a, c.Command.Name, a, strings.Join(rest, " "))
		}
	}
	return nil
}

// wantArgs is the error for a wrong number of arguments.
func wantArgs(c *cli.Context, least, most int) error {
	n := c.NArg()
	if n < least || most >= 0 && n > most {
		return usagef("miniftp %s takes %s", c.Command.Name, c.Command.ArgsUsage)
	}
	return nil
}

// version is the module's, as the go command recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "(devel)"
}

// examples ends a verb's help.
func examples(about string, lines ...string) string {
	return about + "\n\nExamples:\n  " + strings.Join(lines, "\n  ")
}

// each runs f for every item and goes on after a failure; the first error
// decides the exit code, all of them are reported.
func each[T any](e *env, items []T, f func(T) error) error {
	var first error
	for _, it := range items {
		err := f(it)
		if err == nil {
			continue
		}
		if first != nil {
			e.sayError(first)
			first = reported{first}
		}
		if first == nil {
			first = err
		} else {
			e.sayError(err)
		}
		if fatal(err) {
			break
		}
	}
	return first
}

// reported is an error that was printed already.
type reported struct{ error }

func (r reported) Unwrap() error { return r.error }

func isReported(err error) bool {
	var r reported
	return errors.As(err, &r)
}
