//go:build unix

package serve

import (
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestAuthMistakes: what config check says.
func TestAuthMistakes(t *testing.T) {
	program := checker(t, isUnknown)
	notRun := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "check"), "x")
	exec := `sources = ["file", "exec:` + program + `"]` + "\n"
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"[auth]\n" + exec, nil},
		{"[auth]\nsources = [\"file\"]", nil},
		{"[auth]\nsources = \"exec:" + program + `"`, nil},
		{"[auth]\nsources = []", []string{"m.toml:2: auth.sources is empty: name a source, such as file"}},
		{"[auth]\nsources = [\"exec:" + notRun + `"]`, []string{`m.toml:2: auth.sources "exec:` + notRun + `": can't be run: permission denied`}},
		{"[auth]\nsources = [\"exec:/does/not/exist\"]", []string{`m.toml:2: auth.sources "exec:/does/not/exist": can't be run: no such file or directory`}},
		{"[auth]\nsources = [\"exec:check\"]", []string{`m.toml:2: auth.sources "exec:check": write the whole path of the program: exec:/PATH/OF/PROGRAM`}},
		{"[auth]\nsources = [\"ldap://h\"]", []string{`m.toml:2: auth.sources "ldap://h": write file, exec:/PATH/OF/PROGRAM or https://HOST/PATH`}},
		{"[auth]\nsources = [\"http://h/\"]", []string{`m.toml:2: auth.sources "http://h/": http:// is accepted for this machine only: use https`}},
		{"[auth]\nsources = [\"file\", \"file\"]", []string{`m.toml:2: auth.sources "file": named twice`}},
		{"[auth]\nsources = [\"https://h/\"]", []string{"m.toml:2: auth.sources a web service needs a secret"}},
		{"[auth]\n" + exec + "secret-file = \"m.toml\"", []string{"m.toml:3: auth.secret-file has no effect: m.toml:2: auth.sources has no web service"}},
		{"[auth]\nsources = [\"https://h/\"]\nsecret-file = \"none\"", []string{"m.toml:3: none: no such file"}},
		{"[auth]\ncache = 5", []string{"m.toml:2: auth.cache has no effect: --auth names no program and no web service"}},
		{"[auth]\n" + exec + "timeout = 0", []string{"m.toml:3: auth.timeout 0s: must be greater than 0"}},
		{"[auth]\n" + exec + "timeout = \"1m\"", []string{"m.toml:3: auth.timeout 1m: must be less than --login-timeout, which is 1m"}},
		{"[auth]\n" + exec + "timeout = \"59s\"", nil},
		{"[limits]\nlogin-timeout = 5\n[auth]\n" + exec, []string{"m.toml:2: limits.login-timeout 5s: must be more than --auth-timeout, which is 5s"}},
		{"[limits]\nlogin-timeout = 5", nil},
		{"anonymous = \"ro\"\n[auth]\nsources = \"exec:" + program + `"`, []string{"m.toml:3: auth.sources does not name file, so user anonymous (m.toml:1) could not log in: add file, or remove the users"}},
		{"[users.a]\npassword = \"x\"\n[auth]\nsources = \"exec:" + program + `"`, []string{"m.toml:4: auth.sources does not name file, so user a (m.toml:1) could not log in"}},
		{"root = \"/does/not/exist\"\n[auth]\n" + exec, []string{"m.toml:1: /does/not/exist: no such file or directory"}},
		{"root = \"/does/not/exist/{user}\"\n[auth]\n" + exec, []string{"m.toml:1: /does/not/exist: no such file or directory"}},
		{"root = \"/usr/{user}\"\n[groups.a]\nroot = \"/usr/share/{user}\"\n[auth]\n" + exec, []string{"m.toml:1: the root /usr/share/{user} can be the same as, or in, a root /usr/{user} of a user whom a source of --auth accepts: use separate directories"}},
		{"root = \"/usr/{user}\"\n[groups.a]\nroot = \"/usr/{group}\"\n[auth]\n" + exec, []string{"m.toml:1: the root /usr/{group}", "m.toml:3: the root /usr/{user}"}},
		{"root = \"/usr/{user}\"\n[users.a]\npassword = \"x\"\n[users.b]\npassword = \"x\"\nroot = \"/usr/share\"\n[auth]\n" + exec, []string{"m.toml:1: the root /usr/share can be the same"}},
		{"root = \"mem://\"\n[gate]\ncheckers = \"exec:" + program + "\"\n[groups.a]\nroot = \"ftp://127.0.0.1:1/\"\n[auth]\n" + exec, []string{"can't be used for ftp://127.0.0.1:1/: uploads to another server"}},
		{"root = \"/usr/{user}\"\n[groups.a.mounts]\n\"/own\" = \"/usr/{user}/own\"\n\"/pub\" = \"/srv:ro\"\n[auth]\n" + exec, nil},
		{"root = \"/usr/{user}\"\n[groups.a.mounts]\n\"/in\" = \"/usr/share/{user}\"\n[auth]\n" + exec, []string{"m.toml:1: the root /usr/share/{user} can be the same as, or in, a root /usr/{user}"}},
		{"root = \"s3://b/a/{user}?endpoint=http://127.0.0.1:1\"\n[groups.a]\nroot = \"s3://b/a/staff/{user}?endpoint=http://127.0.0.1:1\"\n[auth]\n" + exec, []string{"m.toml:1: the root s3://b/a/staff/{user}?endpoint=http://127.0.0.1:1 can be the same"}},
		{"root = \"s3://b/a/{user}?endpoint=http://127.0.0.1:1\"\n[groups.a]\nroot = \"s3://b/a/staff/{user}\"\n[auth]\n" + exec, []string{"m.toml:1: the root s3://b/a/staff/{user} can be the same"}},
	} {
		got := problemsOf(t, tt.text)
		for i, want := range tt.want {
			if i >= len(got) || !strings.Contains(got[i], want) {
				t.Errorf("%s\nproblem %d is not %q: %q", tt.text, i, want, got)
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s\nproblems: %q", tt.text, got)
		}
	}
	dir := t.TempDir()
	conf := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \""+filepath.Dir(dir)+"/{user}\"\n[auth]\n"+exec)
	if code, _, errs := try(t, "config", "check", conf); code != verb.ExitUsage || !strings.Contains(errs, "m.toml, the configuration, is in "+filepath.Dir(dir)+"/{user}, which is served, and users can replace it") {
		t.Errorf("config check: exit %d: %s", code, errs)
	}
	if code, out, errs := try(t, "config", "show", "--auth", "https://u:s3cret@h/"); code != verb.ExitOK || !strings.Contains(out, "https://u:****@h ") || strings.Contains(out+errs, "s3cret") {
		t.Errorf("config show: exit %d: %s%s", code, out, errs)
	}
}
