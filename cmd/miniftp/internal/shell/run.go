package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// call is a command of a line that has been parsed.
type call struct {
	command
	verb  *shellVerb
	name  string   // of the verb, as typed
	flags []string // for the verb of the command line that the call runs
	args  []word
	send  bool // mirror -R: send instead of fetch
	out   io.Writer
}

// runLine runs the commands of a line until one fails or leaves the shell.
func (s *session) runLine(line string) error {
	all, err := splitLine(line)
	if err != nil {
		return s.failed("", err)
	}
	var last error
	for _, c := range all {
		if s.exiting || s.e.Ctx.Err() != nil {
			break
		}
		if err := s.runCommand(c); err != nil {
			last = err
			if !s.c.Bool("keep-going") {
				break
			}
		}
	}
	return last
}

// failed prints an error of a command, unless that has been done.
func (s *session) failed(name string, err error) error {
	if err == nil || errors.As(err, new(verb.Reported)) || errors.Is(err, context.Canceled) {
		return err
	}
	text := strings.TrimSpace(err.Error())
	if name != "" {
		text = name + ": " + text
	}
	s.say(s.where + text)
	return verb.Reported{Err: err}
}

// say prints a message to standard error.
func (s *session) say(text string) {
	if s.tty == nil {
		text = "miniftp: " + text
	}
	fmt.Fprintln(s.e.Err, text)
}

// runCommand runs one command, in the foreground or the background.
func (s *session) runCommand(c command) error {
	l, err := s.understand(c)
	if err != nil {
		return s.failed(c.words[0].text, err)
	}
	if l == nil {
		return nil // understand has printed its help
	}
	if l.background {
		if l.verb.cli == "" || l.pipe != "" {
			return s.failed(l.name, verb.Usagef("it can't run in the background: only verbs that transfer or list can"))
		}
		return s.failed(l.name, s.start(l))
	}
	ctx, cancel := context.WithCancel(s.e.Ctx)
	defer cancel()
	s.mu.Lock()
	s.stop = cancel
	s.mu.Unlock()
	err = s.foreground(ctx, l)
	if l.verb.writes {
		s.listings.forget()
	}
	if err != nil && ctx.Err() != nil && s.e.Ctx.Err() == nil {
		s.say("interrupted" + verb.ResumeHint(l.verb.cli))
		return verb.Reported{Err: context.Canceled}
	}
	if err != nil && s.e.Ctx.Err() != nil {
		s.e.Resume = verb.ResumeHint(l.verb.cli) // for the last line of the program
	}
	return s.failed(l.name, err)
}

// interrupt ends the command in the foreground.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
	}
}

// foreground runs a command. If the line has a pipe, or the verb uses a pager, the output goes to
// that program. A program may stop reading early, as head does: the command then ends with EPIPE, which
// is not an error.
func (s *session) foreground(ctx context.Context, l *call) error {
	if l.pipe == "" && l.verb.pager {
		l.pipe = pager()
	}
	own, ok := s.e.Out.(*verb.Output)
	if !ok || l.pipe == "" {
		out := s.e.Out
		if ok {
			out = own.W
		}
		return s.runTo(ctx, l, out)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return verb.LocalProblem("pipe", err)
	}
	defer r.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- s.localShell(l.pipe, r)
		r.Close() // further output fails with EPIPE
	}()
	err = s.runTo(ctx, l, w)
	w.Close()
	failed := <-ended
	if errors.Is(err, syscall.EPIPE) { // the program stopped reading: its exit status counts
		err = nil
	}
	return verb.FirstError(err, failed)
}

// runTo runs a command with out as its standard output.
func (s *session) runTo(ctx context.Context, l *call, out io.Writer) error {
	io := verb.Stdio{In: s.e.In, Out: out, Err: s.e.Err}
	if l.verb.cli == "" {
		o := &verb.Output{W: out}
		l.out = o
		err := verb.FirstError(l.verb.run(s, ctx, l), o.Err)
		s.endLine(o)
		return err
	}
	run, err := s.prepare(ctx, l, io, nil)
	if err != nil {
		return err
	}
	return run()
}

// endLine completes the last line on the terminal, if the output did not end with a newline.
func (s *session) endLine(o *verb.Output) {
	if s.tty != nil && o.Last != 0 && o.Last != '\n' && term.IsTerminal(o) {
		fmt.Fprintln(o)
	}
}

// prepare sets up a verb of the command line: its flags are passed on, its names become URLs. The
// function it returns may run concurrently with other lines.
func (s *session) prepare(ctx context.Context, l *call, io verb.Stdio, j *job) (run func() error, err error) {
	operands, err := l.verb.operands(s, l)
	if err != nil {
		return nil, err
	}
	args := append(append([]string{"miniftp", l.verb.cli}, l.flags...), "--")
	args = append(args, operands...)
	out := &verb.Output{W: io.Out}
	cols := s.columns(l, out)
	if cols != nil {
		io.Out = &verb.Output{W: cols}
	} else {
		io.Out = out
	}
	e := &verb.Env{
		Stdio: io, Ctx: ctx, Raw: args, Verbs: s.e.Verbs, Wait: s.e.Wait, Watching: s.see, Watched: true,
		Line: &runningLine{s: s, name: l.name, k: s.k, job: j, piped: l.pipe != ""},
	}
	app := flags.NewApp(e)
	s.defaults(app.Command(l.verb.cli))
	return func() error {
		err := app.RunContext(ctx, args)
		if cols != nil {
			cols.print(out)
		}
		if j == nil {
			s.endLine(out)
		}
		if err = verb.FirstError(err, out.Err); errors.Is(err, syscall.EPIPE) || err == nil {
			return err
		}
		e.SayError(err)
		return verb.Reported{Err: err}
	}, nil
}

// lineFlags names the flags common to all client verbs that a line of the shell may have. The other
// common flags apply to the connection.
var lineFlags = map[string]bool{"ascii": true, "parallel": true, "retries": true, "quiet": true, "json": true, "no-progress": true}

// connectionFlags are the names of the flags that apply to a connection, and so to all lines.
var connectionFlags = func() map[string]bool {
	all := map[string]bool{}
	for _, f := range connect.Flags() {
		if name := f.Names()[0]; !lineFlags[name] {
			all[name] = true
		}
	}
	return all
}()

// defaults sets the defaults of a verb's flags to the values of the shell.
func (s *session) defaults(c *cli.Command) {
	verbose, explain := s.see.state()
	for _, f := range c.Flags {
		name := f.Names()[0]
		if !connectionFlags[name] && !lineFlags[name] {
			continue
		}
		switch name {
		case "user", "password-file", "netrc", "account", "explain", "verbose", "record":
			continue // the link has them; other servers must not get them
		}
		flags.Inherit(f, s.c)
		switch f := f.(type) {
		case *cli.BoolFlag:
			switch name {
			case "ascii":
				f.Value = s.ascii
			case "no-progress": // progress bars would mix with the wire log or the ladder
				f.Value = f.Value || verbose || explain
			}
		case *cli.GenericFlag:
			switch chosen := s.active() == (name == "active"); {
			case name != "active" && name != "passive":
			case !chosen:
				_ = f.Value.Set("false")
			case !flags.IsOn(s.c, name) && s.active():
				_ = f.Value.Set("true")
			}
		}
	}
}

func (s *session) active() bool { return s.k != nil && s.k.Opts.Mode == ftp.Active }

// localShell runs a command in the local shell, with the terminal in the mode that it had at the
// start.
func (s *session) localShell(line string, in io.Reader) error {
	name, args := "sh", []string{"-c", line}
	switch {
	case runtime.GOOS == "windows":
		name, args = "cmd", []string{"/c", line}
	case line == "":
		if name = os.Getenv("SHELL"); name == "" {
			name = "sh"
		}
		args = nil
	}
	program, err := exec.LookPath(name)
	if err != nil {
		return verb.LocalProblem(name, err)
	}
	// The command has no context, because the program handles Ctrl-C itself.
	cmd := &exec.Cmd{Path: program, Args: append([]string{name}, args...), Stdin: in, Stdout: s.e.Out, Stderr: s.e.Err}
	if f, ok := term.File(s.e.Out); ok {
		cmd.Stdout = f
	}
	s.tty.lend()
	defer s.tty.takeBack()
	err = cmd.Run()
	if status, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%s: %w", ftp.Printable(line), status)
	}
	if err != nil {
		return verb.LocalProblem(name, err)
	}
	return nil
}

func pager() string {
	if p := os.Getenv("PAGER"); p != "" {
		return p
	}
	return "more"
}
