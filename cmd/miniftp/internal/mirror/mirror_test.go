package mirror

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/mirror"
	"miniftp/internal/testlink"
)

// TestFilters checks patterns against the rules of rsync.
func TestFilters(t *testing.T) {
	for _, tt := range []struct {
		pattern  string
		fits     []string // a directory ends in /
		fitsNone []string
	}{
		{"*.o", []string{"a.o", "x/y/b.o", "c.o/"}, []string{"a.oo", "o", "a.o/b"}},
		{"docs", []string{"docs", "a/docs/"}, []string{"docs2", "docs/a"}},
		{"docs/", []string{"docs/", "a/docs/"}, []string{"docs"}},
		{"/docs", []string{"docs/", "docs"}, []string{"a/docs"}},
		{"a/b", []string{"a/b", "x/a/b"}, []string{"b", "a/b/c", "xa/b"}},
		{"/a/*", []string{"a/b", "a/c/"}, []string{"a/b/c", "a/", "x/a/b"}},
		{"/a/**", []string{"a/b", "a/b/c"}, []string{"a/", "b/a/c"}},
		{"a/**/z", []string{"a/z", "a/b/z", "a/b/c/z", "x/a/b/z"}, []string{"z", "a/b"}},
		{"a/***", []string{"a/", "a/b", "x/a/b/c"}, []string{"b"}},
		{"**/x", []string{"x", "a/b/x"}, []string{"xx"}},
		{"[ab]?", []string{"ax", "d/b1"}, []string{"a", "cx"}},
		{"{a,b}", []string{"{a,b}"}, []string{"a", "b"}},
		{`\*`, []string{"*"}, []string{"a"}},
		{"*", []string{"a", "b/", "b/c"}, nil},
	} {
		f, err := parseFilter(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		for want, names := range map[bool][]string{true: tt.fits, false: tt.fitsNone} {
			for _, name := range names {
				if bare, dir := strings.CutSuffix(name, "/"); f.matches(bare, dir) != want {
					t.Errorf("%q, %q: %v", tt.pattern, name, !want)
				}
			}
		}
	}
	for _, bad := range []string{"", "/", "[", "a[b"} {
		if f, err := parseFilter(bad); err == nil {
			t.Errorf("%q is %+v", bad, f)
		}
	}
}

// TestMirrorHostile: whatever names a server lists, nothing is written outside the target, and no
// control characters are printed.
func TestMirrorHostile(t *testing.T) {
	for verb, line := range verbtest.HostileLines {
		for _, kind := range []string{"file", "dir"} {
			for _, links := range []string{"skip", "copy"} {
				h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
					if verb == "LIST" {
						h.Feat = ""
					}
					h.List = func(_, dir string, w io.Writer) {
						if filepath.Base(dir) != "d" {
							_, _ = io.WriteString(w, line("file", "leaf"))
							return
						}
						for _, name := range verbtest.HostileNames {
							_, _ = io.WriteString(w, line(kind, name))
						}
					}
				})
				top := t.TempDir()
				in := filepath.Join(top, "a", "b", "target")
				if err := os.MkdirAll(in, 0o755); err != nil {
					t.Fatal(err)
				}
				t.Chdir(filepath.Join(top, "a"))
				_, out, errs := try(t, "mirror", "--retries", "0", "--delete", "--links", links, "ftp://"+h.Addr+"/d", in)
				verbtest.Outside(t, top, in)
				if found := verbtest.RawControl.FindString(out + errs); found != "" {
					t.Errorf("%s: %q in %q", verb, found, out+errs)
				}
				if len(verbtest.Files(t, in)) == 0 {
					t.Errorf("%s %s: nothing was fetched: %s", verb, kind, errs)
				}
				t.Chdir(top)
			}
		}
	}
}

// TestMirrorExits: each failure has its exit code and prints one line before the summary.
func TestMirrorExits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		verb  string
		fault ftptest.Fault
		code  int
		says  string
	}{
		{"cut", "RETR", ftptest.CutAfter(1000), verb.ExitIncomplete, "URL/a.bin: "},
		{"550", "RETR", ftptest.Reply(550, "No."), verb.ExitRefused, "URL/a.bin: the server says 550 No."},
		{"login", "PASS", ftptest.Reply(530, "No."), verb.ExitLogin, "530"},
		{"listing", "MLSD", ftptest.Reply(550, "No."), verb.ExitRefused, "URL/: the server says 550 No."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := verbtest.WithFile(t, verbtest.Pattern(100_000))
			srv.Fail(tt.verb, tt.fault)
			code, _, errs := try(t, "mirror", "--retries", "0", srv.URL, t.TempDir())
			if code != tt.code || strings.Count(errs, "miniftp: ") != 1 || !strings.Contains(errs, strings.ReplaceAll(tt.says, "URL", srv.URL)) {
				t.Errorf("exit %d, want %d: %s", code, tt.code, errs)
			}
		})
	}
}

// fullFs is a filesystem on a full disk: new files are a device that is always full.
type fullFs struct{ afero.Fs }

func (f fullFs) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	if flag&os.O_CREATE != 0 {
		return f.Fs.OpenFile("/dev/full", os.O_RDWR, 0)
	}
	return f.Fs.OpenFile(name, flag, perm)
}

func (f fullFs) Stat(name string) (fs.FileInfo, error) {
	if strings.HasSuffix(name, ".part") {
		return f.Fs.Stat("/dev/full")
	}
	return f.Fs.Stat(name)
}

// TestMirrorFullDisk: a full disk prints one line, exits with 8, and ends the run.
func TestMirrorFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no device that is always full here")
	}
	files := afero.NewMemMapFs()
	for i := range 5 {
		if err := afero.WriteFile(files, fmt.Sprintf("/%d", i), verbtest.Pattern(1000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	here := t.TempDir()
	var said []error
	res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: files, Root: "/"}, To: mirror.Tree{FS: fullFs{afero.NewOsFs()}, Root: here}, Observe: func(a mirror.Action) {
		if a.Err != nil {
			said = append(said, a.Err)
		}
	}})

	if verb.ExitCode(err) != verb.ExitLocal || len(said) != 1 || res.Files != 0 {
		t.Errorf("exit %d, %v, %v, %+v", verb.ExitCode(err), err, said, res)
	}
}

// TestMirrorJSON: --json prints the same lines for a plan and for what is done.
func TestMirrorJSON(t *testing.T) {
	srv := verbtest.WithFile(t, verbtest.Pattern(1000))
	here := t.TempDir()
	if err := os.WriteFile(filepath.Join(here, "old\x1b"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	type row struct {
		Action, Path, Why, Verb string
		Files, Deleted, Done    int
	}
	rows := func(args ...string) (all []row) {
		t.Helper()
		code, out, errs := try(t, append([]string{"mirror", "--json"}, args...)...)
		for line := range strings.Lines(out) {
			var r row
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			all = append(all, r)
		}
		if code != 0 || errs != "" || len(all) == 0 || all[len(all)-1].Verb != "mirror" {
			t.Fatalf("exit %d, %s%s", code, out, errs)
		}
		return all
	}
	plan := rows("--dry-run", "--delete", srv.URL, here)
	did := rows("--delete", srv.URL, here)
	if fmt.Sprint(plan) != fmt.Sprint(did) || len(plan) != 3 || plan[1] != (row{Action: "get", Path: "a.bin", Why: "new"}) {
		t.Errorf("%v\n%v", plan, did)
	}
	if sum := did[2]; sum.Files != 1 || sum.Deleted != 1 || sum.Done != 2 {
		t.Errorf("%+v", sum)
	}
	if all := rows("--dry-run", srv.URL, here); len(all) != 1 {
		t.Errorf("%v", all)
	}
}

// TestMirrorApart: two trees, one inside the other, are refused, and nothing is changed.
func TestMirrorApart(t *testing.T) {
	here := t.TempDir()
	if err := os.MkdirAll(filepath.Join(here, "a/b"), 0o700); err != nil {
		t.Fatal(err)
	}
	testlink.Make(t, "a", filepath.Join(here, "link"))
	srv := verbtest.WithFile(t, nil)
	for _, args := range [][2]string{
		{here + "/a/b", here + "/a"},
		{here + "/a", here + "/a/new/c"},
		{here + "/a", here + "/link/"},
		{srv.URL + "/", srv.URL + "/x"},
		{srv.URL + "/x/y", srv.URL + "/x/"},
	} {
		code, _, errs := try(t, "mirror", "--delete", args[0], args[1])
		if code != verb.ExitUsage || !strings.Contains(errs, "overlap: neither directory may be inside the other") {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(here, "a/new")); err == nil {
		t.Error("a directory was made")
	}
	if code, _, errs := try(t, "mirror", here+"/a", here+"/ab"); code != 0 {
		t.Errorf("neighbours: exit %d, %s", code, errs)
	}
}
