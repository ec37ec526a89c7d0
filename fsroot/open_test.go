package fsroot

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/spf13/afero"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	odd := "./odd://dir"
	check(t, os.MkdirAll(filepath.FromSlash("sub"), 0o755))
	tests := []struct {
		spec string
		name string // of the filesystem; if empty, an error that contains want is expected
		want string
	}{
		{"", "Root", ""},
		{dir, "Root", ""},
		{"sub", "Root", ""},
		{"mem://", "Mem", ""},
		{"MEM://", "Mem", ""},
		{"mem://x", "", "has no path"},
		{"s3://bucket", "", `unknown storage "s3://bucket": want a directory or mem://, zip:FILE, tar:FILE`},
		{odd, "", "no such file"},
		{"missing", "", "missing"},
	}
	for _, tt := range tests {
		t.Run(tt.spec, func(t *testing.T) {
			fsys, closer, err := Open(tt.spec)
			if tt.name == "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want one with %q", err, tt.want)
				}
				return
			}
			check(t, err)
			if fsys.Name() != tt.name {
				t.Errorf("opened %s, want %s", fsys.Name(), tt.name)
			}
			check(t, closer.Close())
		})
	}
}

func TestOpenRootOfFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	check(t, os.WriteFile(file, nil, 0o644))
	if _, err := OpenRoot(file); err == nil {
		t.Error("a file was opened as a root")
	}
}

func TestClosedRoot(t *testing.T) {
	r, err := OpenRoot(t.TempDir())
	check(t, err)
	check(t, r.Close())
	_, err = r.Stat("/x")
	wantErr(t, err, fs.ErrClosed, "/x", "")
}

func TestFS(t *testing.T) {
	for name, fsys := range both(t) {
		t.Run(name, func(t *testing.T) {
			check(t, fsys.MkdirAll("/dir/deep", 0o755))
			put(t, fsys, "/a", "a")
			put(t, fsys, "/dir/b b", "bb")
			put(t, fsys, "/dir/deep/ö", strings.Repeat("x", 5000))
			for _, view := range []afero.Fs{fsys, ReadOnly(fsys)} {
				err := fstest.TestFS(afero.NewIOFS(view), "a", "dir/b b", "dir/deep/ö")
				if err != nil {
					t.Errorf("%s: %v", view.Name(), err)
				}
			}
		})
	}
}

// both returns an empty filesystem of each kind.
func both(t *testing.T) map[string]afero.Fs {
	t.Helper()
	r, err := OpenRoot(t.TempDir())
	check(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return map[string]afero.Fs{"root": r, "mem": NewMem()}
}

// TestPlainNames: names of one component, which take a shorter way, mean the same as other names.
func TestPlainNames(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a", "...", "/a", "//a", "a/", "/", "./a", "a/..", "../a", ".a", "a/../..", `a\b`} {
		want := path.Clean("/" + name)
		if got := virtual(name); got != want {
			t.Errorf("virtual(%q) = %q, want %q", name, got, want)
		}
		if got := isTop(name); got != (want == "/") {
			t.Errorf("isTop(%q) = %v", name, got)
		}
		rel := cmp.Or(want[1:], ".")
		if got, err := local(name); got != rel && !(runtime.GOOS == "windows" && err != nil) {
			t.Errorf("local(%q) = %q, %v, want %q", name, got, err, rel)
		}
	}
	if _, err := local(strings.Repeat("a", maxPath+1)); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a name that is too long: %v", err)
	}
}
