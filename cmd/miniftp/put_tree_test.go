package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/ftptest"
)

// A directory that the server does not make is left out with what is in it, and the rest of
// the tree is sent.
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
		if got := string(readFile(t, site, "/up/T/"+name)); got != name {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// A tree can be sent to a server that serves the same tree: what put makes there is not sent
// again.
func TestPutTreeIntoItself(t *testing.T) {
	for name, to := range map[string]string{"the root": "/", "a directory of it": "/a/", "a new name in it": "/a/new"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "T")
			files := []string{"a/1", "a/b/2", "z.txt"}
			for _, name := range files {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			root, err := fsroot.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			srv := ftptest.NewServer(t, root)
			if code, _, errs := try(t, "put", "-r", dir, srv.URL+to); code != 0 {
				t.Errorf("exit %d: %s", code, errs)
			}
			if strings.HasSuffix(to, "/") {
				to += "T"
			}
			found := 0
			err = filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
				if err == nil && !e.IsDir() {
					found++
				}
				return err
			})
			if err != nil || found != 2*len(files) {
				t.Errorf("%d files, %v", found, err)
			}
			for _, name := range files {
				if b, err := os.ReadFile(filepath.Join(dir, to, name)); err != nil || string(b) != name {
					t.Errorf("%s is %q, %v", name, b, err)
				}
			}
		})
	}
}
