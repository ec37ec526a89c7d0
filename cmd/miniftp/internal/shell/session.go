package shell

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// session is what a shell remembers from line to line. Remote paths are absolute, so
// that any connection will do: one that broke is replaced, and nothing is lost.
type session struct {
	e     *verb.Env
	c     *cli.Context // its flags hold for every line
	see   *watchers
	verbs map[string]*shellVerb
	app   *cli.App  // the command line, to look up its flags
	tty   *terminal // nil: a script
	stdin bool      // lines come from standard input
	ascii bool
	where string // the line of a script that runs, in front of its messages

	secrets ftp.Secrets // that were typed, or belong to its connections

	k         *connect.Link // nil: not connected
	home, dir string        // on the server: that of the login, and the current one
	before    string        // where cd - leads
	lbefore   string        // where lcd - leads
	old       []*client.Pool
	jobs      []*job
	lastJob   int
	listings  listings
	leaving   bool // it was said that jobs run
	left      bool

	mu   sync.Mutex
	stop context.CancelFunc // ends what runs in the foreground
}

// runningLine is one line of a shell, as the verb that it runs sees it.
type runningLine struct {
	s    *session
	name string        // of the verb, as it was typed
	k    *connect.Link // the shell's
	job  *job          // if it runs in the background

	piped bool // its output goes to a program, which may stop reading
}

// Lend gives a verb the shell's link, if it is one to the server that the verb wants.
func (l *runningLine) Lend(e *verb.Env, c *cli.Context, r *ftp.URL) (*connect.Link, error) {
	if l.k == nil || l.k.Remote.Scheme != r.Scheme || l.k.Remote.Addr != r.Addr || l.k.Remote.User != r.User {
		return nil, nil
	}
	if _, err := connect.Options(c); err != nil {
		return nil, err
	}
	if c.Command.Name == "copy" { // it has connections of its own, that trust whom copy trusts
		r.Password, r.HasPassword = l.k.Opts.Password, true
		return nil, nil
	}
	_, drawn := l.s.see.state()
	k := *l.k
	k.Env, k.Ctx, k.Remote, k.At, k.Retries, k.Several = e, c.Context, r, r.String(), c.Int("retries"), &connect.Several{Drawn: drawn}
	return &k, nil
}

// Message is a message of the verb in the words of the shell.
func (l *runningLine) Message(text string) string {
	if l.job != nil {
		return l.plain(text)
	}
	text = l.s.where + l.name + ": " + l.plain(text)
	if l.s.tty == nil {
		text = "miniftp: " + text
	}
	return text
}

// plain writes URLs of the shell's server as paths, and commands as one types them here.
func (l *runningLine) plain(text string) string {
	for _, v := range l.s.verbs {
		if v.cli != "" {
			text = strings.ReplaceAll(text, "miniftp "+v.cli+" --help", "help "+l.name)
			text = strings.ReplaceAll(text, "miniftp "+v.cli+" ", l.name+" ")
		}
	}
	if l.k == nil {
		return text
	}
	var b strings.Builder
	server := l.k.Remote.Server() + "/"
	for {
		head, rest, ok := strings.Cut(text, server)
		b.WriteString(head)
		if !ok {
			return b.String()
		}
		name, _, _ := strings.Cut(rest, " ")
		decoded, err := ftp.PathUnescape(name)
		if err != nil {
			decoded = name
		}
		b.WriteString(ftp.Printable(decoded))
		text = rest[len(name):]
	}
}

// Piped reports whether what the verb writes goes to a program.
func (l *runningLine) Piped() bool { return l.piped }

// Moved is what tells a job how far its file is; nil in the foreground.
func (l *runningLine) Moved() func(done, total int64) {
	if l.job == nil {
		return nil
	}
	return l.job.file()
}

// errNotConnected is a line that needs a server.
var errNotConnected = verb.Usagef("not connected: open ftp://host/ connects")

// connect opens the server of a URL, and its directory.
func (s *session) connect(ctx context.Context, url string) error {
	if !verb.IsURL(url) {
		url = "ftp://" + url
	}
	r, err := target.Parse(url)
	if err != nil {
		return err
	}
	r.Pattern = ""
	if err := s.credentials(r); err != nil {
		return err
	}
	k, err := connect.Open(s.e, s.c, r)
	if err != nil {
		return err
	}
	return s.enter(ctx, k, r.Path)
}

// credentials puts the login into the URL, and asks a person for the password.
func (s *session) credentials(r *ftp.URL) error {
	quiet := &verb.Env{Stdio: verb.Stdio{In: strings.NewReader(""), Out: s.e.Out, Err: s.e.Err}, Ctx: s.e.Ctx} // nobody to ask
	user, pass, err := connect.Login(quiet, s.c, r)
	if err != nil || connect.IsAnonymous(user) {
		return err
	}
	if pass == "" && !r.HasPassword && s.tty != nil {
		if pass, err = s.tty.password("Password of " + ftp.Printable(user) + " at " + r.Addr + ": "); err != nil {
			return err
		}
	}
	r.User, r.Password, r.HasPassword = user, pass, true
	s.secrets.Add(user, pass)
	return nil
}

// enter makes a link the shell's, in a directory of its server.
func (s *session) enter(ctx context.Context, k *connect.Link, to string) error {
	_ = k.Pool.Close() // nothing was dialed yet: each verb has its own --parallel
	k.Pool, k.Lent = client.NewPool(k.Remote.Addr, connect.MaxParallel, &k.Opts), true
	now := *k
	now.Ctx = ctx
	home := ""
	err := now.Do(func(cl *client.Client) error {
		dir, err := cl.Pwd(ctx)
		if errors.As(err, new(*ftp.Error)) && cl.Alive() {
			return nil // it has no PWD
		}
		if path.IsAbs(dir) { // others are relative to the login, as VMS has no such paths
			home = dir
		}
		return err
	})
	dir := home
	if err == nil && to != "" {
		dir = joinDir(home, to)
		err = now.MayEnter(dir)
	}
	if err != nil {
		_ = k.Pool.Close()
		return verb.At(k.Remote.String(), err)
	}
	s.disconnect()
	s.k, s.home, s.dir, s.before = k, home, dir, ""
	return nil
}

// disconnect ends the connections, when no job needs them any more.
func (s *session) disconnect() {
	if s.k != nil {
		s.old = append(s.old, s.k.Pool)
	}
	s.k, s.dir, s.before = nil, "", ""
	s.listings.forget()
	s.closeOld()
}

func (s *session) closeOld() {
	for _, j := range s.jobs {
		if !j.over() {
			return
		}
	}
	for _, p := range s.old {
		_ = p.Close()
	}
	s.old = nil
}

// rewire connects anew with other options.
func (s *session) rewire(change func(o *client.Options)) {
	if s.k == nil {
		return
	}
	k := *s.k
	change(&k.Opts)
	k.Pool = client.NewPool(k.Remote.Addr, connect.MaxParallel, &k.Opts)
	s.old = append(s.old, s.k.Pool)
	s.k = &k
	s.closeOld()
}

// do runs f with a connection in the shell's directory.
func (s *session) do(ctx context.Context, what string, f func(cl *client.Client) error) error {
	if s.k == nil {
		return errNotConnected
	}
	k := *s.k
	k.Ctx, k.At = ctx, what
	return k.Do(f)
}

// joinDir is a path seen from a directory; "" is that of the login.
func joinDir(dir, name string) string {
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	if name = path.Clean(name); name == "." {
		return ""
	}
	return name
}

// path is the remote path that a word names.
func (s *session) path(w word) string {
	if w.bare && w.text == "~" {
		return s.home
	}
	return joinDir(s.dir, w.text)
}

// url is what a word names on the server, or the URL that it is.
func (s *session) url(w word) string {
	if verb.IsURL(w.text) || s.k == nil {
		return w.text
	}
	p := joinDir(s.dir, cmp.Or(w.glob, "."))
	if strings.HasSuffix(w.text, "/") && !strings.HasSuffix(p, "/") {
		p += "/"
	}
	if rest, ok := strings.CutPrefix(p, "/"); ok {
		return s.k.Remote.Server() + "/%2F" + escapeGlob(rest)
	}
	return s.k.Remote.Server() + "/" + escapeGlob(p)
}

// dirURL is the current directory, as a target for files.
func (s *session) dirURL() string {
	u := s.url(itself("."))
	if strings.HasSuffix(u, "/") || strings.HasSuffix(u, "/%2F") {
		return u
	}
	return u + "/"
}

// escapeGlob is escape for a pattern of path.Match: wildcards stay what they are.
func escapeGlob(glob string) string {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case c == '\\' && i+1 < len(glob):
			i++
			b.WriteString(ftp.PathEscape(glob[i : i+1]))
		case strings.IndexByte("*?[", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString(ftp.PathEscape(glob[i : i+1]))
		}
	}
	return b.String()
}

// local is a word as a local name. That of a job is absolute: lcd does not move it.
func (s *session) local(w word, background bool) (string, error) {
	home, _ := os.UserHomeDir()
	name := localName(w, home)
	if background && name != "-" {
		abs, err := filepath.Abs(name)
		if err != nil {
			return "", verb.LocalProblem(name, err)
		}
		return abs, nil
	}
	if verb.IsURL(name) {
		name = "." + string(filepath.Separator) + name
	}
	return name, nil
}
