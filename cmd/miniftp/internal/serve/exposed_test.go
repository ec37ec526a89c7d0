package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/users"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// warningsOf returns the exit code of config check for a file in dir, and what it prints, without the
// name of dir.
func warningsOf(t *testing.T, dir, text string) (code int, says string) {
	t.Helper()
	name := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), text)
	code, _, errs := try(t, "config", "check", name)
	return code, strings.ReplaceAll(errs, dir+string(filepath.Separator), "")
}

// TestExposed: a configuration that exposes files by accident is a warning, or a mistake if users could
// replace files on which the server depends.
func TestExposed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", filepath.Join(dir, "home"))
	for _, d := range []string{"home", "conf", "srv/a", "srv/b"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	verbtest.WriteFile(t, filepath.Join(dir, "home", ".netrc"), "machine x login y password z")
	verbtest.WriteFile(t, filepath.Join(dir, "srv", "users"), "bob:b\n")
	certPEM(t, filepath.Join(dir, "conf", "old.pem"), time.Now().Add(-time.Hour))
	certPEM(t, filepath.Join(dir, "srv", "a", "good.pem"), time.Now().Add(time.Hour))
	const ro, rw, drop = "[users.a]\npassword = \"p\"\nperm = \"ro\"\n", "[users.a]\npassword = \"p\"\n", "[users.a]\npassword = \"p\"\nperm = \"drop\"\n"
	for _, tt := range []struct {
		name, text string
		code       int
		want       string // "" is silence
	}{
		{"nothing", "root = \"srv/b\"\n" + rw, verb.ExitOK, ""},
		{"configuration, read", "root = \".\"\n" + ro, verb.ExitOK, "m.toml, the configuration, is in "},
		{"configuration, dropped beside", "root = \".\"\n" + drop, verb.ExitOK, "m.toml, the configuration, is in "},
		{"configuration, replaced", "root = \".\"\n" + rw, verb.ExitUsage, "m.toml, the configuration, is in "},
		{"users file, replaced", "root = \"srv\"\nusers-file = \"srv/users\"\n", verb.ExitUsage, "m.toml:2: srv/users, the users file, is in srv, which is served, and users can replace it"},
		{"log, in a tree in a tree", "root = \"srv\"\n" + rw + "[users.c]\npassword = \"c\"\nperm = \"ro\"\nroot = \"srv/b\"\n[log]\nfile = \"srv/b/log\"", verb.ExitUsage, "srv/b/log, the log, is in srv/b"},
		{"root in root", "root = \"srv\"\n" + rw + "[users.c]\npassword = \"c\"\nroot = \"srv/b\"\n", verb.ExitOK, "the root of c, srv/b, is in srv: a can see its files too"},
		{"roots in root", "root = \"srv\"\n" + rw + "[users.c]\npassword = \"c\"\nroot = \"srv/b\"\n[users.d]\npassword = \"c\"\nroot = \"srv/a\"\n", verb.ExitOK, "the root of c, srv/b (and 1 more), is in srv: a can see its files"},
		{"key", "root = \"srv\"\n[tls]\ncert = \"srv/a/good.pem\"\n", verb.ExitOK, "srv/a/good.pem, a certificate with its private key, is in srv"},
		{"expired", "root = \"srv\"\n[tls]\ncert = \"conf/old.pem\"\n", verb.ExitOK, "conf/old.pem: the certificate expired on "},
		{"outbox", "root = \"srv\"\n" + ro + "[hooks]\nhook = \"exec:/bin/true\"\noutbox = \"srv/b/out\"\n", verb.ExitOK, "srv/b/out/journal, the outbox of events, is in srv"},
		{"program for events", "root = \"srv\"\n" + rw + "[hooks]\nhook = \"exec:" + dir + "/srv/run\"\noutbox = \"conf/out\"\n", verb.ExitUsage, "srv/run, a program that is run for events, is in srv, which is served, and users can replace it"},
		{"program that checks", "root = \"srv\"\n" + rw + "[gate]\ncheckers = \"exec:" + dir + "/srv/run\"\n", verb.ExitUsage, "srv/run, a program that checks uploads, is in srv, which is served, and users can replace it"},
		{"netrc", "root = \"home\"\n" + rw, verb.ExitOK, "home/.netrc, which holds passwords, is in home"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, says := warningsOf(t, dir, tt.text)
			if code != tt.code || !strings.Contains(says, tt.want) || tt.want == "" && says != "" {
				t.Errorf("exit %d: %s", code, says)
			}
		})
	}
	uid := local.Geteuid
	defer func() { local.Geteuid = uid }()
	local.Geteuid = func() int { return 0 }
	if code, says := warningsOf(t, dir, "root = \"srv/b\"\n"); code != verb.ExitOK || !strings.Contains(says, "running as root") {
		t.Errorf("exit %d: %s", code, says)
	}
}

// certPEM writes a certificate, which expires at until, and its key.
func certPEM(t *testing.T, name string, until time.Time) {
	t.Helper()
	if err := local.SavePEM(name, verbtest.MakeCert(t, "x", until, nil)); err != nil {
		t.Fatal(err)
	}
}

// TestOneUsersProblem: if the root or home of one user does not exist, that is a warning. For the root
// of the server it is an error, unless a user may have removed it.
func TestOneUsersProblem(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	const good = "[users.a]\npassword = \"a\"\nroot = \"srv\"\n"
	for _, tt := range []struct {
		text string
		code int
		want string
	}{
		{"root = \"srv\"\n[users.u]\npassword = \"u\"\nhome = \"/gone\"\n", verb.ExitOK, `m.toml:4: user u: home "/gone" is not a directory below`},
		{good + "[users.b]\npassword = \"b\"\nroot = \"gone\"\n", verb.ExitOK, "m.toml:6: user b: gone: no such file or directory: logins are refused until it can be opened"},
		{"root = \"gone\"\n" + good + "[users.b]\npassword = \"b\"\n", verb.ExitLocal, "m.toml:1: gone: no such file"},
		{"root = \"srv/gone\"\n" + good + "[users.b]\npassword = \"b\"\n", verb.ExitOK, "user b: srv/gone: no such file or directory: logins are refused"},
	} {
		if code, says := warningsOf(t, dir, tt.text); code != tt.code || !strings.Contains(says, tt.want) {
			t.Errorf("%s: exit %d: %s", tt.text, code, says)
		}
	}
}

// TestNoUserIsNotAnyone: an empty source of users does not admit anonymous, and a misspelled permission is
// not treated as a part of the password.
func TestNoUserIsNotAnyone(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "users")
	for _, text := range []string{"", "# nobody yet\n", "\n\n", "\ufeff"} {
		verbtest.WriteFile(t, list, text)
		for _, args := range [][]string{
			{"--users-file", list},
			{"--users-file", list, "--user", "a:b"},
			{"--users-file", list, "--anonymous", "ro"},
		} {
			if code, _, errs := try(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, append(args, dir)...)...); code != verb.ExitUsage || !strings.Contains(errs, "the file holds no user") {
				t.Errorf("%q %v: exit %d: %s", text, args, code, errs)
			}
		}
	}
	for _, args := range [][]string{
		{"--users-file", ""},
		{"--anonymous", ""},
		{"--user", ""},
		{"--user", "cam:pw:dorp"},
		{"--user", "cam::"},
		{""},
	} {
		code, _, errs := try(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
		if code != verb.ExitUsage || strings.Contains(errs, "anyone") {
			t.Errorf("%q: exit %d: %s", args, code, errs)
		}
		if args[len(args)-1] == "cam:pw:dorp" && (!strings.Contains(errs, `"dorp" is not a PERM; use ro, rw or drop`) || strings.Contains(errs, "pw:")) {
			t.Error(errs)
		}
	}
	for in, want := range map[string][3]string{
		"a:b:ro": {"a", "b", "ro"}, "a:b:c:rw": {"a", "b:c", "rw"}, "a:b": {"a", "b", ""},
	} {
		if l := users.Parse(in); l.Bad != "" || [3]string{l.Name, l.Password, l.Perm} != want {
			t.Errorf("%s: %+v", in, l)
		}
	}
	name := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "[users]\n")
	if code, _, errs := try(t, "config", "check", name); code != verb.ExitUsage || !strings.Contains(errs, "nobody could log in") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
