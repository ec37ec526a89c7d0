//go:build unix

package serve

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestExpires: a user can log in on the last day, and not after it. The log has the reason and the setting, and config check warns.
func TestExpires(t *testing.T) {
	dir := t.TempDir()
	today := time.Now().Format(time.DateOnly)
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), fmt.Sprintf(`
root = "mem://"
[users.today]
password = "pw"
expires = %s
[users.past]
password = "pw"
expires = 2020-01-31
[users.zoned]
password = "pw"
expires = 2020-01-31T12:00:00Z
[users.local]
password = "pw"
expires = "2020-01-31 12:00:00"
`, today))
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0", "--log-format", "text")
	codes := map[string]string{}
	for _, user := range []string{"today", "past", "zoned", "local"} {
		_, err := curlAs(t, p.Addr, user, "ADDR/")
		codes[user] = fmt.Sprint(err)
	}
	if time.Now().Format(time.DateOnly) == today && codes["today"] != "<nil>" {
		t.Errorf("today: %s", codes["today"])
	}
	for _, user := range []string{"past", "zoned", "local"} {
		if !strings.Contains(codes[user], "67") { // curl: login denied
			t.Errorf("%s: %s", user, codes[user])
		}
	}
	p.End() // the log is written in the background
	if log := p.Log.String(); strings.Count(log, `option=users.expires`) != 3 || !strings.Contains(log, "the account has expired") {
		t.Errorf("the log says\n%s", log)
	}
	_, _, errs := verbtest.Run(t, verbs, "config", "check", file)
	if strings.Count(errs, "the account has expired: logins are refused") != 3 || !strings.Contains(errs, "m.toml:8: user past") {
		t.Errorf("config check says\n%s", errs)
	}
	_, out, _ := verbtest.Run(t, verbs, "config", "show", "--config", file)
	if !strings.Contains(out, "2020-01-31T12:00:00Z") {
		t.Errorf("config show says\n%s", out)
	}
	for _, bad := range []string{`"soon"`, `2020`, `"2020-01-31\nx=1"`, `12:00:00`} {
		code, _, errs := verbtest.Run(t, verbs, "config", "check", verbtest.WriteFile(t, filepath.Join(dir, "bad.toml"), "[users.a]\npassword = 'x'\nexpires = "+bad+"\n"))
		if code != 2 || !strings.Contains(errs, "bad.toml:3: users.a.expires: must be a date") {
			t.Errorf("%s: exit %d: %s", bad, code, errs)
		}
	}
}

// TestGroups: the keys of a group are defaults for its users, whose own keys, also those in the users file and in flags, take precedence.
// config show says where each comes from, and {group} in a root is the name of the group.
func TestGroups(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "srv", "team"), 0o755); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "carol:pw:ro\n")
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `users-file = "users"
[groups.team]
root = "srv/{group}/{user}"
perm = "drop"
max-sessions = 3
[users.alice]
group = "team"
password = "pw"
[users.bob]
password = "pw"
group = "team"
perm = "rw"
[users.carol]
group = "team"
[groups.empty]
[users.dave]
password = "pw"
group = "empty"
root = "srv/{group}/x"
`)
	code, out, errs := verbtest.Run(t, verbs, "config", "show", "--config", file)
	for _, want := range []string{
		`users.alice.perm +drop +\S+m.toml:4`, `users.bob.perm +rw +\S+m.toml:12`, `users.carol.perm +ro +\S+users:1`,
		`users.carol.max-sessions +3 +\S+m.toml:5`, `users.alice.root +\S+/srv/team/alice +\S+m.toml:3`, `users.dave.perm +rw `,
	} {
		if code != 0 || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("exit %d, want %s:\n%s%s", code, want, out, errs)
		}
	}
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0")
	if out, err := curlAs(t, p.Addr, "bob", "-T", file, "ADDR/f"); err != nil {
		t.Errorf("bob: %v: %s", err, out)
	}
	if out, err := curlAs(t, p.Addr, "alice", "ADDR/"); err == nil {
		t.Errorf("alice, who may only upload, can list: %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "srv", "team", "bob", "f")); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"[users.a]\npassword='x'\ngroup='none'\n[groups.some]\n": "bad.toml:3: user a: there is no [groups.none]: there are some",
		"[groups.g]\npassword='x'\n":                             "bad.toml:2: groups.g.password: unknown setting of a group",
		"[groups.g]\nperm='all'\n":                               "bad.toml:2: groups.g.perm: all: must be",
		"[groups]\ng=1\n":                                        "bad.toml:2: groups.g: a group is a table",
		"root='{group}'\n[users.a]\npassword='x'\n":              "nobody could log in: the root",
	} {
		code, _, errs := verbtest.Run(t, verbs, "config", "check", verbtest.WriteFile(t, filepath.Join(dir, "bad.toml"), text))
		if code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s", text, code, errs)
		}
	}
}

// TestUmask: the umask of a user holds for uploads, for directories, and for a root that is made at the login, whatever SITE UMASK says.
func TestUmask(t *testing.T) {
	dir := t.TempDir()
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "{user}"
[groups.closed]
umask = "077"
[users.alice]
password = "pw"
group = "closed"
[users.bob]
password = "pw"
`)
	if code, out, errs := verbtest.Run(t, verbs, "config", "check", file); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0")
	for user, want := range map[string]fs.FileMode{"alice": 0, "bob": 0o050} {
		if out, err := curlAs(t, p.Addr, user, "--ftp-create-dirs", "-Q", "SITE UMASK 000", "-T", file, "ADDR/d/f"); err != nil {
			t.Fatalf("%s: %v: %s", user, err, out)
		}
		for _, name := range []string{"", "d", "d/f"} {
			fi, err := os.Stat(filepath.Join(dir, user, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := fi.Mode().Perm() & 0o077; user == "alice" && got != want || name == "" && got&^want != 0 {
				t.Errorf("%s, %q: mode %o", user, name, fi.Mode().Perm())
			}
		}
	}
	for _, bad := range []string{`27`, `"0777"`, `"8"`, `"-1"`} {
		code, _, errs := verbtest.Run(t, verbs, "config", "check", verbtest.WriteFile(t, filepath.Join(dir, "bad.toml"), "[users.a]\npassword = 'x'\numask = "+bad+"\n"))
		if code != 2 || !strings.Contains(errs, "bad.toml:3: users.a.umask: must be an octal number") {
			t.Errorf("%s: exit %d: %s", bad, code, errs)
		}
	}
}
