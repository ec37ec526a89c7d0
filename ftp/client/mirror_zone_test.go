package client_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/mirror"
)

// The zone of the times in LIST is learned from another file if the time of one is refused.
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

// A file that goes from one server to another gets its time in UTC, also where LIST has local
// times and another file has shown their zone.
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
		t.Errorf("%+v", res)
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
		t.Errorf("%d times were set", n)
	}
}
