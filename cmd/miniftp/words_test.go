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
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/ftp/ftptest"
)

func TestParseNetrc(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []netrcEntry
	}{
		{"", nil},
		{"machine", []netrcEntry{{}}},
		{"machine h", []netrcEntry{{machine: "h"}}},
		{"machine h login", []netrcEntry{{machine: "h"}}},
		{"login nobody password x\nmachine h password p login l", []netrcEntry{{"h", "l", "p"}}},
		{"machine a login b password c machine d\n\tlogin e\n\tpassword f\n", []netrcEntry{{"a", "b", "c"}, {"d", "e", "f"}}},
		{"# machine x login y\nmachine a login b # why\npassword c", []netrcEntry{{"a", "b", "c"}}},
		{"machine a login machine password #c", []netrcEntry{{"a", "machine", "#c"}}},
		{`machine a login b password "two words \"\\"`, []netrcEntry{{"a", "b", `two words "\`}}},
		{`machine a login b password "open`, []netrcEntry{{"a", "b", "open"}}},
		{"machine a login b account x password c default login anonymous", []netrcEntry{{"a", "b", "c"}, {"", "anonymous", ""}}},
		{"machine a login b\nmacdef init\nmachine x login y\ncd /z\n\nmachine c login d", []netrcEntry{{"a", "b", ""}, {"c", "d", ""}}},
		{"macdef init\nmachine x", nil},
	} {
		if got := parseNetrc(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

func TestNetrcLogin(t *testing.T) {
	name := filepath.Join(t.TempDir(), "netrc")
	t.Setenv("NETRC", name)
	if _, _, ok, err := netrcLogin("a:21", ""); ok || err != nil {
		t.Errorf("no file: %v, %v", ok, err)
	}
	if err := os.WriteFile(name, []byte("machine a login b password c machine a login d password e default login f"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ addr, user, login, password string }{
		{"a:21", "", "b", "c"},
		{"A:2121", "", "b", "c"},
		{"a:21", "d", "d", "e"},
		{"a:21", "x", "", ""},
		{"other:21", "", "f", ""},
		{"other:21", "b", "", ""},
	} {
		login, password, ok, err := netrcLogin(tt.addr, tt.user)
		if login != tt.login || password != tt.password || ok != (tt.login != "") || err != nil {
			t.Errorf("%+v: %q %q %v %v", tt, login, password, ok, err)
		}
	}
}

func TestMaskPassword(t *testing.T) {
	for _, tt := range []struct{ word, want string }{
		{"ftp://h/a", "ftp://h/a"},
		{"ftp://h:21/a@b", "ftp://h:21/a@b"},
		{"ftp://[::1]:21/a", "ftp://[::1]:21/a"},
		{"ftp://u@h/a:b@c", "ftp://u@h/a:b@c"},
		{"ftp://u:p@h:21/a", "ftp://u:****@h:21/a"},
		{"ftp://u:p@q@h/a", "ftp://u:****@h/a"},
		{"ftp://u:p/q@h/a", "ftp://u:****@h/a"},
		{"u:p@h/a", "u:****@h/a"},
		{"ftp://al/ice:pw@h/a", "ftp://al/ice:****@h/a"},
		{"ftp://al/ice:p/w@h/a", "ftp://al/ice:****@h/a"},
		{"ftp://al:21/ice:pw@h/a", "ftp://al:****@h/a"},
		{"ftp:///u:p@h/a", "ftp:///u:****@h/a"},
		{"FTPS://u:p@h", "FTPS://u:****@h"},
		{"ftp:/u:p@h", "ftp:****@h"},
		{"al/ice:pw@h/a", "al/ice:****@h/a"},
		{"ftp://h/a@b", "ftp://h/a@b"},
		{"ftp://h/a:b", "ftp://h/a:b"},
		{"README.md", "README.md"},
		{"10:30", "10:30"},
	} {
		if got := maskPassword(tt.word); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.word, got, tt.want)
		}
	}
}

// Pattern characters make a pattern in the path of a URL only.
func TestNamesSeveral(t *testing.T) {
	for url, want := range map[string]bool{
		"ftp://[::1]/a": false, "ftp://[::1]:2121/a": false, "ftp://u*:p?[x]@h/a": false, "ftp://h/a%2A": false, "ftp://h/%5Ba": false,
		"ftp://h/a*": true, "ftp://[::1]/a?": true, "ftp://h/[ab]": true,
	} {
		if namesSeveral(url) != want {
			t.Errorf("%s: %v, want %v", url, !want, want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, name := range []string{"short", "a-name-that-is-much-too-long-for-its-column.tar.gz", "漢字漢字漢字漢字漢字漢字漢字漢字漢字.bin", "😀😀😀😀😀😀😀😀😀😀😀.bin"} {
		for n := 8; n <= 32; n++ {
			got := fit(name, n)
			if cells(got) > n || cells(name) <= n && got != name {
				t.Errorf("%q in %d columns: %q has %d", name, n, got, cells(got))
			}
			if ext := filepath.Ext(name); ext != "" && n >= 12 && !strings.HasSuffix(got, ext[len(ext)-3:]) {
				t.Errorf("%q in %d columns: %q lost its end", name, n, got)
			}
		}
	}
}

// TestPace: each column of a bar has its width whatever the numbers are.
func TestPace(t *testing.T) {
	var p pace
	start := time.Unix(1_000_000, 0)
	p.step(start, 0, 100_000_000)
	if p.percent() != "   0 %" || p.rate() != strings.Repeat(" ", 12) || p.left() != strings.Repeat(" ", 9) {
		t.Errorf("at first: %q %q %q", p.percent(), p.rate(), p.left())
	}
	for i := 1; i <= 50; i++ {
		p.step(start.Add(time.Duration(i)*100*time.Millisecond), int64(i)*1_000_000, 100_000_000)
		if len(p.percent()) != 6 || len(p.rate()) != 12 || len(p.left()) != 9 {
			t.Errorf("step %d: %q %q %q", i, p.percent(), p.rate(), p.left())
		}
	}
	if p.percent() != "  50 %" || p.rate() != "     10 MB/s" || p.left() != "     0:05" {
		t.Errorf("half: %q %q %q", p.percent(), p.rate(), p.left())
	}
	p.total = 1_000_000_000_000
	if got := p.left(); got != " 27:46:35" {
		t.Errorf("a long time: %q", got)
	}
	p = pace{done: 1500, total: -1, speed: 10}
	if p.percent() != "  1.5 kB" || p.left() != strings.Repeat(" ", 9) {
		t.Errorf("no total: %q %q", p.percent(), p.left())
	}
}

// TestHelp: every flag of every verb shows its default and its variable, in 80
// columns, whatever the variables are.
func TestHelp(t *testing.T) {
	t.Setenv("MINIFTP_RETRIES", "77")
	app := newApp(&env{verbs: verbs, stdio: stdio{nil, io.Discard, io.Discard}, ctx: t.Context()})
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
			if cells(line) > 81 {
				t.Errorf("%s: too wide: %s", c.Name, line)
			}
		}
		_, flags, _ := strings.Cut(help, "\nFlags:\n")
		flat := strings.Join(strings.Fields(flags), " ")
		for _, f := range c.Flags {
			name := f.Names()[0]
			_, after, ok := strings.Cut(strings.Replace(flat, "--"+name+"[=", "--"+name+" [=", 1), "--"+name+" ")
			ours, variable, _ := strings.Cut(after, " [$")
			if noVariable[strings.Join(append(slices.Clone(c.path), "--"+name), " ")] {
				ours, _, _ = strings.Cut(after, ")")
				if ours += ")"; strings.Contains(ours, "[$") || len(f.(cli.DocGenerationFlag).GetEnvVars()) > 0 {
					t.Errorf("%s --%s has a variable: %q", c.Name, name, ours)
				}
				variable = envName(name) + "]"
			}
			if !ok || !strings.Contains(ours, "(default: ") || strings.Contains(ours, "(default: )") ||
				!strings.HasPrefix(variable, envName(name)+"]") || strings.Contains(ours, "77") {
				t.Errorf("%s --%s: %q", c.Name, name, ours)
			}
		}
	}
}

// TestShortHelp: --help shows a dozen flags and says how many there are more, or all if
// these are few.
func TestShortHelp(t *testing.T) {
	app := newApp(&env{verbs: verbs, ctx: t.Context()})
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
		if more := fmt.Sprintf("--help=all shows %d flags more", len(c.Flags)-shown); len(c.Flags) > shown && !strings.Contains(help, more) {
			t.Errorf("%s --help does not say %q:\n%s", c.Name, more, help)
		}
		for _, name := range matters[c.Name] {
			if f := findFlag(c.Flags, name); f == nil || f.Names()[0] != name {
				t.Errorf("%s has no flag --%s", c.Name, name)
			}
		}
	}
	grouped := map[string]bool{}
	for _, g := range clientSections {
		for _, name := range g.names {
			grouped[name] = true
		}
	}
	for _, f := range clientFlags() {
		if name := f.Names()[0]; !grouped[name] {
			t.Errorf("--%s is in no group of the help", name)
		}
	}
	if code, out, _ := try(t, "serve", "--help=all"); code != exitOK || !strings.Contains(out, "\nTLS:\n") || !strings.Contains(out, "--ban-time") {
		t.Errorf("serve --help=all: exit %d", code)
	}
	if code, _, errs := try(t, "serve", "--help=more"); code != exitUsage || !strings.Contains(errs, "--help=all") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// hostileListing is a server whose listing names files in other directories.
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

// TestHostileNames: a server that lists names which are none gets nothing written
// outside; the good ones are fetched, and the exit code tells.
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
		if code != exitIncomplete || strings.Count(errs, "\n") != 3 || !strings.Contains(errs, `"../evil"`) {
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
		t.Errorf("there is %v", files)
	}
}

// TestNoSecretsAnywhere: whatever is asked for, a password is never printed.
func TestNoSecretsAnywhere(t *testing.T) {
	srv := withFile(t, []byte("hello"), ftptest.WithUser("alice", "s3cret-word", 0))
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
	if code, out, errs := try(t, "ls", strings.Replace(srv.URL, "ftp://", "ftp://alice@", 1)); code != exitUsage || strings.Contains(out+errs, "s3cret") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// TestBanner says what a neighbour would type, to whoever may do what.
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
		{[]string{"--anonymous", "rw", "mem://"}, []string{"miniftp serves mem://", "look into it:\n  curl ftp://ADDR/\n  miniftp ls ftp://ADDR/\n"}},
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
		out := &serveOutput{url: url}
		ended := make(chan int)
		go func() { ended <- run(ctx, verbs, args, stdio{nil, &bytes.Buffer{}, out}) }()
		addr := strings.Trim(strings.TrimPrefix(<-url, "ftp://"), "/")
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("%v: exit %d", tt.args, code)
		}
		for _, want := range tt.want {
			if want = strings.ReplaceAll(want, "ADDR", addr); !strings.Contains(out.buf.String(), want) {
				t.Errorf("%v: %q is not in\n%s", tt.args, want, out.buf.String())
			}
		}
	}
}

func TestEscapeAll(t *testing.T) {
	for name, want := range map[string]string{"plain-1_a.txt~": "plain-1_a.txt~", "a b": "a%20b", "$(x)'\"": "%24%28x%29%27%22", "é#?;": "%C3%A9%23%3F%3B", "50%": "50%25"} {
		if got := escapeAll(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
