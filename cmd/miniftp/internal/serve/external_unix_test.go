//go:build unix

package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
)

// external returns the settings of a file with a source of logins, and directories beside the file.
func external(t *testing.T, text string, dirs ...string) (cf *config, dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text += "[auth]\nsources = [\"file\", \"exec:" + checker(t, isUnknown) + "\"]\n"
	return parsed(t, "--config", verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), strings.ReplaceAll(text, "DIR", dir))), dir
}

// TestExternalLinks: a user, of the configuration or not, can't make the place of a mount that is in a writable directory of that
// user a link to other files.
func TestExternalLinks(t *testing.T) {
	const group = "[groups.g.mounts]\n\"/w\" = \"%/in:rw\"\n[users.alice]\npassword = \"x\"\ngroup = \"g\"\n"
	for name, text := range map[string]string{
		"in the home":                 "root = \"srv/{user}\"\n" + strings.Replace(group, "%", "srv/{user}", 1),
		"in the home, through a link": "root = \"srv/{user}\"\n" + strings.Replace(group, "%", "alias/{user}", 1),
		"in a mount":                  "root = \"home\"\n" + strings.Replace(group, "%", "srv/{user}", 1) + "[groups.g.mounts.\"/own\"]\nroot = \"srv/{user}\"\nperm = \"rw\"\n",
		"in a mount of another group": "root = \"home\"\n" + strings.Replace(group, "%", "srv/{user}", 1) + "[groups.h.mounts]\n\"/own\" = \"srv/{user}:rw\"\n",
	} {
		cf, dir := external(t, text, "srv/bob", "srv/alice", "out", "home")
		verbtest.WriteFile(t, filepath.Join(dir, "out", "secret"), "secret")
		for link, to := range map[string]string{"srv/bob/in": "../../out", "srv/alice/in": "../../out", "alias": "srv"} {
			if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		roots := newRoots(t.Context())
		cf.prepare(roots)
		if len(cf.Problems) > 0 {
			t.Errorf("%s: %v", name, cf.Problems)
		}
		bob, err := cf.externalUser(roots, "bob", map[string]any{"group": "g", "perm": "rw"})
		if err != nil {
			t.Fatal(err)
		}
		alice := cf.account(cf.User("alice"), roots.of)
		for who, account := range map[string]*server.Account{"bob": bob, "alice": &alice} {
			files, lease, err := account.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if text, err := afero.ReadFile(files, "/w/secret"); err == nil {
				t.Errorf("%s: %s reads %q", name, who, text)
			}
			_ = lease.Close()
		}
		roots.end()
	}
}

// TestExternalMountIsTriedOnce: the storage of a mount that users of the configuration and external ones have is opened only once if
// that fails.
func TestExternalMountIsTriedOnce(t *testing.T) {
	cf, _ := external(t, "root = \"home\"\n[groups.g.mounts]\n\"/w\" = \"gone\"\n[users.alice]\npassword = \"x\"\ngroup = \"g\"\n", "home")
	roots := newRoots(t.Context())
	defer roots.end()
	cf.prepare(roots)
	if all := strings.Join(warned(cf), "\n"); len(cf.Problems) > 0 || strings.Count(all, "gone: no such file") != 1 || !strings.Contains(all, "user alice: mount /w") {
		t.Errorf("%v\n%s", cf.Problems, all)
	}
}

// TestExternalMadeBy: the outbox looks at all roots that a user can have, makes nothing there, and is in doubt if one of them
// can't be opened.
func TestExternalMadeBy(t *testing.T) {
	began := time.Now().Add(-time.Second)
	cf, dir := external(t, "root = \"srv/{user}\"\n[groups.aaa]\nroot = \"aaa\"\n[groups.m.mounts]\n\"/in\" = \"in/{user}:drop\"\n[users.alice]\npassword = \"x\"\n", "srv/bob", "srv/alice", "aaa", "in/carol")
	verbtest.WriteFile(t, filepath.Join(dir, "aaa", "up"), "content")
	verbtest.WriteFile(t, filepath.Join(dir, "in", "carol", "up"), "content")
	roots := newRoots(t.Context())
	defer roots.end()
	cf.prepare(roots)
	before := len(roots.trees)
	is := func(user, name, path string, want, doubt bool) {
		t.Helper()
		made, err := cf.madeBy(t.Context(), roots, server.Change{User: user, Verb: name, Path: path, Bytes: 7}, began)
		if made != want || (err != nil) != doubt {
			t.Errorf("%s %s of %s: %v, %v", name, path, user, made, err)
		}
	}
	is("alice", "STOR", "/up", true, false) // another source may have accepted alice
	is("alice", "STOR", "/other", false, false)
	is("bob", "STOR", "/up", true, false)
	is("bob", "STOR", "/other", false, false)
	is("bob", "STOR", "/in/up", false, false)
	is("carol", "STOR", "/in/up", false, false)
	if err := os.Mkdir(filepath.Join(dir, "srv", "carol"), 0o755); err != nil {
		t.Fatal(err)
	}
	is("carol", "STOR", "/in/up", true, false)
	for _, name := range []string{"in/bob", "in/alice"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	for spec, tree := range roots.trees {
		if strings.HasSuffix(spec, "/bob") && !tree.isExternal() {
			t.Errorf("%s will not be forgotten", spec)
		}
	}
	if len(roots.trees) != before+5 { // srv and in of bob and carol, and in of alice
		t.Errorf("%d trees, then %d", before, len(roots.trees))
	}
	if err := os.Rename(filepath.Join(dir, "aaa"), filepath.Join(dir, "unmounted")); err != nil {
		t.Fatal(err)
	}
	is("bob", "STOR", "/up", false, true)
	is("bob", "STOR", "/other", false, true)
}

// TestExternalSwept: partial uploads are removed from the homes of external users who may write, whatever an earlier login could do,
// and also after a reload, as long as such users can have them.
func TestExternalSwept(t *testing.T) {
	const root = "root = \"srv/{user}\"\n"
	cf, dir := external(t, root, "srv")
	roots := newRoots(t.Context())
	defer roots.end()
	opts, _ := cf.prepare(roots)
	srv, err := server.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	login := func(user string, perms ...string) {
		t.Helper()
		for _, perm := range perms {
			if _, err := cf.externalUser(roots, user, map[string]any{"perm": perm}); err != nil {
				t.Fatal(err)
			}
		}
	}
	swept := func(want bool, users ...string) {
		t.Helper()
		for _, user := range users {
			if tree := roots.trees[filepath.Join(dir, "srv", user)]; tree.sweptOnDemand() != want {
				t.Errorf("the home of %s is swept: %v", user, !want)
			}
		}
	}
	roots.keepSwept(srv, cf)
	login("bob", "rw")
	login("carol", "ro", "rw")
	login("dave", "rw", "ro")
	login("erin", "ro")
	swept(true, "bob", "carol", "dave")
	swept(false, "erin")
	roots.retire(cf) // as a reload does
	roots.keepSwept(srv, cf)
	swept(true, "bob", "carol", "dave")
	swept(false, "erin")
	login("erin", "rw")
	swept(true, "erin")
	other, _ := external(t, root, "srv") // elsewhere
	roots.keepSwept(srv, other)
	swept(false, "bob", "carol", "dave", "erin")
}
