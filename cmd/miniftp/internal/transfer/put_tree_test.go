package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
	"miniftp/internal/testlink"
)

// TestPutTreeDirectoryRefused: if the server refuses to make a directory, its contents are left
// out, and the rest of the tree is sent.
func TestPutTreeDirectoryRefused(t *testing.T) {
	site := afero.NewMemMapFs()
	if err := afero.WriteFile(site, "/up/T/b", []byte("in the way"), 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, site)
	dir := filepath.Join(t.TempDir(), "T")
	for _, name := range []string{"a/1", "b/2", "c/3", "z.txt"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testlink.Make(t, "x", filepath.Join(dir, "b", "link"))
	code, _, errs := try(t, "put", "-r", "--links", "copy", dir, srv.URL+"/up/")
	if code == 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "/up/T/b: ") {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, name := range []string{"a/1", "c/3", "z.txt"} {
		if got := string(verbtest.ReadFile(t, site, "/up/T/"+name)); got != name {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// TestPutTreeManyNames sends directories with more names than are read at once. In the order in which the tree is
// sent, "d!" and "d.txt" are between "d" and "d/1".
func TestPutTreeManyNames(t *testing.T) {
	site := afero.NewMemMapFs()
	srv := ftptest.NewServer(t, site)
	dir := filepath.Join(t.TempDir(), "T")
	want := []string{"d.txt", "d/1", "d!", "e/f/g"}
	for i := range namesAtOnce + namesAtOnce/2 {
		want = append(want, fmt.Sprintf("many/%d", i))
	}
	for _, name := range want {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := try(t, "put", "-r", dir, srv.URL+"/up/"); code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, name := range want {
		if got := string(verbtest.ReadFile(t, site, "/up/T/"+name)); got != name {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// TestTreeAboveLink: LINK/.. is the directory above the target of the link, as for every other program.
func TestTreeAboveLink(t *testing.T) {
	site := afero.NewMemMapFs()
	srv := ftptest.NewServer(t, site)
	top := t.TempDir()
	for name, content := range map[string]string{"other/dir/x": "x", "other/a": "right", "here/a": "wrong"} {
		file := filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testlink.Make(t, filepath.Join(top, "other", "dir"), filepath.Join(top, "here", "link"))
	up := filepath.Join(top, "here", "link") + string(os.PathSeparator) + ".."
	if code, _, errs := try(t, "put", "-r", up, srv.URL+"/up/"); code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	for name, want := range map[string]string{"a": "right", "dir/x": "x"} {
		if got := string(verbtest.ReadFile(t, site, "/up/other/"+name)); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	for _, args := range [][]string{{"-r", srv.URL + "/up/other"}, {srv.URL + "/up/other/a"}} {
		args = append(append([]string{"get"}, args...), up+string(os.PathSeparator))
		if code, _, errs := try(t, args...); code != 0 || errs != "" {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	if b, err := os.ReadFile(filepath.Join(top, "other", "other", "a")); string(b) != "right" {
		t.Errorf("get -r: %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(top, "here", "a")); string(b) != "wrong" {
		t.Errorf("get has written to another directory: %q, %v", b, err)
	}
}

// TestPutTreeNoTemporaryFile: a tree that does not fit in memory needs a temporary file, and the error says so.
func TestPutTreeNoTemporaryFile(t *testing.T) {
	srv := ftptest.NewServer(t, afero.NewMemMapFs())
	dir, long := t.TempDir(), strings.Repeat("n", 240)
	deep := filepath.Join(dir, long, long, long)
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 4500 {
		f, err := os.Create(filepath.Join(deep, long+fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "missing"))
	code, _, errs := try(t, "put", "-r", dir, srv.URL+"/up/")
	if code != verb.ExitLocal || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "the listing does not fit in memory") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
