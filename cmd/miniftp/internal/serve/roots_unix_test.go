//go:build unix

package serve

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/fsroot"
)

// dirWithFile makes a directory with a file of the same name in it.
func dirWithFile(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(dir, filepath.Base(dir)), "")
	return dir
}

// acquired opens a root as a login does, and returns its files, lease and names.
func acquired(t *testing.T, r *roots, spec string) (afero.Fs, io.Closer, string) {
	t.Helper()
	files, lease, err := r.get(spec).acquire(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	names := namesIn(t, files)
	return files, lease, names
}

func namesIn(t *testing.T, files afero.Fs) string {
	t.Helper()
	infos, err := afero.ReadDir(files, "/")
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, fi := range infos {
		names += fi.Name() + " "
	}
	return names
}

// TestRootFollowsItsName: each login gets the directory that is at the root's path then, and a session
// keeps the one that it began with. A directory is closed when it has been replaced and its last session
// has ended, and not before. All sessions share one root in memory.
func TestRootFollowsItsName(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"one", "two"} {
		dirWithFile(t, filepath.Join(dir, d))
	}
	current := filepath.Join(dir, "current")
	turn := func(to string) {
		t.Helper()
		if err := os.Symlink(to, current+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(current+".new", current); err != nil {
			t.Fatal(err)
		}
	}
	closed := func(files afero.Fs) bool {
		_, err := files.Stat("/")
		return errors.Is(err, fs.ErrClosed)
	}
	r := newRoots(t.Context())
	turn("one")
	a, leaseA, names := acquired(t, r, current)
	b, leaseB, _ := acquired(t, r, current)
	if names != "one " || a != b {
		t.Errorf("two sessions of one directory: it holds %s, same files: %v", names, a == b)
	}
	turn("two")
	c, leaseC, names := acquired(t, r, current)
	if names != "two " || namesIn(t, a) != "one " {
		t.Errorf("the new session sees %s, the old one %s", names, namesIn(t, a))
	}
	_ = leaseA.Close()
	_ = leaseA.Close() // twice counts once
	if closed(a) {
		t.Error("the directory was closed while the second session uses it")
	}
	_ = leaseB.Close()
	if !closed(a) {
		t.Error("the old directory is still open after its last session")
	}
	_ = leaseC.Close()
	if closed(c) {
		t.Error("the current directory was closed")
	}
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.get(current).acquire(r.ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a root that is gone: %v", err)
	}
	if !r.get(current).sweep(true) || r.get(current).sweep(true) {
		t.Error("sweep does not return true exactly once")
	}
	turn("one")
	if swept := slices.Collect(r.get(current).toSweep()); len(swept) != 1 || namesIn(t, swept[0]) != "one " {
		t.Errorf("swept: %v", swept)
	}
	m, lease, _ := acquired(t, r, "mem://")
	_ = lease.Close()
	r.retire(&config{Config: settings.FromFile("")})
	if again, _, _ := acquired(t, r, "mem://"); again != m {
		t.Error("retire discarded a root in memory")
	}
	if !closed(c) || r.get(current).now != nil {
		t.Error("a root that no user has is still open")
	}
	r.end()
}

// TestRootInARoot: a link that a user puts in the place of another user's root can't lead out of the
// outer root, neither at a login nor after a restart.
func TestRootInARoot(t *testing.T) {
	dir := t.TempDir()
	outer, inner, out := dirWithFile(t, filepath.Join(dir, "srv")), dirWithFile(t, filepath.Join(dir, "srv", "b")), dirWithFile(t, filepath.Join(dir, "out"))
	for _, target := range []string{"../out", out, "../srv/../out"} {
		r := newRoots(t.Context())
		defer r.end()
		r.nest(fsroot.NewNesting([]string{outer}))
		_, lease, names := acquired(t, r, inner)
		if names != "b " {
			t.Errorf("the root holds %s", names)
		}
		_ = lease.Close()
		if err := os.Rename(inner, inner+".old"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, inner); err != nil {
			t.Fatal(err)
		}
		after := newRoots(t.Context())
		defer after.end()
		after.nest(fsroot.NewNesting([]string{outer}))
		for _, r := range []*roots{r, after} {
			if files, _, err := r.get(inner).acquire(r.ctx); err == nil {
				t.Errorf("a link to %s was followed; the root holds %s", target, namesIn(t, files))
			}
		}
		if err := errors.Join(os.Remove(inner), os.Rename(inner+".old", inner)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRootsReloadDuringLogins: concurrent logins and reloads do not deadlock, and a login waits for
// another one that opens the tree no longer than its own context lasts.
func TestRootsReloadDuringLogins(t *testing.T) {
	dir := dirWithFile(t, filepath.Join(t.TempDir(), "one"))
	r := newRoots(t.Context())
	tree := r.get(dir)
	cf := &config{Config: settings.FromFile("")}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 500 {
					if _, lease, err := tree.acquire(r.ctx); err != nil {
						t.Error(err)
					} else {
						_ = lease.Close()
					}
				}
			})
			all.Go(func() {
				for range 500 {
					r.nest(fsroot.NewNesting(nil))
					r.keepSwept(nil, cf)
					r.retire(cf)
				}
			})
		}
		all.Wait()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a login and a reload have deadlocked")
	}

	tree.turn <- struct{}{} // like a login that waits for a disk that does not answer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := tree.acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the other login: %v", err)
	}
	r.retire(cf)
	r.keepSwept(nil, cf)
}

// TestNestingOfMistakes: a configuration with mistakes may lack users, so reloading it must not change how
// directories are opened.
func TestNestingOfMistakes(t *testing.T) {
	r := newRoots(t.Context())
	defer r.end()
	before := r.nesting.Load()
	parsed(t, "--users-file", "none").prepare(r)
	if r.nesting.Load() != before {
		t.Error("a configuration with mistakes changed the nesting")
	}
	parsed(t, "--user", "a:b").prepare(r)
	if r.nesting.Load() == before {
		t.Error("a configuration without mistakes did not change the nesting")
	}
}
