package client_test

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

const lineOfA = "type=file;size=1;modify=20240102030405; a\r\n"

// An empty listing by MLSD that was never begun is not trusted: LIST is tried.
func TestListNotBegun(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.On["MLSD"] = func(s *fakeserver.Session, _ string) {
			s.Send("")
			s.Say("226 done")
		}
		f.Dirs[""] = "-rw-r--r-- 1 a b 5 Jan  1 2020 x\r\n"
	})
	entries, errs := collect(t, dial(t, f, nil), "")
	if errs != nil || !slices.Equal(names(entries), []string{"x"}) {
		t.Errorf("entries %v, errors %v; want only x", entries, errs)
	}
}

// A server that lists the current directory whatever path it is given is detected. From then on each directory is
// listed as the current one.
func TestListIgnoresPath(t *testing.T) {
	for _, verb := range []string{"MLSD", "LIST"} {
		t.Run(verb, func(t *testing.T) {
			c := dial(t, fakeserver.New(t, fakeserver.IgnoringPaths(verb)), nil)
			if entries, errs := collect(t, c, "sub"); errs != nil || !slices.Equal(names(entries), []string{"a", "deep"}) {
				t.Errorf("List: %v, %v", names(entries), errs)
			}
			var paths []string
			for e, err := range c.Walk(t.Context(), "/sub") {
				if err != nil {
					t.Error(err)
				}
				paths = append(paths, e.Path)
			}
			if want := []string{"/sub/a", "/sub/deep", "/sub/deep/b", "/sub/deep/c"}; !slices.Equal(paths, want) {
				t.Errorf("Walk: %q", paths)
			}
		})
	}
}

// One listing that can only be of the right directory is sufficient proof, and costs one PWD.
func TestListHonorsPath(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat, f.Dirs["/pub"], f.Dirs["/pub/sub"] = fakeserver.MLST, "type=dir; sub\r\n", lineOfA
	})
	c := dial(t, f, nil)
	for _, dir := range []string{"/pub", "/pub/sub", "/pub"} {
		if entries, errs := collect(t, c, dir); errs != nil || len(entries) != 1 {
			t.Errorf("%s: %v, %v", dir, entries, errs)
		}
	}
	if f.Count("PWD") != 1 || f.Count("CWD") != 0 || f.Count("MLSD") != 3 {
		t.Errorf("commands %q", f.Commands())
	}
}

// After a refusal a second way is tried: LIST if FEAT lists MLSD but the server refuses it, and CWD if the server
// refuses the path.
func TestListFallsBack(t *testing.T) {
	const unix = "-rw-r--r-- 1 a b 5 Jan  1 2020 x\r\n"
	for _, no := range []string{"500 what?", "501 no arguments", "503 bad sequence", "550 failed"} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Feat, f.On["MLSD"], f.On["MLST"] = fakeserver.MLST, fakeserver.Says(no), fakeserver.Says(no)
			f.Dirs["/d"], f.Files["/d/x"] = unix, "12345"
		})
		c := dial(t, f, nil)
		for range 2 {
			if entries, errs := collect(t, c, "/d"); errs != nil || !slices.Equal(names(entries), []string{"x"}) {
				t.Errorf("%s: %v, %v", no, entries, errs)
			}
			if e, err := c.Stat(t.Context(), "/d/x"); err != nil || e.Size != 5 || e.IsDir() {
				t.Errorf("%s: Stat: %+v, %v", no, e, err)
			}
		}
		if f.Count("MLST") != 1 {
			t.Errorf("%s: commands %q", no, f.Commands())
		}
	}
	for verb, feat := range map[string][]string{"MLSD": fakeserver.MLST, "LIST": {"SIZE"}} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Feat, f.Dirs["/a b"] = feat, unix
			if verb == "MLSD" {
				f.Dirs["/a b"] = lineOfA
			}
			f.On[verb] = func(s *fakeserver.Session, arg string) {
				if strings.Contains(arg, "b") {
					s.Say("501 one path")
					return
				}
				s.Behave(verb, arg)
			}
		})
		c := dial(t, f, nil)
		for range 2 {
			if entries, errs := collect(t, c, "/a b"); errs != nil || len(entries) != 1 {
				t.Errorf("%s: %v, %v", verb, entries, errs)
			}
		}
		if _, errs := collect(t, c, "/c b"); len(errs) != 1 || !testutil.IsA[*ftp.Error](errs[0]) {
			t.Errorf("%s: missing: %v", verb, errs)
		}
	}
}

// A reply to SIZE does not prove that a path is a file, nor does a refusal prove that nothing exists.
func TestStatFallsBack(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["SIZE"] = func(s *fakeserver.Session, arg string) {
			if path.Base(arg) == "secret" {
				s.Say("550 Could not get file size.")
			} else if _, ok := s.Server.Dirs[arg]; ok || arg == "/" {
				s.Say("213 4096")
			} else {
				s.Behave("SIZE", arg)
			}
		}
		f.Dirs["/d"], f.Dirs["/d/"] = "-rw------- 1 a b 5 Jan  1 2020 secret\r\n", ""
		f.Files["/d/x"] = "12345"
	})
	c := dial(t, f, nil)
	if e, err := c.Stat(t.Context(), "/d"); err != nil || !e.IsDir() {
		t.Errorf("a directory: %+v, %v", e, err)
	}
	if e, err := c.Stat(t.Context(), "/d/x"); err != nil || e.IsDir() || e.Size != 5 {
		t.Errorf("a file: %+v, %v", e, err)
	}
	f.Dirs["/d/"] = f.Dirs["/d"]
	if e, err := c.Stat(t.Context(), "/d/secret"); err != nil || e.IsDir() || e.Size != 5 {
		t.Errorf("a file without SIZE: %+v, %v", e, err)
	}
	if _, err := c.Stat(t.Context(), "/d/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
