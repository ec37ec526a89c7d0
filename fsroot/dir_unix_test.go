//go:build unix

package fsroot_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
)

// The result of Dir stays the same directory when its path leads elsewhere, and no path leads
// out of it.
func TestDir(t *testing.T) {
	top := t.TempDir()
	for _, d := range []string{"a/b", "outside"} {
		if err := os.MkdirAll(filepath.Join(top, "root", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in := func(p string) string { return filepath.Join(top, "root", p) }
	for link, to := range map[string]string{"a/b/up": "../../secret", "out": "../..", "abs": in("a/b")} {
		if err := os.Symlink(to, in(link)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := fsroot.OpenRoot(in(""))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for path, want := range map[string]error{"/none": fs.ErrNotExist, "/out": fs.ErrPermission, "/../../a/../none": fs.ErrNotExist} {
		if _, err := r.Dir(path); !errors.Is(err, want) {
			t.Errorf("Dir(%s) is %v, want %v", path, err, want)
		}
	}
	for _, path := range []string{"/a/b", "a/b/", "/abs"} {
		d, err := r.Dir(path)
		if err != nil {
			t.Fatalf("Dir(%s): %v", path, err)
		}
		if err := os.Rename(in("a"), in("moved")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("outside", in("a")); err != nil {
			t.Fatal(err)
		}
		if err := afero.WriteFile(d, "f", []byte("x"), 0o600); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := d.Rename("f", "/g"); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Stat(in("moved/b/g")); err != nil {
			t.Errorf("%s: the file is not in the directory: %v", path, err)
		}
		for _, out := range []string{"up", "../../secret"} {
			if _, err := d.OpenFile(out, os.O_WRONLY|os.O_CREATE, 0o600); err == nil && out == "up" {
				t.Errorf("%s: %s leads out", path, out)
			}
		}
		if _, err := os.Stat(in("secret")); err == nil {
			t.Errorf("%s: a file was created outside the directory", path)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		_ = os.Remove(in("a"))
		_ = os.Remove(in("moved/b/g"))
		if err := os.Rename(in("moved"), in("a")); err != nil {
			t.Fatal(err)
		}
	}
}
