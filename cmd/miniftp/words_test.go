package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// noVariable lists the flags that delete, that write to a file, that choose whose sessions end, or whose variable has another
// meaning.
var noVariable = []string{"kick --user", "kick --from", "drain --timeout", "ban add --for", "mirror --delete", "passwd --delete", "passwd --file", "rm --recursive", "rm --force"}

// TestHelp: the help shows the default and the variable of every flag of every verb. It fits 80
// columns and does not depend on the environment.
func TestHelp(t *testing.T) {
	t.Setenv("MINIFTP_RETRIES", "77")
	app := flags.NewApp(&verb.Env{Verbs: verbs, Stdio: verb.Stdio{Out: io.Discard, Err: io.Discard}, Ctx: t.Context()})
	if len(app.Commands) < 12 {
		t.Fatalf("only %d verbs", len(app.Commands))
	}
	type verb struct {
		path []string
		*cli.Command
	}
	var verbs []verb
	for _, c := range app.Commands {
		verbs = append(verbs, verb{[]string{c.Name}, c})
		for _, sub := range c.Subcommands {
			verbs = append(verbs, verb{[]string{c.Name, sub.Name}, sub})
		}
	}
	for _, c := range verbs {
		code, help, errs := try(t, append(c.path, "--help=all")...)
		if code != 0 || errs != "" {
			t.Errorf("%s: exit %d: %s", c.Name, code, errs)
		}
		for line := range strings.Lines(help) {
			if term.Cells(line) > 81 {
				t.Errorf("%s: too wide: %s", c.Name, line)
			}
		}
		_, line, _ := strings.Cut(help, "\nFlags:\n")
		flat := strings.Join(strings.Fields(line), " ")
		for _, f := range c.Flags {
			name := f.Names()[0]
			_, after, ok := strings.Cut(strings.Replace(flat, "--"+name+"[=", "--"+name+" [=", 1), "--"+name+" ")
			ours, variable, _ := strings.Cut(after, " [$")
			if slices.Contains(noVariable, strings.Join(append(slices.Clone(c.path), "--"+name), " ")) {
				ours, _, _ = strings.Cut(after, ")")
				if ours += ")"; strings.Contains(ours, "[$") || len(f.(cli.DocGenerationFlag).GetEnvVars()) > 0 {
					t.Errorf("%s --%s has a variable: %q", c.Name, name, ours)
				}
				variable = flags.EnvName(name) + "]"
			}
			if !ok || !strings.Contains(ours, "(default: ") || strings.Contains(ours, "(default: )") ||
				!strings.HasPrefix(variable, flags.EnvName(name)+"]") || strings.Contains(ours, "77") {
				t.Errorf("%s --%s: %q", c.Name, name, ours)
			}
		}
	}
}

// shortHelp is how many flags --help shows, for verbs that choose the flags that matter most.
var shortHelp = map[string]int{"serve": 13, "mirror": 11, "get": 10, "put": 10, "ls": 11, "bench": 9}

// TestShortHelp: --help shows about a dozen flags and says how many more there are, or all flags if
// there are only a few.
func TestShortHelp(t *testing.T) {
	app := flags.NewApp(&verb.Env{Verbs: verbs, Ctx: t.Context()})
	for _, c := range app.Commands {
		_, help, _ := try(t, c.Name, "--help")
		shown := 0
		for line := range strings.Lines(help) {
			if strings.HasPrefix(line, "  -") {
				shown++
			}
		}
		if shown--; shown > 14 || shown < min(len(c.Flags), 7) {
			t.Errorf("%s --help shows %d of %d flags", c.Name, shown, len(c.Flags))
		}
		if more := fmt.Sprintf("--help=all shows %d more flags", len(c.Flags)-shown); len(c.Flags) > shown && !strings.Contains(help, more) {
			t.Errorf("%s --help does not contain %q:\n%s", c.Name, more, help)
		}
		if want, ok := shortHelp[c.Name]; ok && shown != want {
			t.Errorf("%s --help shows %d flags, want %d", c.Name, shown, want)
		}
	}
	for _, f := range connect.Flags() {
		if f, ok := f.(cli.CategorizableFlag); !ok || f.GetCategory() == "" {
			t.Errorf("%v has no section in the help", f)
		}
	}
	if code, out, _ := try(t, "serve", "--help=all"); code != verb.ExitOK || !strings.Contains(out, "\nTLS:\n") || !strings.Contains(out, "--ban-time") {
		t.Errorf("serve --help=all: exit %d", code)
	}
	if code, _, errs := try(t, "serve", "--help=more"); code != verb.ExitUsage || !strings.Contains(errs, "--help=all") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// hostileListing is the script of a server whose listing names files in other directories.
const hostileListing = `
S: 220 hi
C: USER anonymous
S: 331 …
C: PASS anonymous@
S: 230 …
C: FEAT
S: 211-Features:
S:  MLST type*;size*;
S:  EPSV
S: 211 End
C: OPTS UTF8 ON
S: 501 …
C: MLST d
S: 250-Listing
S:  type=dir; d
S: 250 End
C: EPSV
S: 229 Extended (|||{port}|)
C: MLSD d
S: 150 …
D: type=file;size=1; ../evil\r\ntype=file;size=1; /abs\r\ntype=file;size=1; ..\r\ntype=dir; ../../up\r\ntype=file;size=2; good\r\n
S: 226 …
C: TYPE I
S: 200 …
C: EPSV
S: 229 Extended (|||{port}|)
C: RETR d/good
S: 150 …
D: ok
S: 226 …
C: MDTM d/good
S: 502 …
C: QUIT
S: 221 …
`

// TestHostileNames: if a server lists invalid names, nothing is written outside the target. The
// valid files are fetched, and the exit code reports the failure.
func TestHostileNames(t *testing.T) {
	s, err := ftptest.ReadScript("hostile", []byte(hostileListing))
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	dir := filepath.Join(top, "in", "here")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	err = ftptest.PlayClient(s, func(addr string, _ []string) error {
		code, _, errs := try(t, "get", "--retries", "0", "-r", "ftp://"+addr+"/d", dir)
		if code != verb.ExitIncomplete || strings.Count(errs, "\n") != 3 || !strings.Contains(errs, `"../evil"`) {
			return errors.New(errs)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	_ = filepath.WalkDir(top, func(name string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			rel, _ := filepath.Rel(top, name)
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	if !slices.Equal(files, []string{"in/here/d/good"}) {
		t.Errorf("files: %v", files)
	}
}

// TestNoSecretsAnywhere: no verb prints a password.
func TestNoSecretsAnywhere(t *testing.T) {
	srv := verbtest.WithFile(t, []byte("hello"), ftptest.WithUser("alice", "s3cret-word", 0))
	url := strings.Replace(srv.URL, "ftp://", "ftp://alice:s3cret-word@", 1)
	dir := t.TempDir()
	for _, args := range [][]string{
		{"get", "-v", "--json", url + "/a.bin", dir},
		{"get", "--explain", url + "/nope", dir},
		{"get", "-v", "-r", url + "/", dir},
		{"ls", "-v", "--json", url + "/"},
		{"stat", "-v", url + "/a.bin"},
		{"cat", "-v", url + "/a.bin"},
		{"hash", "-v", "--json", url + "/a.bin"},
		{"rm", "-v", "--json", url + "/nope"},
		{"mkdir", "-v", "--json", url + "/x/y"},
		{"mv", "-v", "--json", url + "/nope", "new"},
		{"chmod", "-v", "--json", "644", url + "/nope"},
		{"put", "-v", "--json", "-", url + "/x/y"},
		{"get", url + "/a.bin", "-v"},
		{"get", "-v", strings.Replace(url, "s3cret-word", "s3cret-word%0d", 1) + "/a.bin"},
	} {
		_, out, errs := try(t, args...)
		if strings.Contains(out+errs, "s3cret") {
			t.Errorf("%v:\n%s%s", args, out, errs)
		}
	}
	t.Setenv("MINIFTP_PASSWORD", "s3cret-word\nQUIT")
	if code, out, errs := try(t, "ls", strings.Replace(srv.URL, "ftp://", "ftp://alice@", 1)); code != verb.ExitUsage || strings.Contains(out+errs, "s3cret") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// TestBanner: the banner shows the command that another user would type, depending on the
// permissions.
func TestBanner(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"anyone may read, nobody may write", "(--listen :", "  curl -O ftp://ADDR/README.md\n", "  miniftp get ftp://ADDR/README.md\n"}},
		{[]string{"--user", "alice:pw"}, []string{"alice may read and write", "  curl -u alice -O ftp://ADDR/README.md\n", "  miniftp get ftp://alice@ADDR/README.md\n"}},
		{[]string{"--user", "a b:pw:ro"}, []string{"a b may read", "  curl -u 'a b' -O ftp://ADDR/", "  miniftp get ftp://a%20b@ADDR/"}},
		{[]string{"--user", "cam:pw:drop"}, []string{"cam may only upload", "  curl -u cam -T FILE ftp://ADDR/\n", "  miniftp put FILE ftp://cam@ADDR/\n"}},
		{[]string{"--user", "cam:pw:drop", "--user", "bob:pw", "--anonymous", "off"}, []string{"  miniftp get ftp://bob@ADDR/README.md\n"}},
		{[]string{"--anonymous", "rw", "mem://"}, []string{"miniftp serves mem://", "list it:\n  curl ftp://ADDR/\n  miniftp ls ftp://ADDR/\n"}},
	} {
		root := t.TempDir()
		for _, name := range []string{"README.md", "other file", ".hidden"} {
			if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args := append([]string{"miniftp", "serve", "--listen", "127.0.0.1:0"}, tt.args...)
		if !slices.Contains(args, "mem://") {
			args = append(args, root)
		}
		ctx, cancel := context.WithCancel(t.Context())
		url := make(chan string, 1)
		out := &verbtest.ServeOutput{URL: url}
		ended := make(chan int)
		go func() { ended <- flags.Run(ctx, verbs, args, verb.Stdio{Out: &bytes.Buffer{}, Err: out}) }()
		addr := strings.Trim(strings.TrimPrefix(<-url, "ftp://"), "/")
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("%v: exit %d", tt.args, code)
		}
		for _, want := range tt.want {
			if want = strings.ReplaceAll(want, "ADDR", addr); !strings.Contains(out.Buf.String(), want) {
				t.Errorf("%v: %q is not in\n%s", tt.args, want, out.Buf.String())
			}
		}
	}
}
