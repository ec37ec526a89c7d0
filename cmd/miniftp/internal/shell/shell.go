// Package shell implements the verb shell: a prompt or a script whose lines run the other verbs
// over connections that stay open.
//
// It gets the verbs from verb.Env.Verbs and does not import their packages.
package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// Command returns the verb shell.
func Command(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "shell", Usage: "work on a server line by line", ArgsUsage: "[URL]",
		Flags: connect.Flags(
			&cli.StringFlag{Name: "command", Aliases: []string{"c"}, Usage: "run the commands in `LINES`, separated by ; or line breaks, and exit", DefaultText: "none"},
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "run the commands in `FILE`, one a line, and exit", DefaultText: "none"},
			&cli.BoolFlag{Name: "keep-going", Aliases: []string{"k"}, Usage: "in a script, continue after a command fails"}),
		Description: flags.Examples("The commands are those of ftp and lftp, with the flags of miniftp's verbs; help lists them. "+
			"Tab completes commands, remote names and local names. A line that ends in & runs in the background. A broken connection is replaced. "+
			"If standard input is not a terminal, it is read as a script, which ends with the exit code of the first command that fails."+connect.Storages(),
			"miniftp shell -c 'cd docs; ls -l; get guide.md' ftp://127.0.0.1:2121/",
			"echo 'ls docs' | miniftp shell ftp://127.0.0.1:2121/"),
		Action: func(c *cli.Context) error { return runShell(e, c) },
	}
}

func runShell(e *verb.Env, c *cli.Context) (err error) {
	lines, given := c.String("command"), c.IsSet("command")
	name := c.String("file")
	if given && name != "" {
		return verb.Usagef("-c and -f can't be combined: each gives the lines to run")
	}
	if _, err := connect.Options(c); err != nil {
		return err
	}
	// These files must be found even after lcd.
	for _, flag := range []string{"ca-cert", "cert", "key", "password-file"} {
		if file := c.String(flag); file != "" {
			if abs, err := filepath.Abs(file); err == nil {
				_ = c.Set(flag, abs)
			}
		}
	}
	s := &session{e: e, c: c, verbs: verbsByName(), ascii: c.Bool("ascii"), stdin: !given && name == ""}
	script := e.In
	switch {
	case given:
		script = strings.NewReader(lines)
	case name != "":
		f, err := os.Open(name)
		if err != nil {
			return verb.LocalProblem(name, err)
		}
		defer f.Close()
		script = f
	case term.IsTerminal(e.In):
		script = nil
		if s.tty, err = newTerminal(s); err != nil {
			return err
		}
		defer s.tty.close()
	}
	side := e.Err
	if s.tty != nil {
		side = &s.tty.side
	}
	if s.see, err = newWatchers(e, c, side); err != nil {
		return err
	}
	e.Watching, e.Watched = s.see, true
	if c.NArg() > 0 {
		if err := s.connect(e.Ctx, c.Args().First()); err != nil {
			_ = s.finish()
			return err
		}
	}
	if script == nil {
		s.interact()
		return verb.FirstError(s.finish(), context.Cause(e.Ctx))
	}
	err = s.script(script, given && !strings.Contains(strings.TrimSpace(lines), "\n"))
	return verb.FirstError(err, s.finish())
}

// longestLine is the maximum length of a line of a script, in bytes.
const longestLine = 1 << 20

// script runs the lines of r. Unless --keep-going is given, it stops at the first one that fails.
// If one is true, there is only one line, and messages have no line number.
func (s *session) script(r io.Reader, one bool) (last error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, longestLine)
	for n := 1; !s.exiting; n++ {
		line, err := await(s.e.Ctx, func() (string, error) {
			if !in.Scan() {
				return "", verb.FirstError(in.Err(), io.EOF)
			}
			return in.Text(), nil
		})
		if !one {
			s.where = fmt.Sprintf("line %d: ", n)
		}
		switch {
		case errors.Is(err, io.EOF):
			s.where = ""
			return last
		case errors.Is(err, bufio.ErrTooLong):
			return s.failed("", verb.Usagef("the line is longer than %s", term.Size(longestLine)))
		case err != nil && s.e.Ctx.Err() == nil:
			return verb.LocalProblem("standard input", err)
		case err != nil:
			return err
		}
		err = s.runLine(line)
		if failed := s.reportJobs(); err == nil {
			err = failed
		}
		if err != nil {
			last = err
			if !s.c.Bool("keep-going") {
				break
			}
		}
	}
	s.where = ""
	return last
}

// await calls read and returns its result. If ctx ends first, it returns without waiting for read,
// which can't be interrupted.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		line, err := read()
		got <- result{line, err}
	}()
	select {
	case r := <-got:
		return r.line, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// interact runs the lines that the user types. From then on SIGINT only ends the command in the
// foreground.
func (s *session) interact() {
	signal.Ignore(os.Interrupt) // main must not get it any longer
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)
	go func() {
		for range signals {
			s.interrupt()
		}
	}()
	s.say("help lists the commands, Tab completes, Ctrl-D exits.")
	for !s.exiting {
		_ = s.reportJobs()
		line, err := await(s.e.Ctx, func() (string, error) { return s.tty.next(s.prompt()) })
		switch {
		case errors.Is(err, errDropped):
			continue
		case err != nil: // Ctrl-D, or the terminal was closed
			fmt.Fprintln(s.e.Out)
			s.exiting = errors.Is(err, io.EOF) && s.mayLeave() || !errors.Is(err, io.EOF)
			continue
		}
		s.tty.remember(line)
		was := s.warned
		_ = s.runLine(line)
		s.warned = s.warned && !was // a warning holds for one line only
		s.exiting = s.exiting || s.e.Ctx.Err() != nil
	}
}

// prompt returns "miniftp alice@host:/pub> ", shortened so that the line after it has room.
func (s *session) prompt() string {
	if s.k == nil {
		return "miniftp> "
	}
	r := s.k.Remote
	who := strings.TrimSuffix(r.Addr, ":"+ftp.DefaultPort(r.Scheme))
	if r.User != "" {
		who = r.User + "@" + who
	}
	if r.Storage != "" {
		who, _ = r.Around()
		who = strings.TrimRight(who, "!/")
	}
	width := term.Width(s.e.Out)
	who = term.Fit(ftp.Printable(who), width/3)
	dir := s.dir
	if dir == "" {
		dir = "~"
	}
	dir = term.Fit(ftp.Printable(dir), max(width/2-term.Cells(who), width/8))
	return "miniftp " + who + ":" + dir + "> "
}
