package client_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/mirror"
)

// TestTwoDownloadsOneName: two runs that fetch the same file to the same place have a part
// each. What the first one gives the final name is whole, while the second one has just
// begun.
func TestTwoDownloadsOneName(t *testing.T) {
	body := strings.Repeat("0123456789", 20_000)
	for name, fsys := range map[string]afero.Fs{"disk": afero.NewBasePathFs(afero.NewOsFs(), t.TempDir()), "memory": afero.NewMemMapFs()} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			first, second, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/f"] = body
				f.On["RETR"] = func(s *fakeserver.Session, _ string) {
					s.Say("150 here it comes")
					c := s.Data()
					if n.Add(1) == 1 {
						_, _ = io.WriteString(c, body[:100_000])
						close(first)
						<-second
						_, _ = io.WriteString(c, body[100_000:])
					} else {
						_, _ = io.WriteString(c, body[:1000])
						close(second)
						<-release
						_, _ = io.WriteString(c, body[1000:5000])
					}
					_ = c.Close()
					s.Say("226 done")
				}
			})
			a, b := dial(t, f, nil), dial(t, f, nil)
			var wg sync.WaitGroup
			wg.Go(func() {
				<-first
				_, err := b.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys})
				if err == nil {
					t.Error("the second run does not notice that its file was cut short")
				}
			})
			_, err := a.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys})
			if got, _ := afero.ReadFile(fsys, "f"); err != nil || string(got) != body {
				t.Errorf("%v, %d of %d bytes", err, len(got), len(body))
			}
			close(release)
			wg.Wait()
			if got, _ := afero.ReadFile(fsys, "f"); string(got) != body {
				t.Errorf("afterwards: %d of %d bytes", len(got), len(body))
			}
		})
	}
}

// TestResumeOfARunningPart: a part that another run is writing to is not continued.
func TestResumeOfARunningPart(t *testing.T) {
	fsys := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
	begun, end := make(chan struct{}), make(chan struct{})
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "0123456789"
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 here it comes")
			c := s.Data()
			_, _ = io.WriteString(c, "01234")
			close(begun)
			<-end
			_, _ = io.WriteString(c, "56789")
			_ = c.Close()
			s.Say("226 done")
		}
	})
	a, b := dial(t, f, nil), dial(t, f, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := a.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	_, err := b.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys, Resume: true})
	var local *client.LocalError
	if !errors.As(err, &local) || !strings.Contains(err.Error(), "another run is writing to it") {
		t.Errorf("%v", err)
	}
	close(end)
	wg.Wait()
}

// TestTwoMirrorsOnePlace: two mirrors of one tree to one place at the same time, down or
// between two directories: each file that is told to be done is whole.
func TestTwoMirrorsOnePlace(t *testing.T) {
	mem := afero.NewMemMapFs()
	want := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		want[name] = string(noise(1<<20 + len(want)))
		if err := afero.WriteFile(mem, "/d/"+name, []byte(want[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	addr := serveHere(t, mem, "127.0.0.1")
	for name, source := range map[string]func() mirror.Tree{
		"local": func() mirror.Tree { return mirror.Tree{FS: mem, Root: "/d"} },
		"down": func() mirror.Tree {
			src, _ := remoteTree(t, addr, &client.Options{User: "u", Password: "p"}, 2, "/d")
			return src
		},
	} {
		dir := t.TempDir()
		var wg sync.WaitGroup
		for range 2 {
			src := source()
			wg.Go(func() {
				o := mirror.Plan{Parallel: 2, Observe: func(a mirror.Action) {
					if a.Kind == mirror.CopyFile && a.Stage == mirror.Done && a.Err == nil {
						if b, _ := os.ReadFile(filepath.Join(dir, a.Path)); string(b) != want[a.Path] {
							t.Errorf("%s: %s is told as done and has %d of %d bytes", name, a.Path, len(b), len(want[a.Path]))
						}
					}
				}}
				_, err := mirror.Run(t.Context(), planned(src, mirror.Tree{FS: afero.NewOsFs(), Root: dir}, o))
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		for file, text := range want {
			if b, _ := os.ReadFile(filepath.Join(dir, file)); string(b) != text {
				t.Errorf("%s: %s has %d of %d bytes, or others", name, file, len(b), len(text))
			}
		}
	}
}

// TestMirrorPartIsNoLink: a link in the place of a part is not written through.
func TestMirrorPartIsNoLink(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, text := range map[string]string{"victim": "precious", "s/a": "hello", "d/x": ""} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	must(t, os.Chtimes(dir+"/s/a", at, at))
	if err := os.Symlink(dir+"/victim", dir+"/d/"+client.PartOf("a", 5, at)); err != nil {
		t.Skip(err)
	}
	to, from := mirror.Tree{FS: afero.NewOsFs(), Root: dir + "/d"}, mirror.Tree{FS: afero.NewOsFs(), Root: dir + "/s"}
	if _, err := mirror.Run(t.Context(), mirror.Plan{From: from, To: to}); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(dir + "/victim"); string(b) != "precious" {
		t.Errorf("a file outside of the tree was written through a link: %q", b)
	}
	if b, _ := os.ReadFile(dir + "/d/a"); string(b) != "hello" {
		t.Errorf("the copy is %q", b)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOnlyOurParts: a file is taken for a part by a check over its name, not by its looks.
func TestOnlyOurParts(t *testing.T) {
	site, here := afero.NewMemMapFs(), afero.NewMemMapFs()
	theirs := []string{".backup.20240102.part", ".a.part", ".a.segments.part", ".x.deadbeefdeadbeef.part", "a"}
	for _, name := range theirs {
		must(t, afero.WriteFile(site, "/s/"+name, []byte(name), 0o600))
	}
	ours := client.PartOf("gone", 5, time.Unix(0, 0))
	must(t, afero.WriteFile(here, "/d/"+ours, []byte("x"), 0o600))
	for range 2 {
		_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: site, Root: "/s"}, To: mirror.Tree{FS: here, Root: "/d"}, Delete: true})
		must(t, err)
		got := namesIn(t, afero.NewBasePathFs(here, "/d"))
		slices.Sort(theirs)
		if !slices.Equal(got, theirs) {
			t.Errorf("%q", got)
		}
	}
}

// TestDownloadBesideAUsersFile: a file that somebody has given the name of a part is not
// overwritten.
func TestDownloadBesideAUsersFile(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/a"], f.Files["/.a.part"] = "the file", "a file of its own" })
	here, c := afero.NewMemMapFs(), dial(t, f, nil)
	for range 2 {
		for _, name := range []string{".a.part", "a"} {
			_, err := c.Download(t.Context(), "/"+name, name, client.FileOptions{FS: here})
			must(t, err)
		}
		for name, want := range f.Files {
			if b, _ := afero.ReadFile(here, name[1:]); string(b) != want {
				t.Errorf("%s is %q", name, b)
			}
		}
	}
}

// TestDownloadKeepsMode: a file that replaces another one has its permissions, and has them
// before its first byte; with Perms it is the owner's only until it is whole.
func TestDownloadKeepsMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permissions here")
	}
	dir := t.TempDir()
	var seen []os.FileMode
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST type*;size*;modify*;UNIX.mode*;", "SIZE", "MDTM", "EPSV"}
		f.On["MLST"] = func(s *fakeserver.Session, arg string) { s.Raw("250-x\r\n type=dir; " + arg + "\r\n250 end\r\n") }
		f.Files["/d/key"] = "new secret"
		f.Dirs["/d"] = "type=file;size=10;modify=20240102030405;UNIX.mode=0640; key\r\n"
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			infos, _ := afero.ReadDir(afero.NewOsFs(), dir)
			for _, i := range infos {
				if i.Name() != "key" {
					seen = append(seen, i.Mode())
				}
			}
			s.Behave("RETR", arg)
		}
	})
	key := filepath.Join(dir, "key")
	src, _ := remoteTree(t, f.Addr, nil, 1, "/d")
	mirror := func(perms bool) {
		_, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: mirror.Tree{FS: afero.NewOsFs(), Root: dir}, Perms: perms})
		must(t, err)
	}
	for _, trial := range []struct {
		name      string
		had       os.FileMode // 0: nothing
		get       func()
		want, has os.FileMode // has: while it comes
	}{
		{"get", 0o600, func() {
			_, err := dial(t, f, nil).Download(t.Context(), "/d/key", key, client.FileOptions{})
			must(t, err)
		}, 0o600, 0o600},
		{"get over a read-only file", 0o440, func() {
			_, err := dial(t, f, nil).Download(t.Context(), "/d/key", key, client.FileOptions{})
			must(t, err)
		}, 0o440, 0o640},
		{"mirror", 0o600, func() { mirror(false) }, 0o600, 0o600},
		{"mirror with Perms", 0o600, func() { mirror(true) }, 0o640, 0o600},
		{"mirror with Perms, new", 0, func() { mirror(true) }, 0o640, 0o600},
	} {
		seen = nil
		_ = os.Remove(key)
		if trial.had != 0 {
			must(t, os.WriteFile(key, []byte("old"), 0o600))
			must(t, os.Chmod(key, trial.had))
		}
		trial.get()
		info, err := os.Stat(key)
		must(t, err)
		if info.Mode().Perm() != trial.want || len(seen) != 1 || seen[0].Perm() != trial.has {
			t.Errorf("%s: %v, while it came %v", trial.name, info.Mode(), seen)
		}
	}
}

// TestMirrorLeavesARunningPart: --delete removes what dead runs have left, and not what
// another run is writing to.
func TestMirrorLeavesARunningPart(t *testing.T) {
	dir := t.TempDir()
	to, empty := mirror.Tree{FS: afero.NewOsFs(), Root: dir}, afero.NewMemMapFs()
	must(t, empty.Mkdir("/e", 0o755))
	dead := filepath.Join(dir, client.PartOf("dead", 1, time.Unix(0, 0)))
	must(t, os.WriteFile(dead, []byte("x"), 0o600))
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/s/f"] = "text"
		f.Dirs["/s"] = "-rw-r--r-- 1 u u 4 2024-03-02 10:00 f\r\n"
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: empty, Root: "/e"}, To: to, Delete: true})
			if err != nil {
				t.Error(err)
			}
			s.Behave("RETR", arg)
		}
	})
	src, _ := remoteTree(t, f.Addr, nil, 1, "/s")
	_, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: to})
	must(t, err)
	if got := namesIn(t, afero.NewBasePathFs(afero.NewOsFs(), dir)); !slices.Equal(got, []string{"f"}) {
		t.Errorf("%q", got)
	}
}
