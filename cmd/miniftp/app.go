package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// env is what every verb is given.
type env struct {
	stdio
	ctx   context.Context
	raw   []string // the command line
	quiet bool

	watching ftp.Observer              // of all connections; see watch
	watched  bool                      // watching is set, be it nil
	picture  *picture                  // of --explain=FILE; nil: none
	saying   sync.Mutex                // one line at a time
	above    io.Writer                 // where lines go while bars are drawn; nil: to err
	wait     func(n int) time.Duration // before the n-th retry

	resume string // resumeHint of what runs

	jsonFailed func(error) // prints a failure for --json; nil: none is wanted

	line *shellLine // of the shell, that runs this verb; nil: none
}

// run is the program but for the process: it returns the exit code.
func run(ctx context.Context, args []string, io stdio) int {
	return runWith(ctx, args, io, waits)
}

func runWith(ctx context.Context, args []string, io stdio, wait func(int) time.Duration) int {
	out := &output{w: io.out}
	io.out = out
	e := &env{stdio: io, ctx: ctx, raw: args, wait: wait}
	app := newApp(e)
	args, err := asTyped(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	return e.report(firstError(err, firstError(out.err, e.picture.save())))
}

// output is standard output; it keeps the first error, so that not every line
// that is printed has to ask for it.
type output struct {
	w    io.Writer
	err  error
	last byte // that was written

	failed func(error) // is called with err; nil: nobody is waiting for it
}

// Unwrap returns what is behind it, for those who ask whether that is a terminal.
func (o *output) Unwrap() io.Writer { return o.w }

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = localProblem("standard output", err)
		if o.failed != nil {
			o.failed(o.err)
		}
	}
	if n > 0 {
		o.last = p[n-1]
	}
	return n, err
}

// cli would print help for any flag whose name is h, such as that of ls.
func init() { cli.HelpFlag = nil }

// newApp is the command line. A new verb is one more line here and its file.
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
		Commands: []*cli.Command{
			e.serve(), e.config(), e.passwd(), e.get(), e.put(), e.mirror(), e.copy(), e.shell(), e.ls(), e.cat(), e.stat(), e.rm(), e.mkdir(), e.mv(), e.chmod(), e.hash(), e.doctor(), e.bench(), e.demo(), e.completion(), e.man(),
		},
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

// wantArgs is the error for a wrong number of arguments.
func wantArgs(c *cli.Context, least, most int) error {
	n := c.NArg()
	switch takes, verb := c.Command.ArgsUsage, c.Command.HelpName; {
	case n >= least && (most < 0 || n <= most):
		return nil
	case takes == "":
		return usagef("%s takes no argument", verb)
	default:
		return usagef("%s takes %s; %s --help shows examples", verb, takes, verb)
	}
}

// version is the module's, as the go command recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "(devel)"
}

// each runs f for every item and goes on after a failure. All failures are
// reported; the first one decides the exit code.
func each[T any](e *env, items []T, f func(T) error) error {
	var first error
	for _, it := range items {
		err := f(it)
		if err == nil {
			continue
		}
		e.sayError(err)
		first = firstError(first, reported{err})
		if fatal(err) || e.ctx.Err() != nil {
			break
		}
	}
	return first
}

// reported is an error that was printed already.
type reported struct{ error }

func (r reported) Unwrap() error { return r.error }

// say prints one line that is no data: above the bars if there are any.
func (e *env) say(line string) {
	e.saying.Lock()
	defer e.saying.Unlock()
	if e.above != nil {
		if _, err := io.WriteString(e.above, line+"\n"); err == nil {
			return
		}
	}
	fmt.Fprintln(e.err, line)
}

// sayError prints an error, once; what an interrupt brings about is not one.
func (e *env) sayError(err error) {
	var done reported
	if errors.As(err, &done) || e.ctx.Err() != nil {
		return
	}
	var local *client.LocalError
	if e.line != nil && e.line.piped && errors.As(err, &local) && errors.Is(err, syscall.EPIPE) {
		return // the status of the program tells what matters
	}
	e.say(e.told(strings.TrimSpace(err.Error())))
	if e.jsonFailed != nil {
		e.jsonFailed(err)
	}
}

// told is a message with the name of who tells it: the program, or a line of the shell.
func (e *env) told(text string) string {
	if e.line != nil {
		return e.line.told(text)
	}
	return "miniftp: " + text
}

// note tells something that is no error.
func (e *env) note(format string, args ...any) {
	if !e.quiet {
		e.say(e.told(fmt.Sprintf(format, args...)))
	}
}

// localProblem is a failure of a local file: one line, the file and what it is.
func localProblem(name string, err error) error {
	return at(name, &client.LocalError{Err: cause(err)})
}

// firstError is a, or b where a is nil.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
