// Package flags makes a command line out of verbs, using urfave/cli, and gives all verbs the same
// behavior: flags as people type them, errors in our own words, help, environment variables, and
// flags that take durations, sizes and ports.
//
// Where urfave/cli does not do what our users expect, this package corrects it, so that no other
// package has to. Each correction has a test in flags_test.go:
//   - its errors are plain texts: usage.go parses and rewords them (TestErrorsInOurWords)
//   - it reads -j4 and -rf as one flag: typed.go splits clusters (TestAsTyped)
//   - it prints help for any flag called h, in a format of its own: help.go (TestHelpIsOurs)
//   - it treats a flag after an argument as an argument: usage.go rejects it (TestFlagsComeFirst)
//   - it rejects plain seconds as a duration: numbers.go (TestParseDuration)
//   - it does not count arguments: usage.go does, by ArgsUsage (TestArgumentCount)
//   - it splits values at commas (TestCommasStay)
//   - a flag has an environment variable only if one is named: each gets one (TestVariablesOfFlags)
//   - an App keeps what one run has set: Run and the shell make a new one for each line (TestNothingStays)
//   - a flag has only its own default: Inherit gives the flags of a line the values of the shell (TestInherit)
//
// It is built on package verb. It refers to verbs by name only to choose the flags of the short
// help.
package flags

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/resident"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Most packages are initialized by now, and the verbs and their libraries are not; see package resident.
func init() { resident.Release() }

// Run runs one command line with the given verbs and returns the exit code.
func Run(ctx context.Context, verbs []verb.Verb, args []string, io verb.Stdio) int {
	return RunWith(ctx, verbs, args, io, retryWait)
}

// RunWith is like Run, but wait returns how long to wait before the n-th retry.
func RunWith(ctx context.Context, verbs []verb.Verb, args []string, io verb.Stdio, wait func(int) time.Duration) int {
	out := &verb.Output{W: io.Out}
	io.Out = out
	e := &verb.Env{Stdio: io, Ctx: ctx, Raw: args, Wait: wait, Verbs: verbs}
	app := NewApp(e)
	args, err := asTyped(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	err = verb.FirstError(err, out.Err)
	for _, f := range e.AtEnd {
		err = verb.FirstError(err, f())
	}
	return e.Report(err)
}

// NewApp returns the command line with the verbs of e.
func NewApp(e *verb.Env) *cli.App {
	app := &cli.App{
		Name:                      "miniftp",
		Usage:                     "an FTP server and client that shows which side listens and which dials",
		Version:                   verb.Version(),
		HideHelp:                  true, // see helpAsked
		HideVersion:               true, // its -v would conflict with --verbose
		DisableSliceFlagSeparator: true,
		Reader:                    e.In,
		Writer:                    e.Out,
		ErrWriter:                 e.Err,
		ExitErrHandler:            func(*cli.Context, error) {}, // RunWith decides
		CommandNotFound:           func(*cli.Context, string) {},
		Flags:                     []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version"}},
		Description: Examples("Serve this directory, fetch a file from it in another terminal, and see which side listens and which dials:",
			"miniftp serve",
			"miniftp get ftp://127.0.0.1:2121/README.md",
			"miniftp demo"),
	}
	for _, command := range e.Verbs {
		app.Commands = append(app.Commands, command(e))
	}
	app.Action = func(c *cli.Context) error { return noVerb(e, c) }
	app.OnUsageError = usageErrors(e, "", app.Flags)
	for _, c := range app.Commands {
		prepare(e, c, c.Name)
	}
	return app
}

// noVerb handles a command line that names no known verb.
func noVerb(e *verb.Env, c *cli.Context) error {
	word := c.Args().First()
	switch {
	case c.Bool("version") && word != "":
		return verb.Usagef("--version takes no argument")
	case c.Bool("version"):
		_, err := fmt.Fprintln(e.Out, c.App.Name, c.App.Version)
		return err
	case word == "" || word == "help":
		path := slices.DeleteFunc(slices.Clone(c.Args().Tail()), func(a string) bool { return a == "-h" || a == "--help" })
		return showHelp(e, c.App, path, false)
	case verb.IsURL(word):
		return verb.Usagef("start with a verb, as in  miniftp get %s", verb.ShellWord(ftp.MaskURL(word)))
	}
	return NoSuchVerb(word, c.App.Commands)
}

// prepare gives a verb the behavior that all verbs share. path is its name after "miniftp".
func prepare(e *verb.Env, c *cli.Command, path string) {
	for _, sub := range c.Subcommands {
		prepare(e, sub, path+" "+sub.Name)
	}
	for _, f := range c.Flags {
		if env, _ := attributes(f); env != nil && *env == nil {
			*env = []string{EnvName(f.Names()[0])}
		}
	}
	c.OnUsageError = usageErrors(e, path, c.Flags)
	c.HideHelp = true
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		if err := checkOrder(e, ctx); err != nil {
			return err
		}
		if err := checkCount(ctx); err != nil {
			return err
		}
		e.Quiet = ctx.Bool("quiet")
		if c.Name != "serve" {
			resident.Release()
			debug.SetGCPercent(25) // a client needs little memory; collect garbage early
		}
		return action(ctx)
	}
}

// NoVariable is the EnvVars of a flag that makes a verb delete, or write to a file. Such a flag has
// no environment variable: a variable that is set for one verb must not make another one
// destructive.
var NoVariable = []string{}

// attributes returns pointers to the environment variables and the help section of a flag. Package
// cli has no interface for them.
func attributes(f cli.Flag) (env *[]string, category *string) {
	switch f := f.(type) {
	case *cli.BoolFlag:
		return &f.EnvVars, &f.Category
	case *cli.StringFlag:
		return &f.EnvVars, &f.Category
	case *cli.StringSliceFlag:
		return &f.EnvVars, &f.Category
	case *cli.IntFlag:
		return &f.EnvVars, &f.Category
	case *DurationFlag:
		return &f.EnvVars, &f.Category
	case *cli.GenericFlag:
		return &f.EnvVars, &f.Category
	}
	return nil, nil
}

// Inherit makes the value of a flag in c its default and removes its environment variable. Only for
// a number does it also copy whether it was set, because some defaults depend on that.
func Inherit(f cli.Flag, c *cli.Context) {
	name := f.Names()[0]
	if env, _ := attributes(f); env != nil {
		*env = nil
	}
	switch f := f.(type) {
	case *cli.BoolFlag:
		f.Value = c.Bool(name)
	case *cli.StringFlag:
		f.Value = c.String(name)
	case *cli.IntFlag:
		f.Value, f.HasBeenSet = c.Int(name), c.IsSet(name)
	case *DurationFlag:
		f.Value = c.Duration(name)
	case *cli.GenericFlag:
		if word := c.String(name); word != "" {
			_ = f.Value.Set(word)
		}
	}
}

// EnvName returns the name of the environment variable of a flag.
func EnvName(flag string) string {
	return "MINIFTP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Without this, cli would print help for any flag named h, such as that of ls.
func init() { cli.HelpFlag = nil }

// retryWait returns how long to wait before the n-th retry: 1 s, 2 s, 4 s … at most 30 s.
func retryWait(n int) time.Duration { return min(time.Second<<min(n, 10), 30*time.Second) }
