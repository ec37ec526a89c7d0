package mirror_test

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// folding is a file system that ignores case and stores names in lower case.
type folding struct{ afero.Fs }

func (f folding) Open(n string) (afero.File, error) { return f.Fs.Open(strings.ToLower(n)) }

func (f folding) OpenFile(n string, flag int, m fs.FileMode) (afero.File, error) {
	return f.Fs.OpenFile(strings.ToLower(n), flag, m)
}

func (f folding) Create(n string) (afero.File, error) { return f.Fs.Create(strings.ToLower(n)) }

func (f folding) Stat(n string) (fs.FileInfo, error) { return f.Fs.Stat(strings.ToLower(n)) }

func (f folding) Remove(n string) error { return f.Fs.Remove(strings.ToLower(n)) }

func (f folding) Rename(a, b string) error {
	return f.Fs.Rename(strings.ToLower(a), strings.ToLower(b))
}

func (f folding) Mkdir(n string, m fs.FileMode) error { return f.Fs.Mkdir(strings.ToLower(n), m) }

func (f folding) MkdirAll(n string, m fs.FileMode) error { return f.Fs.MkdirAll(strings.ToLower(n), m) }

func (f folding) Chtimes(n string, a, m time.Time) error {
	return f.Fs.Chtimes(strings.ToLower(n), a, m)
}

// A name that the destination spells differently is the same file: it is neither deleted nor copied in each run.
func TestMirrorOtherSpelling(t *testing.T) {
	src, dst := afero.NewMemMapFs(), folding{afero.NewMemMapFs()}
	for _, name := range []string{"/s/README", "/s/Dir/File"} {
		if err := afero.WriteFile(src, name, []byte("hello"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	from, to := mirror.Tree{FS: src, Root: "/s"}, mirror.Tree{FS: dst, Root: "/x"}
	for run := range 2 {
		res, _ := mustMirror(t, to, from, mirror.Plan{Delete: true})
		if files := int64(2 - 2*run); res.Files != files || res.Deleted != 0 {
			t.Errorf("run %d: %+v", run, res)
		}
	}
}

// If both spellings may exist, the one that the source does not have is deleted once the other one exists.
func TestMirrorSpellings(t *testing.T) {
	for name, x := range map[string]struct{ src, dst string }{
		"case": {"README", "readme"}, "accents": {"\u00e9", "e\u0301"}, "blank": {"a", " a"}, "clock": {"12:30 a", "a"}, "year": {"a", "2024 a"},
	} {
		src, dst := afero.NewMemMapFs(), afero.NewMemMapFs()
		for _, err := range []error{
			afero.WriteFile(src, "/s/"+x.src, []byte("new"), 0o644), afero.WriteFile(dst, "/x/"+x.dst, []byte("old"), 0o644),
			afero.WriteFile(dst, "/x/other", []byte("old"), 0o644),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for run := range 2 {
			res, _ := mustMirror(t, mirror.Tree{FS: dst, Root: "/x"}, mirror.Tree{FS: src, Root: "/s"}, mirror.Plan{Delete: true})
			if ok, _ := afero.Exists(dst, "/x/"+x.dst); ok != (run == 0) || res.Deleted != 1 {
				t.Errorf("%s, run %d: there: %v, %+v", name, run, ok, res)
			}
		}
	}
}

// A source that is inside the destination, under another name of the server or of the directory, is not deleted.
// A copy of the source is.
func TestMirrorSourceInDestination(t *testing.T) {
	for _, local := range []bool{true, false} {
		mem := afero.NewMemMapFs()
		for i := range 5 {
			for _, dir := range []string{"/all/site/pub", "/all/old"} {
				if err := afero.WriteFile(mem, fmt.Sprintf("%s/f%d", dir, i), []byte("1"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		dst, src := mirror.Tree{FS: mem, Root: "/all"}, mirror.Tree{FS: afero.NewBasePathFs(mem, "/all/site/pub"), Root: "/"}
		if !local {
			dst, _ = remoteTree(t, ftptest.NewServer(t, mem).Addr, nil, 1, "/all")
			src, _ = remoteTree(t, ftptest.NewServer(t, mem).Addr, nil, 1, "/all/site/pub")
		}
		was := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
		testutil.Must(t, mem.Chtimes("/all/old/f3", was, was))
		mirror := func(dry bool, want string) []string {
			var a actions
			o := mirror.Plan{Delete: true, DryRun: dry, Observe: a.observe}
			_, err := mirror.Run(t.Context(), planned(src, dst, o))
			if err == nil || !strings.Contains(err.Error(), "site/pub: not deleted: "+want) {
				t.Errorf("local %v, dry run %v: %v", local, dry, err)
			}
			return a.sorted()
		}
		plan := mirror(true, "by its names, sizes and times it may be the source")
		if did := mirror(false, "it is the source"); !slices.Equal(plan, did) {
			t.Errorf("local %v: planned %q, done %q", local, plan, did)
		}
		left, _ := afero.ReadDir(mem, "/all/site/pub")
		if old, _ := afero.Exists(mem, "/all/old"); len(left) != 5 || old {
			t.Errorf("local %v: %d files are left in the source, want 5; the copy exists: %v, want false", local, len(left), old)
		}
	}
}

// A destination that is inside the source, under another name of the server or of the directory, is left out,
// because its copy would be copied again without end. A directory that only looks like it is copied.
func TestMirrorDestinationInSource(t *testing.T) {
	for n := range 4 {
		for _, where := range []string{"/all/to", "/all/a/new"} {
			t.Run(fmt.Sprint(n, where), func(t *testing.T) {
				mem := fsroot.NewMem()
				files := []string{"f", "a/g", "a/b/h", "to/a/i", "to/to/j"}
				for _, name := range files {
					name = "/all/" + name
					if err := mem.MkdirAll(path.Dir(name), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := afero.WriteFile(mem, name, []byte("1"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				src, dst := mirror.Tree{FS: mem, Root: "/all"}, mirror.Tree{FS: afero.NewBasePathFs(mem, where), Root: "/"}
				if where == "/all/a/new" {
					if err := mem.Mkdir(where, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				if n&1 > 0 {
					src, _ = remoteTree(t, ftptest.NewServer(t, mem).Addr, nil, 1, "/all")
				}
				if n&2 > 0 {
					dst, _ = remoteTree(t, ftptest.NewServer(t, mem).Addr, nil, 1, where)
				}
				for run := range 2 {
					res, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst})
					rel := strings.TrimPrefix(where, "/all/")
					if err == nil || !strings.Contains(err.Error(), rel+": left out: it is the destination") || strings.Contains(err.Error(), "\n") {
						t.Errorf("run %d: %v", run, err)
					}
					want := int64(len(files))
					if rel == "to" {
						want = 3
					}
					if run > 0 {
						want = 0
					}
					if res.Files != want {
						t.Errorf("run %d: %d files, want %d", run, res.Files, want)
					}
				}
				_ = afero.Walk(mem, "/all", func(name string, _ fs.FileInfo, _ error) error {
					if strings.Contains(name, "probe") {
						t.Errorf("probe file %s was not removed", name)
					}
					return nil
				})
			})
		}
	}
}

// A dry run reports the same for a destination inside the source as the run, which recognises it by a probe
// file. Both copy a directory that differs from it in any way.
func TestMirrorPlanOfDestinationInSource(t *testing.T) {
	was := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for n := range 4 {
		mem := fsroot.NewMem()
		for _, name := range []string{"f", "a/g", "to/f", "to/a/g", "like/f", "like/a/g", "more/f", "more/a/g", "more/h", "sized/f", "sized/a/g"} {
			content := "1"
			if name == "sized/f" {
				content = "22"
			}
			testutil.Must(t, mem.MkdirAll(path.Dir("/all/"+name), 0o755))
			testutil.Must(t, afero.WriteFile(mem, "/all/"+name, []byte(content), 0o644))
			testutil.Must(t, mem.Chtimes("/all/"+name, was, was))
		}
		for _, dir := range []string{"a", "to/a", "like/a", "more/a", "sized/a"} {
			testutil.Must(t, mem.Chtimes("/all/"+dir, was, was))
		}
		testutil.Must(t, mem.Chtimes("/all/like/f", was, was.Add(-time.Hour)))
		src, dst := mirror.Tree{FS: mem, Root: "/all"}, mirror.Tree{FS: afero.NewBasePathFs(mem, "/all/to"), Root: "/"}
		if n&1 > 0 {
			src, _ = remoteTree(t, ftptest.NewServer(t, mem).Addr, nil, 1, "/all")
		}
		if n&2 > 0 {
			dst, _ = remoteTree(t, ftptest.NewServer(t, mem).Addr, nil, 1, "/all/to")
		}
		mirror := func(dry bool, want string) []string {
			var a actions
			_, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst, DryRun: dry, Observe: a.observe})
			if err == nil || !strings.Contains(err.Error(), "to: left out: "+want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%d, dry run %v: %v", n, dry, err)
			}
			return a.sorted()
		}
		plan := mirror(true, "by its names, sizes and times it may be the destination")
		if did := mirror(false, "it is the destination"); !slices.Equal(plan, did) {
			t.Errorf("%d: planned %q, done %q", n, plan, did)
		}
	}
}

// A junction is listed as a directory. DELE is refused; RMD removes the junction and not its target.
func TestMirrorJunction(t *testing.T) {
	var mu sync.Mutex
	var deleted []string
	note := func(verb string, no ...string) func(*fakeserver.Session, string) {
		return func(s *fakeserver.Session, arg string) {
			if slices.Contains(no, arg) {
				s.Say("550 Access is denied.")
				return
			}
			mu.Lock()
			defer mu.Unlock()
			deleted = append(deleted, verb+" "+arg)
			s.Say("250 gone")
		}
	}
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST type*;size*;modify*;", "SIZE", "MDTM", "EPSV"}
		f.On["MLST"] = func(s *fakeserver.Session, arg string) { s.Raw("250-x\r\n type=dir; " + arg + "\r\n250 end\r\n") }
		f.Dirs["/d"] = "type=dir;modify=20240102030405; junction\r\n"
		f.Dirs["/d/junction"] = "type=file;size=5;modify=20240102030405; precious\r\n"
		f.On["DELE"] = note("DELE", "/d/junction")
		f.On["RMD"] = note("RMD")
	})
	dst, p := remoteTree(t, f.Addr, nil, 1, "/d")
	here := afero.NewMemMapFs()
	_ = here.MkdirAll("/s", 0o755)
	res, _ := mustMirror(t, dst, mirror.Tree{FS: here, Root: "/s"}, mirror.Plan{Delete: true})
	if want := []string{"RMD /d/junction"}; !slices.Equal(deleted, want) || res.Deleted != 1 {
		t.Errorf("%q, %+v", deleted, res)
	}
	deleted = nil
	if err := p.Do(t.Context(), func(c *client.Client) error { return c.RemoveAll(t.Context(), "/d/junction") }); err != nil {
		t.Error(err)
	}
	if want := []string{"RMD /d/junction"}; !slices.Equal(deleted, want) {
		t.Errorf("RemoveAll: %q", deleted)
	}
}
