package mirror_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
	"miniftp/ftp/mirror"
	"miniftp/internal/testlink"
)

// TestTwoMirrorsOnePlace runs two mirrors of one tree to one place at the same time, down or between two
// directories. Each file that is reported as done is whole.
func TestTwoMirrorsOnePlace(t *testing.T) {
	mem := afero.NewMemMapFs()
	want := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		want[name] = string(testutil.Noise(1<<20 + len(want)))
		if err := afero.WriteFile(mem, "/d/"+name, []byte(want[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	addr := ftptest.NewServer(t, mem).Addr
	for name, source := range map[string]func() mirror.Tree{
		"local": func() mirror.Tree { return mirror.Tree{FS: mem, Root: "/d"} },
		"down": func() mirror.Tree {
			src, _ := remoteTree(t, addr, nil, 2, "/d")
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
							t.Errorf("%s: %s is reported as done but has %d of %d bytes", name, a.Path, len(b), len(want[a.Path]))
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
				t.Errorf("%s: %s has %d of %d bytes, or wrong ones", name, file, len(b), len(text))
			}
		}
	}
}

// TestMirrorPartIsNoLink checks that nothing is written through a link with the name of a part.
func TestMirrorPartIsNoLink(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, text := range map[string]string{"victim": "precious", "s/a": "hello", "d/x": ""} {
		testutil.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		testutil.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	testutil.Must(t, os.Chtimes(dir+"/s/a", at, at))
	testlink.Make(t, dir+"/victim", dir+"/d/"+partName("a", 5, at))
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

// TestOnlyOurParts checks that a part is recognised by the checksum in its name, not by its form.
func TestOnlyOurParts(t *testing.T) {
	site, here := afero.NewMemMapFs(), afero.NewMemMapFs()
	theirs := []string{".backup.20240102.part", ".a.part", ".a.segments.part", ".x.deadbeefdeadbeef.part", "a"}
	for _, name := range theirs {
		testutil.Must(t, afero.WriteFile(site, "/s/"+name, []byte(name), 0o600))
	}
	ours := partName("gone", 5, time.Unix(0, 0))
	testutil.Must(t, afero.WriteFile(here, "/d/"+ours, []byte("x"), 0o600))
	for range 2 {
		_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: site, Root: "/s"}, To: mirror.Tree{FS: here, Root: "/d"}, Delete: true})
		testutil.Must(t, err)
		got := testutil.NamesIn(t, afero.NewBasePathFs(here, "/d"))
		slices.Sort(theirs)
		if !slices.Equal(got, theirs) {
			t.Errorf("%q", got)
		}
	}
}

// TestMirrorLeavesARunningPart checks that Delete removes abandoned parts, but not one that another run is writing
// to.
func TestMirrorLeavesARunningPart(t *testing.T) {
	dir := t.TempDir()
	to, empty := mirror.Tree{FS: afero.NewOsFs(), Root: dir}, afero.NewMemMapFs()
	testutil.Must(t, empty.Mkdir("/e", 0o755))
	dead := filepath.Join(dir, partName("dead", 1, time.Unix(0, 0)))
	testutil.Must(t, os.WriteFile(dead, []byte("x"), 0o600))
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
	testutil.Must(t, err)
	if got := testutil.NamesIn(t, afero.NewBasePathFs(afero.NewOsFs(), dir)); !slices.Equal(got, []string{"f"}) {
		t.Errorf("%q", got)
	}
}

// partName returns the name of the part of a file of that version.
func partName(name string, size int64, at time.Time) string {
	return client.PartNames(name, client.VersionTag(size, at))[0]
}

// TestMirrorKeepsMode checks that a file that replaces another one gets its permissions, before its first byte.
// With Perms only the owner may read it until it is whole.
func TestMirrorKeepsMode(t *testing.T) {
	get := func(perms bool) func(f *fakeserver.Server, key string) error {
		return func(f *fakeserver.Server, key string) error {
			src, _ := remoteTree(t, f.Addr, nil, 1, "/d")
			to := mirror.Tree{FS: afero.NewOsFs(), Root: filepath.Dir(key)}
			_, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: to, Perms: perms})
			return err
		}
	}
	transfertest.KeepsMode(t, []transfertest.Mode{
		{Name: "mirror", Had: 0o600, Get: get(false), Want: 0o600, Has: 0o600},
		{Name: "mirror with Perms", Had: 0o600, Get: get(true), Want: 0o640, Has: 0o600},
		{Name: "mirror with Perms, new", Get: get(true), Want: 0o640, Has: 0o600},
	})
}
