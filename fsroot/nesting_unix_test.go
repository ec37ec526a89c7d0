//go:build unix

package fsroot

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNesting checks that a directory inside another one of the set is opened through that one,
// by whatever path, so that a symlink in its place cannot lead out.
func TestNesting(t *testing.T) {
	top := t.TempDir()
	at := func(name string) string { return filepath.Join(top, name) }
	for _, dir := range []string{"srv/a/b/c", "srv/a/own", "srv/other", "out", "free"} {
		check(t, os.MkdirAll(at(dir), 0o755))
	}
	for _, dir := range []string{"srv/a/b/c", "srv/a/own", "srv/other", "out", "free"} {
		check(t, os.WriteFile(at(dir+"/f"), []byte(dir), 0o644))
	}
	check(t, os.Symlink("srv", at("alias")))
	check(t, os.Symlink("free", at("current")))
	check(t, os.Symlink(at("srv/a/b"), at("deep")))
	set := func() *Nesting { return NewNesting([]string{at("srv"), at("srv/a"), at("srv/a/b"), at("missing")}) }
	n := set()
	for name, want := range map[string][2]string{
		"srv": {}, "free": {}, "current/x": {}, "srv_evil/x": {},
		"srv/a": {"srv", "a"}, "alias/a": {"srv", "a"}, "alias/x/y": {"srv", "x/y"},
		"srv/a/b": {"srv/a", "b"}, "alias/a/b": {"srv/a", "b"}, "deep": {"srv/a", "b"},
		"srv/a/b/c": {"srv/a/b", "c"}, "deep/c": {"srv/a/b", "c"}, "srv/a/own/../b/c": {"srv/a/b", "c"},
		"missing/x": {"missing", "x"},
	} {
		dir, rest, ok := n.Outer(at(name))
		if ok != (want[0] != "") || ok && (dir != at(want[0]) || rest != want[1]) {
			t.Errorf("%s: %s, %s, %v, want %v", name, dir, rest, ok, want)
		}
	}
	holds := func(name, want string) {
		t.Helper()
		r, err := set().Open(at(name)) // with a new Nesting, as after a restart
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		defer r.Close()
		if want == "" {
			t.Errorf("%s was opened", name)
		} else if got := get(t, r, "/f"); got != want {
			t.Errorf("%s contains %s, want %s", name, got, want)
		}
	}
	swap := func(name, target string) {
		t.Helper()
		check(t, os.RemoveAll(at(name)))
		check(t, os.Symlink(target, at(name)))
	}
	holds("srv/a/b/c", "srv/a/b/c")
	holds("alias/a/b/c", "srv/a/b/c")
	holds("current", "free") // symlinks outside the set are trusted
	swap("srv/a/b/c", "../own")
	holds("srv/a/b/c", "") // it leads out of b, although not out of a
	swap("srv/a/b", "own")
	holds("srv/a/b", "srv/a/own") // users of a may make it lead to other files of a
	swap("srv/a/b", "../other")
	holds("srv/a/b", "") // but not to other files of srv
	swap("srv/a/b", at("out"))
	holds("srv/a/b", "")
	holds("deep", "")
	swap("srv/a", at("out"))
	holds("srv/a/b", "")
	holds("alias/a", "")
}

// TestNestingWith checks that directories can be added to a Nesting, whichever of them contains the other.
func TestNestingWith(t *testing.T) {
	top := t.TempDir()
	at := func(names ...string) (all []string) {
		for _, name := range names {
			all = append(all, filepath.Join(top, name))
		}
		return all
	}
	for _, dir := range at("srv/bob/in", "srv/bob/own", "far/bob", "out") {
		check(t, os.MkdirAll(dir, 0o755))
	}
	check(t, os.Symlink("srv", at("alias")[0]))
	check(t, os.Symlink("../../out", at("srv/bob/link")[0]))
	check(t, os.Symlink("bob/own", at("srv/link")[0]))
	for _, tt := range []struct {
		base, more []string
		dir, want  string // Outer; "" for none
		refused    bool
	}{
		{nil, at("srv/bob"), "srv/bob/in", "srv/bob", false},
		{nil, at("srv/bob"), "alias/bob/in", "srv/bob", false},
		{nil, at("srv/bob"), "srv/bob/link", "srv/bob", true},
		{nil, at("alias/bob"), "srv/bob/link", "alias/bob", true},
		{nil, at("srv/bob"), "far/bob", "", false},
		{at("far"), at("srv/bob"), "srv/bob/link", "srv/bob", true},
		{at("far"), at("srv/bob"), "far/bob", "far", false},
		{at("srv"), at("srv/bob"), "srv/bob/in", "srv/bob", false},
		{at("srv"), at("srv/bob"), "srv/bob/link", "srv/bob", true},
		{at("srv"), at("srv/link"), "srv/link", "srv", false},
		{at("srv", "srv/bob"), at("alias/bob"), "srv/bob/in", "srv/bob", false},
		{at("srv/bob/in"), at("srv/bob"), "srv/bob/in/x", "srv/bob", true}, // x does not exist
	} {
		n := NewNesting(tt.base).With(tt.more)
		dir := at(tt.dir)[0]
		if outer, _, ok := n.Outer(dir); ok != (tt.want != "") || ok && outer != at(tt.want)[0] {
			t.Errorf("%q + %q: %s is in %q, want %s", tt.base, tt.more, tt.dir, outer, tt.want)
		}
		r, err := n.Open(dir)
		if err == nil {
			_ = r.Close()
		}
		if (err != nil) != tt.refused {
			t.Errorf("%q + %q: %s: %v", tt.base, tt.more, tt.dir, err)
		}
	}
}

// TestNestingInACircle checks that two directories that are inside each other, through symlinks, are an
// error.
func TestNestingInACircle(t *testing.T) {
	top := t.TempDir()
	at := func(name string) string { return filepath.Join(top, name) }
	for _, dir := range []string{"one", "two"} {
		check(t, os.Mkdir(at(dir), 0o755))
	}
	check(t, os.Symlink("../one", at("two/l")))
	check(t, os.Symlink("../two", at("one/l")))
	n := NewNesting([]string{at("one/l"), at("two/l")})
	if r, err := n.Open(at("one/l")); err == nil {
		_ = r.Close()
		t.Error("the directory was opened")
	}
}
