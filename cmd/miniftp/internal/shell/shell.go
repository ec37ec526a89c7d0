// Package shell is the verb shell: a prompt, or a script, whose lines run the other verbs over the
// connections that it holds.
//
// It finds the verbs in the list that its environment has, and imports none of them.
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
			&cli.BoolFlag{Name: "keep-going", Aliases: []string{"k"}, Usage: "in a script, continue after a command that failed"}),
		Description: flags.Examples("The verbs are those of ftp and lftp, and take the flags of miniftp's own; help lists them. "+
			"Tab completes verbs and names at both ends, a line that ends in & runs in the background, and a connection that broke is made again. "+
			"Where standard input is no terminal it is a script: the first command that fails ends it, with its exit code.",
			"miniftp shell -c 'cd docs; ls -l; get guide.md' ftp://127.0.0.1:2121/",
			"echo 'ls docs' | miniftp shell ftp://127.0.0.1:2121/"),
		Action: func(c *cli.Context) error { return runShell(e, c) },
	}
}

func runShell(e *verb.Env, c *cli.Context) (err error) {
	lines, given := c.String("command"), c.IsSet("command")
	name := c.String("file")
	if given && name != "" {
		return verb.Usagef("-c and -f exclude each other: both say which lines to run")
	}
	if _, err := connect.Options(c); err != nil {
		return err
	}
	// lcd must not move them.
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
		s.talk()
		return verb.FirstError(s.finish(), context.Cause(e.Ctx))
	}
	err = s.script(script, given && !strings.Contains(strings.TrimSpace(lines), "\n"))
	return verb.FirstError(err, s.finish())
}

// longestLine bounds a line of a script.
const longestLine = 1 << 20

// script runs lines until one fails.
func (s *session) script(r io.Reader, one bool) (last error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, longestLine)
	for n := 1; !s.left; n++ {
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
			return s.failed("", verb.Usagef("it is longer than %s", term.Size(longestLine)))
		case err != nil && s.e.Ctx.Err() == nil:
			return verb.LocalProblem("standard input", err)
		case err != nil:
			return err
		}
		err = s.runLine(line)
		if failed := s.tell(); err == nil {
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

// await reads a line, or gives up when ctx ends: nothing else ends the read.
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

// talk runs the lines that somebody types. SIGINT is the shell's from here on: it ends
// what runs in the foreground, and nothing else.
func (s *session) talk() {
	signal.Ignore(os.Interrupt) // nobody else is told any more
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)
	go func() {
		for range signals {
			s.interrupt()
		}
	}()
	s.say("help lists the verbs, Tab completes, Ctrl-D leaves.")
	for !s.left {
		_ = s.tell()
		line, err := await(s.e.Ctx, func() (string, error) { return s.tty.next(s.prompt()) })
		switch {
		case errors.Is(err, errDropped):
			continue
		case err != nil: // Ctrl-D, or the terminal is gone
			fmt.Fprintln(s.e.Out)
			s.left = errors.Is(err, io.EOF) && s.mayLeave() || !errors.Is(err, io.EOF)
			continue
		}
		s.tty.remember(line)
		was := s.leaving
		_ = s.runLine(line)
		s.leaving = s.leaving && !was // it was said for the line before this one
		s.left = s.left || s.e.Ctx.Err() != nil
	}
}

// prompt is "miniftp alice@host:/pub> ", short enough for the line behind it.
func (s *session) prompt() string {
	if s.k == nil {
		return "miniftp> "
	}
	r := s.k.Remote
	who := strings.TrimSuffix(r.Addr, ":"+ftp.DefaultPort(r.Scheme))
	if r.User != "" {
		who = r.User + "@" + who
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
