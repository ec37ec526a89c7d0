//go:build unix

package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/fsroot"
)

// curlAs runs curl as a user with the password pw, and returns what it prints, or its error.
func curlAs(t *testing.T, addr, user string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), verbtest.StockProgram(t, "curl"), append([]string{"-sS", "-m", "60", "-u", user + ":pw"}, args...)...)
	for i, arg := range cmd.Args {
		cmd.Args[i] = strings.Replace(arg, "ADDR", "ftp://"+addr, 1)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestStockOnDemand: with a root on demand each user has a directory of the own name, which the first login makes, and does not see
// those of others. A name that could lead elsewhere is refused, and so is one in whose place there is a link to nothing.
func TestStockOnDemand(t *testing.T) {
	dir := t.TempDir()
	srv := filepath.Join(dir, "srv")
	if err := errors.Join(os.Mkdir(srv, 0o755), os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(srv, "linked"))); err != nil {
		t.Fatal(err)
	}
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "srv/{user}"
users-file = "users"
[users.bob]
password = "pw"
[users.linked]
password = "pw"
[users."../out"]
password = "pw"
[users.deep]
password = "pw"
root = "srv/{user}/a"
`)
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "alice:pw:rw\n.dot:pw:rw\n")
	p := verbtest.Serve(t, verbs, "--config", file, "--anonymous", "ro", "--failure-delay", "0", "--log-format", "text")
	if all := verbtest.Files(t, srv); len(all) > 1 {
		t.Errorf("the server has made %q before a login", all)
	}
	for _, user := range []string{"alice", "bob"} {
		if out, err := curlAs(t, p.Addr, user, "-T", file, "ADDR/"+user+".toml"); err != nil {
			t.Fatalf("%s: %v: %s", user, err, out)
		}
		if out, err := curlAs(t, p.Addr, user, "--list-only", "ADDR/"); err != nil || out != user+".toml\n" {
			t.Errorf("%s sees %q, %v", user, out, err)
		}
		if fi, err := os.Stat(filepath.Join(srv, user)); err != nil || fi.Mode().Perm()&0o027 != 0 {
			t.Errorf("the directory of %s: %v, %v", user, fi.Mode(), err)
		}
	}
	if out, err := curlAs(t, p.Addr, "anonymous", "--list-only", "ADDR/"); err != nil || out != "" {
		t.Errorf("anonymous sees %q, %v", out, err)
	}
	for _, user := range []string{"../out", ".dot", "linked", "deep"} {
		if out, err := curlAs(t, p.Addr, user, "ADDR/"); err == nil {
			t.Errorf("%s is logged in: %s", user, out)
		}
	}
	p.End() // the log is written in the background
	for _, text := range []string{"the name can't be a part of the root", "it begins with a dot", "it is a link to nothing"} {
		if !strings.Contains(p.Log.String(), text) {
			t.Errorf("the log does not say %q:\n%s", text, p.Log.String())
		}
	}
	for _, name := range []string{"out", "elsewhere", "srv/deep"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was made: %v", name, err)
		}
	}
}

// TestOnDemandInARoot: a user who may write in the directory of the roots can't make another user's root lead out of it.
func TestOnDemandInARoot(t *testing.T) {
	dir := t.TempDir()
	out, srv := dirWithFile(t, filepath.Join(dir, "out")), dirWithFile(t, filepath.Join(dir, "srv"))
	r := newRoots(t.Context())
	defer r.end()
	cf := &config{Config: settings.FromFile(verbtest.WriteFile(t, filepath.Join(dir, "m.toml"),
		fmt.Sprintf("root = %q\n[users.admin]\npassword = 'x'\nroot = %q\n[users.bob]\npassword = 'x'\n[users.eve]\npassword = 'x'\n", srv+"/{user}", srv)))}
	r.nest(fsroot.NewNesting([]string{srv}))
	tree := r.of(cf.Trees(cf.User("bob"))[0])
	files, lease, err := tree.login(t.Context())
	if err != nil || namesIn(t, files) != "" {
		t.Fatal(err)
	}
	if tree.now == nil {
		t.Error("the tree is closed while a session uses it")
	}
	_ = lease.Close()
	if tree.now != nil {
		t.Error("the tree is open although no session uses it")
	}
	if err := os.Symlink(out, filepath.Join(srv, "eve")); err != nil {
		t.Fatal(err)
	}
	if files, _, err := r.of(cf.Trees(cf.User("eve"))[0]).login(t.Context()); err == nil {
		t.Errorf("a link was followed; the root holds %s", namesIn(t, files))
	}
	for _, t := range r.trees {
		t.sweep(true)
	}
	if n := len(slices.Collect(r.toSweep())); n != 1 || tree.now != nil {
		t.Errorf("%d trees are swept, and one is left open: %v", n, tree.now != nil)
	}
}

// TestTemplates: a placeholder in the wrong place is a mistake of the configuration.
func TestTemplates(t *testing.T) {
	for root, want := range map[string]string{
		"s3://{user}/x":                         "only in the path after the bucket",
		"s3://b/x?region={user}":                "only in the path after the bucket",
		"ftp://example.invalid/{user}":          "only in the path of a directory or of a bucket",
		"zip:{user}.zip":                        "only in the path of a directory or of a bucket",
		filepath.Join(t.TempDir(), "no/{user}"): "no: no such file or directory",
	} {
		r := newRoots(t.Context())
		cf := parsed(t, "--user", "alice:pw", root)
		cf.prepare(r)
		r.end()
		if text := fmt.Sprint(cf.Problems); !strings.Contains(text, want) {
			t.Errorf("%s: %s", root, text)
		}
	}
}
