//go:build unix

package serve

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestReloadFailsClosed: if the users file is truncated, empty or missing at SIGHUP, nothing changes, and
// anonymous is not admitted. A missing root is a warning; once it exists again, its user can log in
// without another reload.
func TestReloadFailsClosed(t *testing.T) {
	dir := t.TempDir()
	root, own := dirWithFile(t, filepath.Join(dir, "root")), dirWithFile(t, filepath.Join(dir, "own"))
	users := verbtest.WriteFile(t, filepath.Join(dir, "users"), "alice:a\n")
	conf := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "users-file = \"users\"\n[limits]\nfailure-delay = \"0s\"\nmax-login-failures = 0\n[users.own]\npassword = \"o\"\nroot = \"own\"\n")
	p := verbtest.StartServer(t, root, "--config", conf)
	p.Await("Ctrl-C stops.")
	for _, change := range []func() error{
		func() error { return os.Truncate(users, 0) },
		func() error { return os.WriteFile(users, []byte("# alice:a\n"), 0o600) },
		func() error { return os.Remove(users) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		p.Hangup("not reloaded")
		p.Refuses("anonymous", "x")
		p.MustLogIn("alice", "a")
	}
	verbtest.WriteFile(t, users, "alice:a\n")
	if err := os.Rename(own, own+".old"); err != nil {
		t.Fatal(err)
	}
	if line := p.Hangup("logins are refused until it can be opened"); !strings.Contains(line, "user own") {
		t.Error(line)
	}
	p.Await("reloaded; ")
	p.Refuses("own", "o")
	p.MustLogIn("alice", "a")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(own, "new"), "new")
	var b bytes.Buffer
	if _, err := p.MustLogIn("own", "o").Retrieve(t.Context(), "/new", &b); err != nil || b.String() != "new" {
		t.Errorf("%q, %v", b.String(), err)
	}
}
