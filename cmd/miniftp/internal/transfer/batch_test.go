package transfer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot"
	"miniftp/ftp/ftptest"
	"miniftp/internal/testlink"
)

// write creates a file with the given text and time.
func write(t *testing.T, fsys afero.Fs, name, text string, at time.Time) {
	t.Helper()
	err := fsys.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = afero.WriteFile(fsys, name, []byte(text), 0o644)
	}
	if err == nil {
		err = fsys.Chtimes(name, at, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func textOf(t *testing.T, fsys afero.Fs, name string) string {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestChoice: --no-clobber and --newer keep files, in both directions, alone and in trees.
func TestChoice(t *testing.T) {
	old, now := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2024, 5, 6, 7, 8, 9, 500, time.UTC)
	for _, tt := range []struct {
		flag          string
		source        time.Time
		exists, fresh string // the expected text of a file that existed and of a new one
	}{
		{"--no-clobber", now, "there", "source"},
		{"--newer", now, "source", "source"},
		{"--newer", old, "there", "source"},
	} {
		there := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, args := range [][]string{{"get", tt.flag}, {"get", "-r", tt.flag}, {"put", tt.flag}, {"put", "-r", tt.flag}} {
			t.Run(strings.Join(args, " ")+" "+tt.exists, func(t *testing.T) {
				s, dir, disk := ftptest.NewServer(t, nil), t.TempDir(), afero.NewOsFs()
				put := args[0] == "put"
				from, to := s.FS, disk
				source, target := "/tree", dir+"/copy"
				if put {
					from, to, source, target = disk, s.FS, dir+"/tree", "/copy"
				}
				write(t, from, source+"/a", "source", tt.source)
				write(t, from, source+"/b", "source", tt.source)
				write(t, to, target+"/a", "there", there)
				run := func(name string) {
					more := []string{s.URL + "/tree" + name, dir + "/copy" + name}
					if put {
						more = []string{dir + "/tree" + name, s.URL + "/copy" + name}
					}
					if code, _, errs := try(t, append(slices.Clone(args), more...)...); code != 0 {
						t.Fatalf("exit %d, %s", code, errs)
					}
				}
				if args[1] == "-r" {
					if put {
						args = append(args, dir+"/tree/.", s.URL+"/copy")
					} else {
						args = append(args, s.URL+"/tree/*", dir+"/copy")
					}
					if code, _, errs := try(t, args...); code != 0 || errs != "" {
						t.Fatalf("exit %d, %s", code, errs)
					}
				} else {
					run("/a")
					run("/b")
				}
				if a, b := textOf(t, to, target+"/a"), textOf(t, to, target+"/b"); a != tt.exists || b != tt.fresh {
					t.Errorf("%q and %q", a, b)
				}
			})
		}
	}
}

// TestPutTimes: put keeps times unless --no-times is given. --mkdir makes missing directories;
// without it the error mentions that flag.
func TestPutTimes(t *testing.T) {
	at := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	s, dir := ftptest.NewServer(t, nil), t.TempDir()
	write(t, afero.NewOsFs(), dir+"/f", "text", at)
	for name, want := range map[string]bool{"/kept": true, "/new": false} {
		args := []string{"put", dir + "/f", s.URL + name}
		if !want {
			args = slices.Insert(args, 1, "--no-times")
		}
		if code, _, errs := try(t, args...); code != 0 {
			t.Fatalf("exit %d, %s", code, errs)
		}
		if info, err := s.FS.Stat(name); err != nil || info.ModTime().Equal(at) != want {
			t.Errorf("%s: %v, %v", name, info.ModTime(), err)
		}
	}
	code, _, errs := try(t, "put", dir+"/f", s.URL+"/x/y/f")
	if code != verb.ExitRefused || !strings.Contains(errs, "(there is no directory x/y; --mkdir makes it)") {
		t.Errorf("exit %d, %s", code, errs)
	}
	for _, to := range []string{"/x/y/f", "/z/"} {
		if code, _, errs := try(t, "put", "--mkdir", dir+"/f", s.URL+to); code != 0 || errs != "" {
			t.Errorf("exit %d, %s", code, errs)
		}
	}
	if textOf(t, s.FS, "/x/y/f") != "text" || textOf(t, s.FS, "/z/f") != "text" {
		t.Error("the files are not in the new directories")
	}
}

// TestLeftOut: omissions are reported once, at the end, and are an error only with --strict.
func TestLeftOut(t *testing.T) {
	root := t.TempDir()
	s, dir := diskServer(t, root), t.TempDir()
	for _, in := range []string{root + "/tree", dir + "/tree"} {
		write(t, afero.NewOsFs(), in+"/d/f", "text", time.Now())
		for name, target := range map[string]string{"in": "d/f", "dir": "d", "d/up": "../../..", "none": "nowhere"} {
			testlink.Make(t, target, in+"/"+name)
		}
	}
	write(t, afero.NewOsFs(), dir+"/tree/a\nb", "odd", time.Now())
	for _, args := range [][]string{
		{"get", "-r", s.URL + "/tree", dir + "/got"},
		{"put", "-r", dir + "/tree", s.URL + "/put"},
		{"mirror", s.URL + "/tree", dir + "/down"},
		{"mirror", dir + "/tree", s.URL + "/up"},
		{"mirror", "--dry-run", dir + "/tree", s.URL + "/up"},
		{"copy", "-r", "--via-client", s.URL + "/tree", s.URL + "/copied"},
	} {
		code, _, errs := try(t, args...)
		if code != 0 || strings.Count(errs, "4 left out: ") != 1 || !strings.Contains(errs, "each is a link") {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
		if odd := strings.Contains(args[len(args)-2], dir); odd != strings.Contains(errs, `/a?b: left out: its name has a line break, which FTP can't send`) {
			t.Errorf("%v: %s", args, errs)
		}
		code, _, errs = try(t, slices.Insert(slices.Clone(args), 1, "--strict")...)
		if code != verb.ExitIncomplete || !strings.Contains(errs, "--strict was given") {
			t.Errorf("%v: with --strict exit %d, %s", args, code, errs)
		}
		if args[0] == "mirror" {
			continue // its lines have the action skip
		}
		names := 4
		if args[0] == "put" {
			names = 5
		}
		_, out, _ := try(t, slices.Insert(slices.Clone(args), 1, "--json")...)
		if n := strings.Count(out, `"left_out": "it`); n != names || !strings.Contains(out, fmt.Sprintf(`"left_out": %d}`, names)) {
			t.Errorf("%v: %d left out in %s", args, n, out)
		}
	}
}

// TestLinksOfTrees: in both directions, --links copy makes links that stay inside the tree, and
// --links follow transfers their targets.
func TestLinksOfTrees(t *testing.T) {
	root := t.TempDir()
	s, dir := diskServer(t, root), t.TempDir()
	for _, in := range []string{root + "/tree", dir + "/tree"} {
		write(t, afero.NewOsFs(), in+"/d/f", "text", time.Now())
		for name, target := range map[string]string{"in": "d/f", "dir": "d", "d/up": "../.."} {
			testlink.Make(t, target, in+"/"+name)
		}
	}
	for _, args := range [][]string{
		{"get", "-r", "--links", "copy", s.URL + "/tree", dir + "/got"},
		{"put", "-r", "--links", "copy", dir + "/tree", s.URL + "/put"},
	} {
		for range 2 {
			code, _, errs := try(t, args...)
			if code != 0 || !strings.Contains(errs, "d/up: left out: it is a link that may point outside the tree\n") {
				t.Errorf("%v: exit %d, %s", args, code, errs)
			}
		}
	}
	for _, in := range []string{dir + "/got", root + "/put"} {
		for name, want := range map[string]string{"in": "d/f", "dir": "d"} {
			if target, err := os.Readlink(in + "/" + name); err != nil || target != want {
				t.Errorf("%s: %q, %v", name, target, err)
			}
		}
	}
	for _, args := range [][]string{
		{"get", "-r", "--links", "follow", s.URL + "/tree", dir + "/got2"},
		{"put", "-r", "--links", "follow", dir + "/tree", s.URL + "/put2"},
	} {
		if code, _, errs := try(t, args...); code == 0 || !strings.Contains(errs, "points to a directory that contains it") {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
	for _, in := range []string{dir + "/got2", root + "/put2"} {
		for _, name := range []string{"/in", "/dir/f"} {
			if info, err := os.Lstat(in + name); err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
	}
}

// TestTransferJSON: --json prints a line for each result and failure, and a summary at the end.
func TestTransferJSON(t *testing.T) {
	s, dir := ftptest.NewServer(t, nil), t.TempDir()
	write(t, s.FS, "/tree/a", "text", time.Now())
	write(t, s.FS, "/tree/b\xff", "text", time.Now())
	type row struct {
		Verb, URL, Local, From, Error, Kind, Reply string
		Raw                                        []byte
		Done, Failed, Files, Exit                  int
	}
	for _, tt := range []struct {
		args []string
		exit int
	}{
		{[]string{"get", "-r", "--json", s.URL + "/tree", s.URL + "/none", dir + "/"}, verb.ExitRefused},
		{[]string{"put", "-r", "--json", dir + "/tree", dir + "/none", s.URL + "/put/"}, verb.ExitLocal},
		{[]string{"copy", "-r", "--via-client", "--json", s.URL + "/tree", s.URL + "/copied"}, 0},
	} {
		code, out, _ := try(t, tt.args...)
		var all []row
		for line := range strings.Lines(out) {
			var r row
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			all = append(all, r)
		}
		failed := 0
		if tt.exit != 0 {
			failed = 1
		}
		if code != tt.exit || len(all) != 3+failed {
			t.Fatalf("exit %d, %s", code, out)
		}
		sum := all[len(all)-1]
		if sum.Verb != tt.args[0] || sum.Done != 2 || sum.Files != 2 || sum.Failed != failed || sum.Exit != tt.exit {
			t.Errorf("%+v", sum)
		}
		raw := slices.IndexFunc(all, func(r row) bool { return strings.HasSuffix(string(r.Raw), "b\xff") })
		if bad := slices.IndexFunc(all, func(r row) bool { return r.Error != "" }); raw < 0 || bad >= 0 != (failed > 0) {
			t.Errorf("%s", out)
		} else if failed > 0 && (all[bad].Exit != tt.exit || all[bad].Kind == "" || tt.exit == verb.ExitRefused && all[bad].Reply == "") {
			t.Errorf("%+v", all[bad])
		}
	}
}

// TestMirrorNamesTheSide: an error of mirror names the side that failed.
func TestMirrorNamesTheSide(t *testing.T) {
	s, dir := ftptest.NewServer(t, nil), t.TempDir()
	if os.Geteuid() == 0 {
		write(t, afero.NewOsFs(), dir+"/up/f", "text", time.Now())
		testlink.Make(t, "f/x", dir+"/up/g")
		code, _, errs := try(t, "mirror", "--links", "follow", dir+"/up", s.URL+"/up")
		if code != verb.ExitLocal || !strings.Contains(errs, "miniftp: "+dir+"/up/g: ") {
			t.Errorf("exit %d, %s", code, errs)
		}
	}
	write(t, s.FS, "/down/f/g", "text", time.Now())
	write(t, afero.NewOsFs(), dir+"/down/f", "in the way", time.Now())
	code, _, errs := try(t, "mirror", "--max-delete", "0", s.URL+"/down", dir+"/down")
	if code == 0 || !strings.Contains(errs, "miniftp: "+dir+"/down/f: ") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// diskServer returns a server of a directory on disk.
func diskServer(t *testing.T, root string) *ftptest.Server {
	t.Helper()
	files, err := fsroot.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return ftptest.NewServer(t, files)
}

// TestPutTimesFail: a file counts as sent even if the connection breaks before its time is set. If
// the server supports no command for times, put tries only for the first file.
func TestPutTimesFail(t *testing.T) {
	s, dir := ftptest.NewServer(t, nil), t.TempDir()
	for _, name := range []string{"/a", "/b", "/c"} {
		write(t, afero.NewOsFs(), dir+"/tree"+name, "text", time.Now())
	}
	s.Fail("MFMT", ftptest.HangUp())
	if code, _, errs := try(t, "put", "--retries", "0", dir+"/tree/a", s.URL+"/x"); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	for _, verb := range []string{"MFMT", "MDTM", "SITE"} {
		s.Fail(verb, ftptest.Reply(502, "No."))
	}
	before := len(s.Commands())
	if code, _, errs := try(t, "put", "-r", "-j1", dir+"/tree", s.URL+"/y"); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	asked := 0
	for _, c := range s.Commands()[before:] {
		if c.Verb == "MFMT" {
			asked++
		}
	}
	if asked < 1 || asked > 2 { // once with SIZE, once among all the commands
		t.Errorf("MFMT was tried %d times", asked)
	}
}
