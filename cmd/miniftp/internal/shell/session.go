package shell

import (
	"cmp"
	"context"
	"errors"
	"io"
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

// session holds the state that a shell keeps between lines. Remote paths are absolute, so that any
// connection can serve a line: a broken connection is replaced without loss.
//
// One goroutine runs the lines and owns all fields, except that
//   - a job, which runs in its own goroutine, uses verbs, which never changes, and see and listings,
//     which have locks. It keeps the link that was current when it started;
//   - Tab completion runs in the goroutine that reads a line, while the owner waits for that line;
//   - the goroutine that handles SIGINT uses only stop, under mu.
type session struct {
	e     *verb.Env
	c     *cli.Context // its flags apply to every line
	see   *watchers
	verbs map[string]*shellVerb
	app   *cli.App  // the command line, to look up its flags
	tty   *terminal // nil for a script
	stdin bool      // lines come from standard input
	ascii bool
	where string // prefix of messages: the current line of a script

	secrets ftp.Secrets // typed by the user or used by the connections

	k         *connect.Link // nil: not connected
	home, dir string        // the login directory and the current one, on the server
	before    string        // the directory that cd - changes to
	lbefore   string        // the directory that lcd - changes to
	old       []io.Closer   // replaced pools and bridges, which jobs may still use; see closeOld
	jobs      []*job
	lastJob   int
	listings  listings
	warned    bool // mayLeave has warned about running jobs
	exiting   bool // the shell ends after the current command

	mu   sync.Mutex
	stop context.CancelFunc // ends the command in the foreground
}

// runningLine is the verb.ShellLine of one line of a shell.
type runningLine struct {
	s    *session
	name string        // of the verb, as typed
	k    *connect.Link // the shell's
	job  *job          // nil in the foreground

	piped bool // its output goes to a program, which may stop reading
}

// Lend returns the shell's link if the verb needs the same server and user, and nil otherwise.
func (l *runningLine) Lend(e *verb.Env, c *cli.Context, r *target.Remote) (*connect.Link, error) {
	if l.k == nil || !l.k.Remote.SameLogin(r) {
		return nil, nil
	}
	if _, err := connect.Options(c); err != nil {
		return nil, err
	}
	if c.Command.Name == "copy" { // copy needs its own connections, with its own rules about which addresses to trust
		if r.Storage == "" {
			r.Password, r.HasPassword = l.k.Opts.Password, true
		}
		return nil, nil
	}
	if c.Command.Name == "mirror" && l.k.Bridge != nil { // mirror opens the storage with exact times
		return nil, nil
	}
	_, drawn := l.s.see.state()
	k := *l.k
	k.Env, k.Ctx, k.Remote, k.At, k.Retries, k.Several = e, c.Context, r, r.String(), c.Int("retries"), &connect.Several{Drawn: drawn}
	return &k, nil
}

// Message returns a message of the verb as the shell prints it.
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

// plain replaces URLs of the shell's server by paths, and commands by those of the shell.
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
	before, after := l.k.Remote.Around()
	for {
		head, rest, ok := strings.Cut(text, before)
		b.WriteString(head)
		if !ok {
			return b.String()
		}
		name, _, _ := strings.Cut(rest, " ")
		decoded, err := ftp.PathUnescape(strings.Replace(name, after, "", 1))
		if err != nil {
			decoded = name
		}
		if l.k.Remote.Storage != "" {
			decoded = "/" + decoded
		}
		b.WriteString(ftp.Printable(decoded))
		text = rest[len(name):]
	}
}

// Piped reports whether the output of the verb goes to a program.
func (l *runningLine) Piped() bool { return l.piped }

// Moved returns the function that reports the progress of a file to the job; nil in the foreground.
func (l *runningLine) Moved() func(done, total int64) {
	if l.job == nil {
		return nil
	}
	return l.job.file()
}

// errNotConnected is returned for a line that needs a server when there is none.
var errNotConnected = verb.Usagef("not connected: open ftp://host/ connects")

// connect connects to the server of a URL and enters its directory.
func (s *session) connect(ctx context.Context, url string) error {
	if !verb.IsURL(url) {
		url = "ftp://" + url
	}
	r, err := target.ParseRemote(url)
	if err != nil {
		return err
	}
	r.Pattern = ""
	if r.Storage == "" {
		if err := s.credentials(r); err != nil {
			return err
		}
	}
	k, err := connect.Open(s.e, s.c, r)
	if err != nil {
		return err
	}
	return s.enter(ctx, k, r.Path)
}

// credentials sets the login in r. At a terminal it asks for a missing password.
func (s *session) credentials(r *target.Remote) error {
	quiet := &verb.Env{Stdio: verb.Stdio{In: strings.NewReader(""), Out: s.e.Out, Err: s.e.Err}, Ctx: s.e.Ctx} // its standard input is empty, so that Login does not ask
	user, pass, err := connect.Login(quiet, s.c, &r.URL)
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

// enter makes k the link of the shell and changes to directory to. On failure the shell keeps its old
// link.
func (s *session) enter(ctx context.Context, k *connect.Link, to string) error {
	_ = k.Pool.Close() // it has dialed nothing yet; a larger pool lets each verb choose its own --parallel
	k.Pool, k.Lent = client.NewPool(k.Remote.Addr, connect.MaxParallel, &k.Opts), true
	now := *k
	now.Ctx = ctx
	home := ""
	err := now.Do(func(cl *client.Client) error {
		dir, err := cl.Pwd(ctx)
		if errors.As(err, new(*ftp.Error)) && cl.Alive() {
			return nil // the server does not support PWD
		}
		if path.IsAbs(dir) { // other paths, such as those of VMS, are used relative to the login directory
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
		if k.Bridge != nil {
			_ = k.Bridge.Close()
		}
		return verb.At(k.Remote.String(), err)
	}
	s.disconnect()
	s.k, s.home, s.dir, s.before = k, home, dir, ""
	return nil
}

// disconnect drops the link. Its connections are closed when no job needs them any longer.
func (s *session) disconnect() {
	if s.k != nil {
		s.old = append(s.old, s.k.Pool)
		if s.k.Bridge != nil {
			s.old = append(s.old, s.k.Bridge)
		}
	}
	s.k, s.dir, s.before = nil, "", ""
	s.listings.forget()
	s.closeOld()
}

// closeOld closes the replaced pools and bridges, unless a job is running: it may have started with one of them.
func (s *session) closeOld() {
	for _, j := range s.jobs {
		if !j.over() {
			return
		}
	}
	for _, old := range s.old {
		_ = old.Close()
	}
	s.old = nil
}

// changeOptions replaces the pool by one with other options.
func (s *session) changeOptions(change func(o *client.Options)) {
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

// do calls f with a connection; what prefixes its errors.
func (s *session) do(ctx context.Context, what string, f func(cl *client.Client) error) error {
	if s.k == nil {
		return errNotConnected
	}
	k := *s.k
	k.Ctx, k.At = ctx, what
	return k.Do(f)
}

// joinDir returns name relative to dir; "" is the login directory.
func joinDir(dir, name string) string {
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	if name = path.Clean(name); name == "." {
		return ""
	}
	return name
}

// path returns the remote path that a word names.
func (s *session) path(w word) string {
	if w.bare && w.text == "~" {
		return s.home
	}
	return joinDir(s.dir, w.text)
}

// url returns the URL of a remote name, or the word itself if it is a URL.
func (s *session) url(w word) string {
	if verb.IsURL(w.text) || s.k == nil {
		return w.text
	}
	p := joinDir(s.dir, cmp.Or(w.glob, "."))
	if strings.HasSuffix(w.text, "/") && !strings.HasSuffix(p, "/") {
		p += "/"
	}
	return s.k.Remote.JoinEscaped(escapeGlob(p))
}

// dirURL returns the URL of the current directory, with a slash at the end.
func (s *session) dirURL() string {
	u := s.url(literal("."))
	if strings.HasSuffix(u, "/") || strings.HasSuffix(u, "/%2F") {
		return u
	}
	return u + "/"
}

// escapeGlob escapes a pattern of path.Match for a URL. Its wildcards are not escaped.
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

// local returns the local name in a word. For a job it is absolute, so that lcd does not affect it.
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
