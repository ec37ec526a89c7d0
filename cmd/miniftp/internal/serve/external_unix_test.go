//go:build unix

package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
