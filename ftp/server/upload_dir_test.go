//go:build unix

package server_test

import (
	"os"
	"path/filepath"
	"testing"

	"miniftp/fsroot"
)

// An upload holds its directory open: it ends up there when the directory is renamed
// meanwhile. A link is followed all the same, as far as the account's storage goes.
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
		t.Errorf("the file has %q: %v", got, err)
	}

	c.put("STOR /c/b/link", []byte("new"))
	if got, err := os.ReadFile(filepath.Join(top, "far")); string(got) != "new" {
		t.Errorf("behind the link there is %q: %v", got, err)
	}
	if fi, err := os.Lstat(filepath.Join(top, "c", "b", "link")); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v: %v", fi, err)
	}
	c.epsv()
	c.cmd("STOR /none/file", 550)
	entries, err := os.ReadDir(filepath.Join(top, "c", "b"))
	if check(t, err); len(entries) != 2 {
		t.Errorf("there is more than the file and the link: %v", entries)
	}
}
