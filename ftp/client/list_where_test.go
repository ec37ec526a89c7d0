package client_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// threeFiles is a local tree /x with a, b and c, which have the time of the fake servers' listings.
func threeFiles(t *testing.T) mirror.Tree {
	t.Helper()
	dst := afero.NewMemMapFs()
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, name := range []string{"/x/a", "/x/b", "/x/c"} {
		if err := errors.Join(afero.WriteFile(dst, name, []byte("1"), 0o644), dst.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	return mirror.Tree{FS: dst, Root: "/x"}
}

const lineOfA = "type=file;size=1;modify=20240102030405; a\r\n"

// A listing that does not begin or end as it should is partial: what it does not name is
// not deleted at the other side.
func TestPartialListingDeletesNothing(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	cut := func(s *fakeserver.Session, _ string) { // others may have cut it: TLS does not end, TCP does
		s.Say("150 here")
		c := s.Data().(*tls.Conn)
		_, _ = io.WriteString(c, lineOfA)
		raw := c.NetConn().(*net.TCPConn)
		_ = raw.CloseWrite()
		_, _ = io.Copy(io.Discard, raw)
		_ = raw.Close()
		s.Say("226 done")
	}
	bare := func(s *fakeserver.Session, _ string) {
		s.Send("")
		s.Say("226 done")
	}
	for name, x := range map[string]struct {
		mlsd, list func(*fakeserver.Session, string)
	}{
		"cut": {cut, cut}, "not begun": {bare, bare},
	} {
		t.Run(name, func(t *testing.T) {
			f, o := secureFake(t, func(f *fakeserver.Server, _ *tls.Config) {
				f.Feat, f.Dirs["/d"], f.On["MLSD"], f.On["LIST"] = fakeserver.MLST, "", x.mlsd, x.list
			})
			src, _ := remoteTree(t, f.Addr, o, 1, "/d")
			dst := threeFiles(t)
			res, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst, Delete: true})
			if !errors.Is(err, client.ErrPartial) || res.Deleted != 0 {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := dst.FS.Stat("/x/c"); err != nil {
				t.Error(err)
			}
		})
	}
}

// An empty listing by MLSD that never began is not believed: LIST is asked.
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
		t.Errorf("%v, %v", entries, errs)
	}
}

// deaf makes a verb of a fake server list the current directory whatever path it is given.
func deaf(f *fakeserver.Server, verb string) {
	f.On[verb] = func(s *fakeserver.Session, arg string) {
		if strings.HasPrefix(arg, "-") {
			s.Say("501 no options")
			return
		}
		s.Behave(verb, "")
	}
}

// A server that lists the current directory whatever path it is given is noticed, and each
// directory is listed as the current one from then on. Nothing is deleted by mistake.
func TestListIgnoresPath(t *testing.T) {
	for verb, feat := range map[string][]string{"MLSD": fakeserver.MLST, "LIST": {"SIZE", "MDTM"}} {
		t.Run(verb, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Feat = feat
				line := func(kind, name string) string {
					if verb == "MLSD" {
						return "type=" + kind + ";size=1;modify=20240102030405; " + name + "\r\n"
					}
					return map[string]string{"dir": "d", "file": "-"}[kind] + "rw-r--r-- 1 a b 1 Jan  2  2024 " + name + "\r\n"
				}
				f.Dirs[""] = line("file", "top") + line("dir", "sub")
				f.Dirs["/sub"] = line("file", "a") + line("dir", "deep")
				f.Dirs["/sub/deep"] = line("file", "b") + line("file", "c")
				f.Files["/sub/a"], f.Files["/sub/deep/b"], f.Files["/sub/deep/c"] = "1", "1", "1"
				f.Dirs["sub"] = f.Dirs["/sub"]
				deaf(f, verb)
			})
			c := dial(t, f, nil)
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
			src, _ := remoteTree(t, f.Addr, nil, 2, "/sub")
			dst := threeFiles(t)
			for _, name := range []string{"b", "c"} {
				_ = dst.FS.MkdirAll("/x/deep", 0o755)
				if err := dst.FS.Rename("/x/"+name, "/x/deep/"+name); err != nil {
					t.Fatal(err)
				}
			}
			res, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst, Delete: true})
			if err != nil || res.Deleted != 0 || res.Unchanged+res.Files != 3 {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}

// One listing that can be of no other directory settles it, and costs one PWD.
func TestListHeedsPath(t *testing.T) {
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

// A refusal has a second way: LIST for MLSD that FEAT names and the server does not do, and
// the current directory for a path that the server does not take.
func TestListSecondWays(t *testing.T) {
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
		if _, errs := collect(t, c, "/c b"); len(errs) != 1 || !isA[*ftp.Error](errs[0]) {
			t.Errorf("%s: missing: %v", verb, errs)
		}
	}
}

// What SIZE says is not what a path is, nor does its refusal tell that there is nothing.
func TestStatSecondWays(t *testing.T) {
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

// A directory that a listing hides, or that another program makes meanwhile, is refused by
// MKD and is there all the same: what is below it is mirrored.
func TestMirrorDirectoryExists(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Dirs["/up"] = ""
		f.On["MKD"] = func(s *fakeserver.Session, arg string) {
			s.Server.SetDir(arg, "-rw-r--r-- 1 a b 9 Jan  1 2020 other\r\n")
			s.Say("550 file exists")
		}
	})
	here := afero.NewMemMapFs()
	if err := afero.WriteFile(here, "/s/.conf/f", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	up, _ := remoteTree(t, f.Addr, nil, 1, "/up")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: up})
	if text, _ := f.File("/up/.conf/f"); err != nil || text != "1" || res.Dirs != 0 {
		t.Errorf("%q, %+v, %v", text, res, err)
	}
	if f.Count("LIST") < 3 {
		t.Errorf("the directory that is there was not listed: %q", f.Commands())
	}
}
