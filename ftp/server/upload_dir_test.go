//go:build unix

package server_test

import (
	"os"
	"path/filepath"
	"testing"

	"miniftp/fsroot"
)

// An upload holds its directory open, so the file stays in it if the directory is renamed meanwhile. A link is
// still followed, within the account's tree.
func TestUploadHoldsItsDirectory(t *testing.T) {
	top := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(top, "a", "b"), 0o755))
	check(t, os.WriteFile(filepath.Join(top, "far"), []byte("old"), 0o600))
	check(t, os.Symlink("../../far", filepath.Join(top, "a", "b", "link")))
	root, err := fsroot.OpenRoot(top)
	check(t, err)
	t.Cleanup(func() { _ = root.Close() })
	s := serve(t, root)
	c := s.login(t, "rw")

	d := c.starts("STOR /a/b/file")
	_, err = d.Write([]byte("whole"))
	check(t, err)
	check(t, os.Rename(filepath.Join(top, "a"), filepath.Join(top, "c")))
	check(t, d.Close())
	c.want(226)
	if got, err := os.ReadFile(filepath.Join(top, "c", "b", "file")); string(got) != "whole" {
		t.Errorf("the file contains %q: %v", got, err)
	}

	c.put("STOR /c/b/link", []byte("new"))
	if got, err := os.ReadFile(filepath.Join(top, "far")); string(got) != "new" {
		t.Errorf("the target of the link contains %q: %v", got, err)
	}
	if fi, err := os.Lstat(filepath.Join(top, "c", "b", "link")); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v: %v", fi, err)
	}
	c.epsv()
	c.cmd("STOR /none/file", 550)
	entries, err := os.ReadDir(filepath.Join(top, "c", "b"))
	if check(t, err); len(entries) != 2 {
		t.Errorf("there are other files than the file and the link: %v", entries)
	}
}
