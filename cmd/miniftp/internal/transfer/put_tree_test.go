package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
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
	code, _, errs := try(t, "put", "-r", dir, srv.URL+"/up/")
	if code == 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "/up/T/b: ") {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, name := range []string{"a/1", "c/3", "z.txt"} {
		if got := string(verbtest.ReadFile(t, site, "/up/T/"+name)); got != name {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// TestPutTreeManyNames sends directories with more names than are read at once. The names "d" and "d.txt" do not stand beside
// "d/1" in the order in which the tree is sent.
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
