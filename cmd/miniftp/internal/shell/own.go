package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// These are the verbs that the shell implements itself.

func (s *session) runCd(ctx context.Context, l *call) error {
	if s.k == nil {
		return errNotConnected
	}
	to := s.home
	if len(l.args) > 0 {
		if to = s.path(l.args[0]); l.args[0].text == "-" {
			to = s.before
		}
	}
	k := *s.k
	k.Ctx = ctx
	if err := k.MayEnter(to); err != nil {
		return verb.At(to, err)
	}
	s.before, s.dir = s.dir, to
	return nil
}

func (s *session) runCdup(ctx context.Context, l *call) error {
	l.args = []word{literal("..")}
	return s.runCd(ctx, l)
}

func (s *session) runPwd(_ context.Context, l *call) error {
	if s.k == nil {
		return errNotConnected
	}
	dir := s.dir
	if dir == "" {
		dir = "the login directory"
	}
	fmt.Fprintln(l.out, ftp.Printable(dir))
	return nil
}

func (s *session) runRmdir(ctx context.Context, l *call) error {
	for _, w := range l.args {
		p := s.path(w)
		err := s.do(ctx, p, func(cl *client.Client) error { return cl.RemoveDir(ctx, p) })
		if err != nil {
			return verb.At(p, err)
		}
	}
	return nil
}

func (s *session) runLcd(_ context.Context, l *call) error {
	home, err := os.UserHomeDir()
	to := home
	if len(l.args) > 0 {
		err = nil
		if to = localName(l.args[0], home); to == "-" {
			to = s.lbefore
		}
	}
	if err != nil {
		return verb.LocalProblem("lcd", err)
	}
	was, _ := os.Getwd()
	if err := os.Chdir(to); err != nil {
		return verb.LocalProblem(to, err)
	}
	s.lbefore = was
	return nil
}

func (s *session) runLpwd(_ context.Context, l *call) error {
	dir, err := os.Getwd()
	if err != nil {
		return verb.LocalProblem("lpwd", err)
	}
	fmt.Fprintln(l.out, ftp.Printable(dir))
	return nil
}

func (s *session) runLls(_ context.Context, l *call) error {
	var names []string
	args := l.args
	if len(args) == 0 {
		args = []word{literal(".")}
	}
	home, _ := os.UserHomeDir()
	for _, w := range args {
		found, err := localNames(w, home)
		if err != nil {
			return err
		}
		for _, name := range found {
			info, err := os.Stat(name)
			if err != nil {
				return verb.LocalProblem(name, err)
			}
			if !info.IsDir() || w.isGlob() {
				names = append(names, slashed(name, info.IsDir()))
				continue
			}
			entries, err := os.ReadDir(name)
			if err != nil {
				return verb.LocalProblem(name, err)
			}
			for _, e := range entries {
				if !strings.HasPrefix(e.Name(), ".") {
					names = append(names, slashed(e.Name(), e.IsDir()))
				}
			}
		}
	}
	width := 1
	if term.IsTerminal(l.out) {
		width = term.Width(l.out)
	}
	fmt.Fprint(l.out, inColumns(names, width))
	return nil
}

func slashed(name string, dir bool) string {
	if dir {
		name += "/"
	}
	return ftp.Printable(name)
}

func (s *session) runLocal(_ context.Context, l *call) error {
	line := ""
	if len(l.args) > 0 {
		line = l.args[0].text
	}
	return s.localShell(line, s.e.In)
}

func (s *session) runOpen(ctx context.Context, l *call) error { return s.connect(ctx, l.args[0].text) }

func (s *session) runUser(ctx context.Context, l *call) error {
	if s.k == nil {
		return errNotConnected
	}
	if s.k.Bridge != nil {
		return verb.Usagef("a storage has no users: open ftp://host/ connects to a server")
	}
	r := *s.k.Remote
	r.User, r.Password, r.HasPassword, r.Path = l.args[0].text, "", false, ""
	var err error
	switch {
	case len(l.args) > 1:
		r.Password, r.HasPassword = l.args[1].text, true
	case s.tty != nil && !connect.IsAnonymous(r.User):
		r.Password, err = s.tty.password("Password: ")
		r.HasPassword = true
	}
	if err != nil {
		return err
	}
	s.secrets.Add(r.User, r.Password)
	k := *s.k
	k.Remote, k.Opts.User, k.Opts.Password = &r, r.User, r.Password
	k.Pool = client.NewPool(r.Addr, connect.MaxParallel, &k.Opts)
	return s.enter(ctx, &k, "")
}

func (s *session) runClose(context.Context, *call) error {
	if s.k == nil {
		return errNotConnected
	}
	s.disconnect()
	return nil
}

func (s *session) runBye(context.Context, *call) error {
	s.exiting = s.mayLeave()
	return nil
}

// mayLeave reports whether the shell may exit. At a terminal it warns once if jobs are running.
func (s *session) mayLeave() bool {
	n := 0
	for _, j := range s.jobs {
		if !j.over() {
			n++
		}
	}
	if n == 0 || s.tty == nil || s.warned {
		return true
	}
	s.warned = true
	what := "1 job is running: wait waits for it, a second bye ends it"
	if n > 1 {
		what = fmt.Sprintf("%d jobs are running: wait waits for them, a second bye ends them", n)
	}
	s.say(what)
	return false
}

// onOff parses on or off. Without an argument it returns the opposite of now.
func onOff(l *call, now bool) (bool, error) {
	if len(l.args) == 0 {
		return !now, nil
	}
	switch strings.ToLower(l.args[0].text) {
	case "on", "yes", "1":
		return true, nil
	case "off", "no", "0":
		return false, nil
	}
	return false, verb.Usagef("%q is not on or off", l.args[0].text)
}

func (s *session) runPassive(_ context.Context, l *call) error { return s.setMode(l, false) }
func (s *session) runActive(_ context.Context, l *call) error  { return s.setMode(l, true) }

// setMode implements the verb active, or passive if active is false. Turning one off turns the other on.
func (s *session) setMode(l *call, active bool) error {
	on, err := onOff(l, false)
	if err != nil {
		return err
	}
	if s.k == nil {
		return errNotConnected
	}
	mode := ftp.Passive
	if on == active {
		mode = ftp.Active
	}
	if s.k.Bridge != nil && mode == ftp.Active {
		return verb.Usagef("active mode is for servers: a storage needs none")
	}
	if s.k.Opts.Mode != mode {
		s.changeOptions(func(o *client.Options) { o.Mode = mode })
	}
	if s.tty != nil {
		fmt.Fprintf(l.out, "%v\n", mode)
	}
	return nil
}

func (s *session) runASCII(context.Context, *call) error  { s.ascii = true; return nil }
func (s *session) runBinary(context.Context, *call) error { s.ascii = false; return nil }

func (s *session) runType(_ context.Context, l *call) error {
	if len(l.args) > 0 {
		switch strings.ToLower(l.args[0].text) {
		case "a", "ascii", "text":
			s.ascii = true
		case "i", "binary", "image":
			s.ascii = false
		default:
			return verb.Usagef("%q is not ascii or binary", l.args[0].text)
		}
		return nil
	}
	fmt.Fprintln(l.out, map[bool]string{true: "ascii", false: "binary"}[s.ascii])
	return nil
}

func (s *session) runVerbose(_ context.Context, l *call) error {
	now, _ := s.see.state()
	on, err := onOff(l, now)
	if err == nil {
		s.see.setVerbose(on)
	}
	return err
}

func (s *session) runExplain(_ context.Context, l *call) error {
	_, now := s.see.state()
	name := ""
	on := !now
	if len(l.args) > 0 {
		var w explain.Word
		var err error
		if on, err = onOff(l, now); err != nil {
			if w.Set(l.args[0].text) != nil || w.File == "" {
				return verb.Usagef("%q is not on, off, or the name of a picture to write: FILE.svg or FILE.html", l.args[0].text)
			}
			on = true
			if name, err = filepath.Abs(w.File); err != nil {
				return verb.LocalProblem(w.File, err)
			}
		}
	}
	err := s.see.stopExplaining()
	if on {
		s.see.explain(s.e, name)
	}
	return err
}

// shellCommands maps FTP commands to the verbs of the shell that do the same. They can't be sent by hand:
// the shell uses several connections, and such a command would affect only one of them.
var shellCommands = map[string]string{
	"CWD": "cd", "XCWD": "cd", "CDUP": "cdup", "XCUP": "cdup", "QUIT": "bye or close", "REIN": "user", "USER": "user",
	"PASS": "user", "ACCT": "user", "TYPE": "ascii or binary", "REST": "reget or reput", "ABOR": "Ctrl-C, or kill for a job",
	"RNFR": "mv", "RNTO": "mv", "RETR": "get", "STOR": "put", "APPE": "put", "STOU": "put", "LIST": "ls", "NLST": "ls", "MLSD": "ls",
	"PASV": "passive", "EPSV": "passive", "PORT": "active", "EPRT": "active",
}

func (s *session) runQuote(ctx context.Context, l *call) error {
	command := strings.ToUpper(l.args[0].text)
	if say := shellCommands[command]; say != "" {
		return verb.Usagef("%s would affect only one of several connections: use %s", command, say)
	}
	return s.send(ctx, l, command, l.args[1:])
}

func (s *session) runSite(ctx context.Context, l *call) error { return s.send(ctx, l, "SITE", l.args) }

// send sends a command to the server, from the current directory, and prints the reply.
func (s *session) send(ctx context.Context, l *call, command string, args []word) error {
	var words []string
	for _, w := range args {
		words = append(words, w.text)
	}
	s.secrets.Learn(ftp.Command{Verb: command, Arg: strings.Join(words, " ")})
	var refused error // kept out of s.do, which would retry
	err := s.do(ctx, command, func(cl *client.Client) error {
		if path.IsAbs(s.dir) {
			if err := cl.ChangeDir(ctx, s.dir); err != nil {
				return err
			}
		}
		reply, err := cl.Command(ctx, command, strings.Join(words, " "))
		reply = s.secrets.MaskReply(reply)
		if err != nil && !errors.As(err, new(*ftp.Error)) {
			return err
		}
		for i, line := range reply.Lines {
			mark := "-"
			if i == len(reply.Lines)-1 {
				mark = " "
			}
			fmt.Fprintf(l.out, "%03d%s%s\n", int(reply.Code), mark, ftp.Printable(line))
		}
		if err != nil {
			refused = verb.Reported{Err: err}
		}
		return nil
	})
	return verb.FirstError(err, refused)
}

func (s *session) runHistory(_ context.Context, l *call) error {
	if s.tty == nil {
		return verb.Usagef("a script has no history")
	}
	for i, line := range s.tty.history {
		fmt.Fprintf(l.out, "%5d  %s\n", i+1, line)
	}
	return nil
}
