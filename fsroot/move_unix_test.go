//go:build unix

package fsroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMovedLinksStayInside checks that symlinks that a client creates and moves never lead out of the
// root for other programs of the host, and that symlinks created by users of the host still work.
func TestMovedLinksStayInside(t *testing.T) {
	j := newJail(t)
	host := filepath.Join(j.top, "root")
	// A symlink that would lead out after a move to a higher level is refused.
	check(t, j.MkdirAll("/a/b/c", 0o755))
	for _, target := range []string{"../../../secret", "../../../../secret", "../../in/../../../secret", "/in/f", "../x", ".."} {
		wantErr(t, j.SymlinkIfPossible(target, "/a/b/c/l"), fs.ErrPermission, "/a/b/c/l", j.top)
	}
	// One that users of the host created can be renamed in its directory. It can only be moved
	// elsewhere with a directory, and not to a higher level.
	check(t, os.Symlink("../../../in/f", filepath.Join(host, "a/b/c/up")))
	check(t, os.Symlink("../c/inner", filepath.Join(host, "a/b/c/near")))
	check(t, os.Symlink(filepath.Join(host, "absdir")+"/../rel", filepath.Join(host, "a/abs")))
	if got := get(t, j, "/a/b/c/up"); got != "root/in/f" {
		t.Errorf("it contains %q", got)
	}
	check(t, j.Rename("/a/b/c/up", "/a/b/c/up2"))
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"/a/b/c/up2", "/up", false},
		{"/a/b/c/up2", "/in/deep/up", false},
		{"/a/b/c", "/c", false},
		{"/a/b", "/b2", false},
		{"/a/b", "/abstop/b2", false}, // the real level matters, not that of the path
		{"/a/b", "/in/deep/b2", true},
		{"/in/deep/b2/c", "/in/deep/c", false},
		{"/in/deep/b2", "/in/deep/b3", true},
		{"/a/abs", "/abs2", true}, // the place of an absolute link does not matter
	} {
		if err := j.RenameNew(tt.from, tt.to); !tt.ok && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s to the new name %s: %v", tt.from, tt.to, err)
		} else if tt.ok {
			check(t, err)
			check(t, os.Rename(filepath.Join(host, tt.to), filepath.Join(host, tt.from))) // on the host, because a client may not
		}
		err := j.Rename(tt.from, tt.to)
		if tt.ok != (err == nil) || err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s to %s: %v", tt.from, tt.to, err)
		}
	}
	// A directory without such links can be moved anywhere.
	check(t, j.MkdirAll("/p/q/r", 0o755))
	check(t, j.SymlinkIfPossible("r/x", "/p/q/l"))
	check(t, os.Symlink("../r/x", filepath.Join(host, "p/q/r/back")))
	check(t, j.Rename("/p/q", "/q"))
	if target, err := os.Readlink(filepath.Join(host, "q/l")); err != nil || target != "r/x" {
		t.Errorf("%q, %v", target, err)
	}
	// The symlinks that a client can create and move never lead out.
	check(t, filepath.WalkDir(filepath.Join(host, "q"), func(p string, _ fs.DirEntry, err error) error {
		if to, err := filepath.EvalSymlinks(p); err == nil && !strings.HasPrefix(to, host) {
			t.Errorf("%s leads to %s", p, to)
		}
		return err
	}))
}

// TestMoveUpIsBounded checks that the search for symlinks is limited, and that a directory with more
// entries than the limit is not moved to a higher level.
func TestMoveUpIsBounded(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	check(t, err)
	defer root.Close()
	for i := range 300 {
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600))
	}
	left := 300
	if _, err := checkLinks(root, ".", &left); err != nil || left != 0 {
		t.Errorf("%v, %d left", err, left)
	}
	left = 299
	if _, err := checkLinks(root, ".", &left); !errors.Is(err, errMoved) {
		t.Errorf("one entry too many: %v", err)
	}
}

// TestPathsAreBounded checks that paths of more than 4096 bytes or 256 levels are refused.
func TestPathsAreBounded(t *testing.T) {
	j := newJail(t)
	for _, fsys := range []interface {
		Mkdir(name string, perm fs.FileMode) error
	}{j, NewMem()} {
		for path, kind := range map[string]error{
			strings.Repeat("/d", maxLevels):           fs.ErrNotExist,
			strings.Repeat("/d", maxLevels+1):         fs.ErrInvalid,
			longPath + "x":                            fs.ErrInvalid,
			strings.Repeat("/d/..", 5000) + "/no/way": fs.ErrNotExist, // the cleaned path is short
		} {
			if err := fsys.Mkdir(path, 0o755); !errors.Is(err, kind) {
				t.Errorf("%d bytes: %.80v…, want %v", len(path), err, kind)
			}
		}
	}
	wantErr(t, j.SymlinkIfPossible(strings.Repeat("x/", 3000), "/l"), fs.ErrInvalid, "/l", j.top)
}

var longPath = strings.Repeat("/"+strings.Repeat("n", 240), 17)[:maxPath+1] // the first slash does not count

// TestResolveIsLinear checks that the number of components in system calls is proportional to the
// length of the resolved path, whatever its depth and the number of its "..".
func TestResolveIsLinear(t *testing.T) {
	j := newJail(t)
	const deep = 200
	p := strings.Repeat("d/", deep-1) + "d"
	check(t, j.MkdirAll(p, 0o755))
	check(t, os.Symlink(strings.Repeat("../", deep)+"in/f", filepath.Join(j.top, "root", p, "up")))
	for _, tt := range []struct {
		path string
		most int
	}{
		{p, 2 * deep},
		{p + "/new", 2*deep + 4},
		{p + "/" + strings.Repeat("../", 100) + "d", 2*deep + 100 + 100 + 4}, // up once, whatever the number of steps
		{p + "/up", 3*deep + 10},
	} {
		w := walk{root: j.Root, missing: -1}
		_, err := w.resolve(tt.path, true)
		w.close()
		if err != nil || w.steps > tt.most {
			t.Errorf("%.20s…: %d steps, want at most %d (%v)", tt.path, w.steps, tt.most, err)
		}
	}
	// The most expensive path ends at the limit.
	dear := walk{root: j.Root, missing: -1}
	_, err := dear.resolve(p+strings.Repeat("/../d", 600), true)
	dear.close()
	if err == nil || dear.steps > maxSteps+deep {
		t.Errorf("%d steps, %v", dear.steps, err)
	}
	// A target without ".." is not resolved, so a listing of many links reads each only once.
	check(t, j.SymlinkIfPossible("x", "/"+p+"/l"))
	if got, err := j.ReadlinkIfPossible("/" + p + "/l"); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := j.ReadlinkIfPossible("/" + p + "/up"); err != nil || got != strings.Repeat("../", deep)+"in/f" {
		t.Errorf("%q, %v", got, err)
	}
}

// With WithUpwardLinks, symlinks with ".." can be created, for a copy of another tree. They cannot
// lead out either.
func TestUpwardLinks(t *testing.T) {
	j := newJail(t)
	up := j.WithUpwardLinks()
	check(t, up.MkdirAll("/a/b/c", 0o755))
	for target, want := range map[string]string{"../../../in/f": "../../../in/f", "/in/f": "../../../in/f", "../..": "../..", "x": "x"} {
		check(t, up.SymlinkIfPossible(target, "/a/b/c/l"))
		if got, err := os.Readlink(filepath.Join(j.top, "root/a/b/c/l")); err != nil || got != want {
			t.Errorf("%s is stored as %q (%v), want %q", target, got, err, want)
		}
		check(t, up.Remove("/a/b/c/l"))
	}
	for _, target := range []string{"../../../../secret", "../../../../../etc/passwd"} {
		wantErr(t, up.SymlinkIfPossible(target, "/a/b/c/l"), fs.ErrPermission, "/a/b/c/l", j.top)
	}
}
