package transfer

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/ftptest"
)

// treeHere makes a small tree and a server that serves it.
func treeHere(t *testing.T) (dir string, files []string, srv *ftptest.Server) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "T")
	files = []string{"a/1", "a/b/2", "z.txt"}
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
	return dir, files, ftptest.NewServer(t, root)
}

// twice checks that dir holds the files, that its directory to holds them once more, and that there
// are no other files.
func twice(t *testing.T, dir, to string, files []string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
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
}

// TestPutTreeIntoItself sends a tree to a server of the same tree: the directories that put makes
// are not sent again.
func TestPutTreeIntoItself(t *testing.T) {
	for name, to := range map[string]string{"the root": "/", "a directory of it": "/a/", "a new name in it": "/a/new"} {
		t.Run(name, func(t *testing.T) {
			dir, files, srv := treeHere(t)
			if code, _, errs := try(t, "put", "-r", dir, srv.URL+to); code != 0 {
				t.Errorf("exit %d: %s", code, errs)
			}
			if strings.HasSuffix(to, "/") {
				to += "T"
			}
			twice(t, dir, to, files)
		})
	}
}

// TestGetTreeIntoItself fetches a tree into one of its own directories, which is left out.
func TestGetTreeIntoItself(t *testing.T) {
	for name, to := range map[string]string{"a new name": "/new", "a directory": "/a/new"} {
		t.Run(name, func(t *testing.T) {
			dir, files, srv := treeHere(t)
			for range 2 { // the second run finds the files of the first
				code, _, errs := try(t, "get", "-r", "--links", "skip", srv.URL+"/", dir+to)
				if code != 1 || strings.Count(errs, "left out: it is the directory") != 1 || !strings.Contains(errs, to+": left out") {
					t.Errorf("exit %d: %s", code, errs)
				}
				twice(t, dir, to, files)
			}
		})
	}
}
