package mirror_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// TestMirrorZone checks that the zone of a server's LIST is learned by one MDTM, which the next mirror over the
// same Pool need not repeat.
func TestMirrorZone(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.Files["/x/a"], f.Files["/x/b"] = "seven!!", "seven!!"
		f.Dirs["/x"] = "-rw-r--r-- 1 o g 7 2024-01-02 05:04 a\r\n-rw-r--r-- 1 o g 7 2024-01-02 05:03 b\r\n"
	})
	here := fsroot.NewMem()
	testutil.Plant(t, here, "/a", "seven!!", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC))
	testutil.Plant(t, here, "/b", "seven!!", time.Date(2024, 1, 2, 3, 3, 5, 0, time.UTC))
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	for _, pair := range [][2]mirror.Tree{{{FS: here, Root: "/"}, tree}, {tree, {FS: here, Root: "/"}}} {
		asked := func() (n int) {
			for _, line := range f.Commands() {
				if line == "MDTM /x/a" || line == "MDTM /x/b" {
					n++
				}
			}
			return n
		}
		res, did := mustMirror(t, pair[0], pair[1], mirror.Plan{})
		if res.Unchanged != 2 || len(did) != 0 || asked() != 1 {
			t.Errorf("%+v %q, %d MDTM", res, did, asked())
		}
	}
}

// TestMirrorDateInDoubt checks a listing that does not show which number is the day. A file is not copied again if
// its time fits either reading, and is copied if it fits neither.
func TestMirrorDateInDoubt(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.On["MDTM"] = fakeserver.Says("500 no")
		f.Files["/x/a"], f.Files["/x/b"] = "seven!!", "seven!!"
		f.Dirs["/x"] = "03/02/2024  05:04 7 a\r\n03/02/2024  05:04 7 b\r\n"
	})
	here := fsroot.NewMem()
	testutil.Plant(t, here, "/a", "seven!!", time.Date(2024, 2, 3, 5, 4, 5, 0, time.UTC))
	testutil.Plant(t, here, "/b", "seven!!", time.Date(2024, 12, 3, 5, 4, 5, 0, time.UTC))
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	dst := mirror.Tree{FS: here, Root: "/"}
	res, did := mustMirror(t, dst, tree, mirror.Plan{})
	if res.Unchanged != 1 || !slices.Equal(did, []string{"copy b time"}) {
		t.Errorf("%+v %q", res, did)
	}
	// MDTM removes the doubt.
	f = fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.On["MDTM"] = fakeserver.Says("213 20240302050405")
		f.Files["/x/a"], f.Dirs["/x"] = "seven!!", "03/02/2024  05:04 7 a\r\n"
	})
	tree, _ = remoteTree(t, f.Addr, nil, 1, "/x")
	if res, did := mustMirror(t, dst, tree, mirror.Plan{}); res.Files != 1 || !slices.Equal(did, []string{"copy a time"}) {
		t.Errorf("with MDTM: %+v %q", res, did)
	}
}

// TestMirrorMinutes checks that MDTM is sent only if the minute of LIST is not sufficient: once for each week,
// because the server's zone may be different in summer.
func TestMirrorMinutes(t *testing.T) {
	names := []string{"a", "b", "c", "p", "q", "r"}
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.Files["/x/a"] = "seven!!"
		for _, name := range names {
			f.Files["/x/"+name] = "seven!!"
			day := "2024-01-02 05:04"
			if name >= "p" {
				day = "2024-07-02 06:04"
			}
			f.Dirs["/x"] += "-rw-r--r-- 1 o g 7 " + day + " " + name + "\r\n"
		}
		f.On["MDTM"] = func(s *fakeserver.Session, arg string) {
			if arg >= "/x/p" {
				s.Say("213 20240702030405")
				return
			}
			s.Say("213 20240102030405")
		}
	})
	here := fsroot.NewMem()
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	res, _ := mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{})
	var asked []string
	for _, line := range f.Commands() {
		if name, ok := strings.CutPrefix(line, "MDTM /x/"); ok {
			asked = append(asked, name)
		}
	}
	if res.Files != 6 || !slices.Equal(asked, []string{"a", "p"}) {
		t.Errorf("%+v, MDTM of %q", res, asked)
	}
	for _, name := range names {
		want := time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC)
		switch {
		case name == "p":
			want = time.Date(2024, 7, 2, 3, 4, 5, 0, time.UTC)
		case name > "p":
			want = time.Date(2024, 7, 2, 3, 4, 0, 0, time.UTC)
		}
		if info, err := here.Stat("/" + name); err != nil || !info.ModTime().Equal(want) {
			t.Errorf("%s: %v, %v", name, info.ModTime(), err)
		}
	}
}

// If the server refuses the time of one file, another one is used to learn the zone of LIST.
func TestMirrorZoneSampleRefused(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"SIZE", "MDTM", "EPSV", "MFMT"}
		f.Files["/d/a"], f.Files["/d/b"] = "hello", "hello"
		f.Dirs["/d"] = "-rw-r--r-- 1 u u 5 2026-03-02 10:00 a\r\n-rw-r--r-- 1 u u 5 2026-03-02 10:00 b\r\n"
		f.On["MDTM"] = func(s *fakeserver.Session, arg string) {
			if strings.HasSuffix(arg, "/a") {
				s.Say("550 permission denied")
				return
			}
			s.Say("213 20260302100000")
		}
	})
	dst, _ := remoteTree(t, f.Addr, nil, 1, "/d")
	here := afero.NewMemMapFs()
	old := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for name, x := range map[string]struct {
		text string
		at   time.Time
	}{"/s/a": {"hello", old}, "/s/b": {"HELLO", old.Add(10 * time.Hour)}} {
		if err := afero.WriteFile(here, name, []byte(x.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := here.Chtimes(name, x.at, x.at); err != nil {
			t.Fatal(err)
		}
	}
	res, _ := mustMirror(t, dst, mirror.Tree{FS: here, Root: "/s"}, mirror.Plan{})
	if got, _ := f.File("/d/b"); res.Files != 1 || got != "HELLO" {
		t.Errorf("%+v, %q", res, got)
	}
}

// A file that is copied from one server to another gets its time in UTC, also if LIST shows local times whose zone
// another file has shown.
func TestMirrorZoneAcross(t *testing.T) {
	from := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.Files["/s/a"], f.Files["/s/b"] = "seven!!", "seven!!"
		f.Dirs["/s"] = "-rw-r--r-- 1 u u 7 2024-01-02 05:04 a\r\n-rw-r--r-- 1 u u 7 2024-01-02 05:04 b\r\n"
	})
	to := fakeserver.New(t, func(f *fakeserver.Server) { f.Feat, f.Dirs["/d"] = []string{"MFMT"}, "" })
	src, _ := remoteTree(t, from.Addr, nil, 1, "/s")
	dst, _ := remoteTree(t, to.Addr, nil, 1, "/d")
	if res, _ := mustMirror(t, dst, src, mirror.Plan{}); res.Files != 2 {
		t.Errorf("%+v, want 2 files", res)
	}
	n := 0
	for _, line := range to.Commands() {
		if at, ok := strings.CutPrefix(line, "MFMT "); ok {
			if n++; !strings.HasPrefix(at, "202401020304") {
				t.Errorf("%q", line)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d times were set, want 2", n)
	}
}
