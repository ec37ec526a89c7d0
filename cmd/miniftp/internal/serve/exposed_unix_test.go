//go:build unix

package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestExposedToExternalUsers: what an external user could replace is a mistake, whatever else contains it, and messages name the
// roots as they are written.
func TestExposedToExternalUsers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"srv/bin", "srv/quarantine", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "srv/bin/check"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	program := checker(t, isUnknown)
	const inside, outside = "[auth]\nsources = [\"file\", \"exec:DIR/srv/bin/check\"]\n", "[auth]\nsources = [\"file\", \"exec:PROGRAM\"]\n"
	const reader, mount = "[users.alice]\npassword = \"x\"\nperm = \"ro\"\nroot = \"srv\"\n", "[groups.g.mounts]\n\"/w\" = \"srv/{user}/in:rw\"\n"
	const gated = "[gate]\ncheckers = \"exec:PROGRAM\"\nquarantine = \"srv/quarantine\"\n"
	for _, tt := range []struct{ text, mistake, warning string }{
		{"root = \"srv/{user}\"\n" + inside, "srv/bin/check, a program that decides about logins, is in srv/{user}, which is served, and users can replace it", ""},
		{"root = \"srv/{user}\"\n" + inside + reader, "srv/bin/check, a program that decides about logins, is in srv, which is served, and users can replace it", "the root of users of --auth, srv/{user}, is in srv: alice can see its files too"},
		{"root = \"srv/{user}\"\n" + outside + gated, "gate.quarantine srv/quarantine is in srv/{user}, which is served: use another directory", ""},
		{"root = \"srv/{user}\"\n" + outside + mount, "", ""},
		{"root = \"srv\"\n" + outside + mount, "", "the root of users of --auth in group g, srv/{user}/in, is in srv: users of --auth, users of --auth in group g can see its files too"},
		{"root = \"gone/{user}\"\n" + outside, "gone: no such file or directory", ""},
		{"root = \"srv/{user}/data\"\n" + outside, "", ""},
		{"root = \"home\"\n" + outside + "[groups.g.mounts]\n\"/w\" = \"gone/{user}:rw\"\n", "", "users of --auth in group g: mount /w: gone: no such file or directory: the mount can't be entered until it can be opened"},
	} {
		cf := parsed(t, "--config", verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), strings.NewReplacer("DIR", dir, "PROGRAM", program).Replace(tt.text)))
		roots := newRoots(t.Context())
		cf.prepare(roots)
		roots.end()
		for what, one := range map[string]struct{ got, want string }{
			"mistakes": {strings.ReplaceAll(fmt.Sprint(cf.Problems), dir+"/", ""), tt.mistake},
			"warnings": {strings.ReplaceAll(fmt.Sprint(warned(cf)), dir+"/", ""), tt.warning},
		} {
			if !strings.Contains(one.got, one.want) || one.want == "" && one.got != "[]" {
				t.Errorf("%s\n%s: %s, want %s", tt.text, what, one.got, one.want)
			}
		}
	}
}

// warned returns the warnings that are not about the user who runs the test.
func warned(cf *config) (all []string) {
	for _, w := range cf.Warnings {
		if !strings.Contains(w, "running as root") && !strings.Contains(w, "clear text") {
			all = append(all, w)
		}
	}
	return all
}

// TestManyUsers: what is checked at the start takes a time that grows like the number of users and groups.
func TestManyUsers(t *testing.T) {
	users := func(n int) string {
		var b strings.Builder
		b.WriteString("[groups.g.mounts]\n\"/in\" = \"srv/{user}/in:rw\"\n")
		for i := range n {
			fmt.Fprintf(&b, "[users.u%d]\npassword = \"x\"\ngroup = \"g\"\nperm = \"ro\"\n", i)
		}
		return b.String()
	}
	groups := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "[groups.g%d]\nroot = \"srv/g%d\"\n", i, i)
		}
		return b.String()
	}
	for name, tt := range map[string]struct {
		text func(int) string
		few  int
	}{"users": {users, 200}, "groups": {groups, 100}} {
		took := func(n int) time.Duration {
			cf, _ := external(t, "root = \"srv/{user}\"\n"+tt.text(n), "srv")
			start := time.Now()
			again := &config{Config: settings.FromFile(cf.Path)}
			again.exposed(again.servedTrees())
			return time.Since(start)
		}
		least := func(n int) time.Duration { return min(took(n), took(n)) }
		few, many := least(tt.few), least(8*tt.few)
		t.Log(name, tt.few, few, 8*tt.few, many)
		if many > 30*few && many > time.Second { // 64 times if it is quadratic
			t.Errorf("%d %s take %v, %d take %v", tt.few, name, few, 8*tt.few, many)
		}
	}
}

// TestSecretsAreRead: a secret that other users of this machine can read is a warning. With --run-as the group of the server may read it.
func TestSecretsAreRead(t *testing.T) {
	dir := t.TempDir()
	secret := verbtest.WriteFile(t, filepath.Join(dir, "secret"), "0123456789abcdef")
	const auth, hook = "[auth]\nsources = \"https://127.0.0.1:1/\"\nsecret-file = \"secret\"\n", "[hooks]\nhook = \"https://127.0.0.1:1/\"\nsecret-file = \"secret\"\noutbox = \"outbox\"\n"
	for _, tt := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{auth, 0o600, ""},
		{auth, 0o644, "m.toml:4: auth.secret-file: secret can be read by others: chmod 600 it"},
		{auth, 0o640, "m.toml:4: auth.secret-file: secret can be read by others: chmod 600 it"},
		{"run-as = \"12345:12346\"\n" + auth, 0o640, ""},
		{"run-as = \"12345:12346\"\n" + auth, 0o644, "secret can be read by others: chmod 640 it"},
		{hook, 0o600, ""},
		{hook, 0o604, "m.toml:4: hooks.secret-file: secret can be read by others: chmod 600 it"},
	} {
		if err := os.Chmod(secret, tt.mode); err != nil {
			t.Fatal(err)
		}
		cf := parsed(t, "--config", verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \"mem://\"\n"+tt.text))
		roots := newRoots(t.Context())
		cf.prepare(roots)
		roots.end()
		got := strings.ReplaceAll(strings.Join(warned(cf), "\n"), dir+"/", "")
		if len(cf.Problems) > 0 || !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s, mode %o: %v, %s", tt.text, tt.mode, cf.Problems, got)
		}
	}
}
