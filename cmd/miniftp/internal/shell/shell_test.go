package shell

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/ftptest"
)

// testSession returns a shell in a directory of a server; the test runs its lines.
func testSession(t *testing.T, url string) *session {
	t.Helper()
	t.Setenv("NETRC", filepath.Join(t.TempDir(), "none"))
	e := &verb.Env{Verbs: verbs, Stdio: verb.Stdio{In: strings.NewReader(""), Out: &verb.Output{W: new(bytes.Buffer)}, Err: new(bytes.Buffer)}, Ctx: t.Context(), Wait: func(int) time.Duration { return 0 }}
	s := &session{e: e, verbs: verbsByName()}
	app := flags.NewApp(e)
	app.Command("shell").Action = func(c *cli.Context) (err error) {
		s.c = c
		if s.see, err = newWatchers(e, c, e.Err); err == nil {
			e.Watching, e.Watched = s.see, true
			err = s.connect(t.Context(), url)
		}
		return err
	}
	if err := app.RunContext(t.Context(), []string{"miniftp", "shell"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.finish(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// said returns what the session has printed since the last call.
func (s *session) said() (out, errs string) {
	o, e := s.e.Out.(*verb.Output).W.(*bytes.Buffer), s.e.Err.(*bytes.Buffer)
	defer o.Reset()
	defer e.Reset()
	return o.String(), e.String()
}

func timesSent(srv *ftptest.Server, verb string) (n int) {
	for _, c := range srv.Commands() {
		if c.Verb == verb {
			n++
		}
	}
	return n
}

// TestShellLogsInOnce: many lines use one login.
func TestShellLogsInOnce(t *testing.T) {
	files := afero.NewMemMapFs()
	if err := afero.WriteFile(files, "/d/my notes", []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, files)
	s := testSession(t, srv.URL)
	for _, line := range []string{"ls", "cd d; pwd; cat 'my notes'", "stat my*; hash my\\ notes", "mv 'my notes' x; rm x; mkdir -p a/b; rmdir a/b", "quote NOOP"} {
		if err := s.runLine(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	out, errs := s.said()
	if !strings.HasPrefix(out, "d/\n/d\ntext\nname      /d/my notes\n") || errs != "" {
		t.Errorf("%s%s", out, errs)
	}
	if n := timesSent(srv, "USER"); n != 1 {
		t.Errorf("logged in %d times", n)
	}
}

// TestShellReconnects: a connection that breaks between two lines is replaced, and the current
// directory stays the same.
func TestShellReconnects(t *testing.T) {
	for name, fault := range map[string]ftptest.Fault{
		"421":       ftptest.Reply(421, "Bored."),
		"cut":       ftptest.HangUp(),
		"no answer": ftptest.Reply(421),
	} {
		t.Run(name, func(t *testing.T) {
			files := afero.NewMemMapFs()
			if err := afero.WriteFile(files, "/deep/er/x", []byte("text\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			srv := ftptest.NewServer(t, files)
			s := testSession(t, srv.URL)
			if err := s.runLine("cd deep/er"); err != nil {
				t.Fatal(err)
			}
			srv.Fail("NOOP", fault)
			_ = s.runLine("quote NOOP")
			srv.Heal()
			s.said()
			if err := s.runLine("pwd; cat x; ls"); err != nil {
				t.Error(err)
			}
			if out, errs := s.said(); out != "/deep/er\ntext\nx\n" || errs != "" {
				t.Errorf("%q, %q", out, errs)
			}
			if n := timesSent(srv, "USER"); n < 2 {
				t.Errorf("logged in %d times", n)
			}
		})
	}
}

// TestShellScriptFailures: errors are reported as the shell words them, and a script ends with the
// exit code of the command that failed.
func TestShellScriptFailures(t *testing.T) {
	srv := ftptest.NewServer(t, nil)
	for _, tt := range []struct {
		line string
		code int
		errs string // after "miniftp: line 2: "
	}{
		{"get nope", verb.ExitRefused, "get: /nope: the server says 550 /nope: no such file or directory.\n"},
		{"get 'a b%'", verb.ExitRefused, "get: /a b%: the server says 550 /a b%: no such file or directory.\n"},
		{"cd nope", verb.ExitRefused, "cd: /nope: the server says 550 /nope: no such file or directory.\n"},
		{"put nope", verb.ExitLocal, "put: nope: no such file or directory\n"},
		{"put - x", verb.ExitUsage, "put: standard input already holds the lines of the script: use -c or -f for them, or send a file\n"},
		{"nosuch", verb.ExitUsage, "nosuch: not a command: help lists them; !nosuch runs a local program\n"},
		{"get", verb.ExitUsage, "get: it takes REMOTE [LOCAL|-]\n"},
		{"get a b c", verb.ExitUsage, "get: it takes REMOTE [LOCAL|-]; mget takes several\n"},
		{"pwd x", verb.ExitUsage, "pwd: it takes no argument\n"},
		{"ls --insecure", verb.ExitUsage, "ls: --insecure applies to the whole connection: give it to  miniftp shell\n"},
		{"ls -v", verb.ExitUsage, "ls: -v is a command in the shell: type verbose\n"},
		{"ls -Z", verb.ExitUsage, "ls: unknown flag -Z: help ls lists the flags; put -- before a name that begins with a dash\n"},
		{"ls --sort=x", verb.ExitUsage, "ls: --sort \"x\": must be name, size or time\n"},
		{"get -j", verb.ExitUsage, "get: flag needs an argument: -j N (a whole number)\n"},
		{"mget -jx a", verb.ExitUsage, "mget: -j \"x\": it takes a whole number\n"},
		{"quote CWD x", verb.ExitUsage, "quote: CWD would affect only one of several connections: use cd\n"},
		{"quote MODE B", verb.ExitFailure, "quote: MODE can't be sent as a plain command: it would change how data connections work\n"},
		{"site nope", verb.ExitRefused, ""},
		{"cd x &", verb.ExitUsage, "cd: it can't run in the background: only verbs that transfer or list can\n"},
		{"kill 7", verb.ExitUsage, "kill: there is no job 7: jobs lists them\n"},
		{"get 'x", verb.ExitUsage, "a quote (') is not closed\n"},
		{"close; ls", verb.ExitUsage, "ls: not connected: open ftp://host/ connects\n"},
		{"open http://x/", verb.ExitUsage, "open: http:// is not supported: only ftp://, ftpes:// (AUTH TLS) and ftps:// (TLS first), and storages: s3://BUCKET/PATH, zip:FILE!/PATH or tar:FILE!/PATH\n"},
	} {
		code, _, errs := tryShell(t, "\n"+tt.line+"\npwd\n", srv.URL)
		want := tt.errs
		if want != "" {
			want = "miniftp: line 2: " + want
		}
		if code != tt.code || errs != want {
			t.Errorf("%s: exit %d, want %d\n%s%s", tt.line, code, tt.code, errs, want)
		}
		code, out, _ := tryShell(t, tt.line+"\nlpwd\n", "-k", srv.URL)
		if wd, _ := os.Getwd(); code != tt.code || !strings.HasSuffix(out, wd+"\n") {
			t.Errorf("-k %s: exit %d, %s", tt.line, code, out)
		}
	}
}

// tryShell runs a script given as standard input.
func tryShell(t *testing.T, script string, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Setenv("NETRC", filepath.Join(t.TempDir(), "none"))
	var o, e bytes.Buffer
	code = flags.RunWith(t.Context(), verbs, append([]string{"miniftp", "shell"}, args...), verb.Stdio{In: strings.NewReader(script), Out: &o, Err: &e},
		func(int) time.Duration { return 0 })
	return code, o.String(), e.String()
}

// TestShellJobs: a script waits for its jobs and fails if one of them does.
func TestShellJobs(t *testing.T) {
	srv := verbtest.WithFile(t, verbtest.Pattern(100_000))
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	code, out, errs := tryShell(t, "get a.bin "+one+" &\nget a.bin "+two+" &\nwait\njobs\n", srv.URL)
	if code != 0 || out != "" || strings.ReplaceAll(strings.ReplaceAll(errs, "miniftp: waiting for [1] get a.bin "+one+"\n", ""), "miniftp: waiting for [2] get a.bin "+two+"\n", "") != "" {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	for _, name := range []string{one, two} {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, verbtest.Pattern(100_000)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	code, out, errs = tryShell(t, "cat a.bin | wc -c\nget nope &", srv.URL)
	told := strings.Split(strings.TrimPrefix(errs, "miniftp: waiting for [1] get nope\n"), "\n")
	want := []string{"miniftp: [1] /nope: the server says 550 /nope: no such file or directory.", "miniftp: [1] failed get nope", ""}
	if code != verb.ExitRefused || strings.TrimSpace(out) != "100000" || !slices.Equal(told, want) {
		t.Errorf("exit %d, %s\n%s", code, out, errs)
	}
}

// TestShellPipeStatus: the exit code of a line with a pipe reports a failure of either side. A
// program that fails counts even if it read only a part; one that succeeds after a part is no
// failure.
func TestShellPipeStatus(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh here")
	}
	srv := verbtest.WithFile(t, verbtest.Pattern(4<<20))
	t.Setenv("NETRC", filepath.Join(t.TempDir(), "none"))
	for line, want := range map[string]struct {
		code int
		errs string
	}{
		`cat a.bin | sh -c "exit 7"`:                 {verb.ExitFailure, "miniftp: cat: sh -c \"exit 7\": exit status 7\n"},
		`cat a.bin | sh -c "cat >/dev/null; exit 7"`: {verb.ExitFailure, "miniftp: cat: sh -c \"cat >/dev/null; exit 7\": exit status 7\n"},
		`cat a.bin | sh -c "exit 0"`:                 {verb.ExitOK, ""},
		`cat nope | cat`:                             {verb.ExitRefused, "miniftp: cat: /nope: the server says 550 /nope: no such file or directory.\n"},
		`cat nope | sh -c "exit 7"`:                  {verb.ExitRefused, "miniftp: cat: /nope: the server says 550 /nope: no such file or directory.\n"},
	} {
		errs, err := os.Create(filepath.Join(t.TempDir(), "errs")) // a file, because the program writes to it too
		if err != nil {
			t.Fatal(err)
		}
		code := flags.Run(t.Context(), verbs, []string{"miniftp", "shell", "-c", line, srv.URL}, verb.Stdio{In: strings.NewReader(""), Out: new(bytes.Buffer), Err: errs})
		errs.Close()
		if said, err := os.ReadFile(errs.Name()); err != nil || code != want.code || string(said) != want.errs {
			t.Errorf("%s: exit %d, %q, %v", line, code, said, err)
		}
	}
}

// TestShellNUL: a line with a NUL is rejected before any of its commands runs.
func TestShellNUL(t *testing.T) {
	srv := ftptest.NewServer(t, nil)
	code, out, errs := tryShell(t, "pwd; mkdir a\x00b", srv.URL)
	if code != verb.ExitUsage || out != "" || !strings.Contains(errs, "NUL") || timesSent(srv, "MKD") != 0 {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

// TestShellKill: kill ends a job, and the connections of the shell still work.
func TestShellKill(t *testing.T) {
	srv := verbtest.WithFile(t, verbtest.Pattern(1<<20))
	srv.Fail("RETR", ftptest.StallAfter(1000))
	s := testSession(t, srv.URL)
	if err := s.runLine("get a.bin " + filepath.Join(t.TempDir(), "a") + " &"); err != nil {
		t.Fatal(err)
	}
	srv.WaitEvent(func(e ftp.Event) bool {
		_, ok := e.What.(ftp.DataOpened)
		return ok
	})
	srv.Heal()
	if err := s.runLine("jobs; kill 1; jobs; ls"); err != nil {
		t.Error(err)
	}
	out, errs := s.said()
	if !strings.HasPrefix(out, "[1] runs ") || !strings.HasSuffix(out, "\na.bin\n") || strings.Count(out, "[1]") != 1 || !strings.HasPrefix(errs, "miniftp: [1] killed get a.bin ") {
		t.Errorf("%s%s", out, errs)
	}
}

// TestShellFlags: the flags of the shell apply to each line, and lines can't change the connection.
func TestShellFlags(t *testing.T) {
	files := afero.NewMemMapFs()
	if err := afero.WriteFile(files, "/t", []byte("a\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, files)
	code, out, errs := tryShell(t, "cat t\nbinary\ncat t\ntype\npassive\nls", "--ascii", "--active", srv.URL)
	if code != 0 || errs != "" || !strings.Contains(out, "binary\n") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	for verb, n := range map[string]int{"EPRT": 2, "EPSV": 1} {
		if timesSent(srv, verb) != n {
			t.Errorf("%s was sent %d times, not %d", verb, timesSent(srv, verb), n)
		}
	}
	code, out, errs = tryShell(t, "verbose\npwd\nls\nverbose off\nls\nexplain\nls", srv.URL)
	if code != 0 || out != "/\nt\nt\nt\n" || !strings.HasPrefix(errs, "> EPSV\n") || !strings.Contains(errs, "control ") || strings.Count(errs, "> EPSV\n") != 1 {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

// TestShellEndlessLine: a line without end is not kept in memory.
func TestShellEndlessLine(t *testing.T) {
	var o, e bytes.Buffer
	in := io.LimitReader(endless{}, longestLine+1)
	code := flags.RunWith(t.Context(), verbs, []string{"miniftp", "shell"}, verb.Stdio{In: in, Out: &o, Err: &e}, nil)
	if code != verb.ExitUsage || e.String() != "miniftp: line 1: the line is longer than 1.0 MB\n" {
		t.Errorf("exit %d, %s", code, e.String())
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
