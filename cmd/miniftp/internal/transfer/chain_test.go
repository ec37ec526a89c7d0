package transfer

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/ftptest"
)

// dataConnections returns the number of data connections that a server has had.
func dataConnections(s *ftptest.Server) (n int) {
	for _, e := range s.Events() {
		if _, ok := e.What.(ftp.DataOpened); ok {
			n++
		}
	}
	return n
}

// TestManySmallFiles: many small files share few data connections, whether they are named by a
// tree, a pattern or one by one. With another mode each has its own.
func TestManySmallFiles(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	const files, few = 300, 60
	for name, flags := range map[string][]string{
		"passive": nil, "active": {"--active", "--timeout", "10m"}, "four at once": {"-j", "4"}, "block": {"--mode", "block"}, "stream": {"--mode", "stream"}, "explained": {"--explain"},
	} {
		t.Run(name, func(t *testing.T) {
			s := ftptest.NewServer(t, nil)
			want := verbtest.Forest(t, s.FS, "/tree", files)
			old := time.Date(2020, 2, 2, 2, 2, 2, 0, time.UTC)
			if err := s.FS.Chtimes("/tree/d0/e0/f0", old, old); err != nil { // an empty file
				t.Fatal(err)
			}
			dir := t.TempDir()
			with := func(verb string, args ...string) {
				t.Helper()
				before, began := dataConnections(s), time.Now()
				if code, _, errs := try(t, append(append([]string{verb}, flags...), args...)...); code != 0 || (errs != "") != (name == "explained") {
					t.Errorf("%s: exit %d, %s", verb, code, errs)
				}
				if time.Since(began) > 5*time.Minute { // --timeout
					t.Error("it waited until the timeout")
				}
				alone := name == "stream" || name == "explained"
				if n := dataConnections(s) - before; alone && n < 20 || !alone && n > few {
					t.Errorf("%s %q: %d data connections", verb, args, n)
				}
			}
			with("get", "-r", s.URL+"/tree", dir+"/copy")
			verbtest.HoldsAll(t, afero.NewOsFs(), dir+"/copy", want)
			if info, err := os.Stat(dir + "/copy/d0/e0/f0"); err != nil || !info.ModTime().Equal(old) {
				t.Errorf("%v, %v", info, err)
			}
			with("put", "-r", dir+"/copy", s.URL+"/back")
			verbtest.HoldsAll(t, s.FS, "/back", want)
			if name == "four at once" {
				return
			}
			flat, there := map[string]string{}, []string{}
			for i := range 20 {
				f := fmt.Sprintf("d%d/e%d/f%d", 0, 0, 15*i)
				flat[filepath.Base(f)] = want[f]
				there = append(there, dir+"/copy/"+f)
			}
			if err := os.Mkdir(dir+"/flat", 0o700); err != nil {
				t.Fatal(err)
			}
			with("get", s.URL+"/tree/d0/e0/f*", dir+"/flat")
			verbtest.HoldsAll(t, afero.NewOsFs(), dir+"/flat", flat)
			if err := s.FS.Mkdir("/flat", 0o755); err != nil {
				t.Fatal(err)
			}
			with("put", append(there, s.URL+"/flat/")...)
			verbtest.HoldsAll(t, s.FS, "/flat", flat)
		})
	}
}

// hooked calls open for each file that is opened; an error of open makes Open fail.
type hooked struct {
	afero.Fs
	open func(name string) error
}

func (h hooked) Open(name string) (afero.File, error) {
	if err := h.open(name); err != nil {
		return nil, err
	}
	return h.Fs.Open(name)
}

// TestOneOfManyFails: a file that can't be read does not affect the others.
func TestOneOfManyFails(t *testing.T) {
	t.Parallel()
	shut := hooked{fsroot.NewMem(), func(name string) error {
		if strings.HasSuffix(name, "f55") {
			return &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}
		return nil
	}}
	s := ftptest.NewServer(t, shut)
	want := verbtest.Forest(t, shut.Fs, "/tree", 100)
	dir := t.TempDir()
	code, out, errs := try(t, "get", "-r", "--json", s.URL+"/tree", dir+"/copy")
	if code != verb.ExitRefused || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "/f55: the server says 550 ") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if n := strings.Count(out, `"url"`); n != 100 {
		t.Errorf("%d results", n)
	}
	delete(want, "d1/e0/f55")
	verbtest.HoldsAll(t, afero.NewOsFs(), dir+"/copy", want)
	if err := s.FS.MkdirAll("/back/d2/e3/f8", 0o755); err != nil { // in the place of a file
		t.Fatal(err)
	}
	want["d1/e0/f55"] = "new"
	if err := os.WriteFile(dir+"/copy/d1/e0/f55", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = try(t, "put", "-r", dir+"/copy/.", s.URL+"/back")
	if code != verb.ExitRefused || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "/f8: the server says 550 ") {
		t.Errorf("exit %d, %s", code, errs)
	}
	delete(want, "d2/e3/f8")
	delete(want, "d1/e0/f55") // the server refuses to open it
	verbtest.HoldsAll(t, shut.Fs, "/back", want)
}

// TestServerGoesAmongMany: if the server hangs up during many transfers, that is reported once, and
// the files fetched so far are complete. With retries all files are fetched after the server
// recovers.
func TestServerGoesAmongMany(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		var s *ftptest.Server
		var opened atomic.Int32
		site := hooked{fsroot.NewMem(), func(string) error {
			if opened.Add(1) == 60 {
				s.Fail("RETR", ftptest.HangUp())
			}
			return nil
		}}
		s = ftptest.NewServer(t, site)
		want := verbtest.Forest(t, site.Fs, "/tree", 400)
		dir := t.TempDir()
		retries := "0"
		if again {
			retries = "5"
		}
		var errs bytes.Buffer
		code := flags.RunWith(t.Context(), verbs, []string{"miniftp", "get", "-r", "--retries", retries, s.URL + "/tree", dir},
			verb.Stdio{In: strings.NewReader(""), Out: io.Discard, Err: &errs}, func(int) time.Duration { s.Heal(); return 0 })
		switch {
		case again && code != verb.ExitOK:
			t.Errorf("exit %d, %s", code, &errs)
		case again:
			verbtest.HoldsAll(t, afero.NewOsFs(), dir+"/tree", want)
		case code != verb.ExitConnect || strings.Count(errs.String(), "\n") != 1:
			t.Errorf("exit %d, %s", code, &errs)
		}
		_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, ".part") {
				return err
			}
			rel, _ := filepath.Rel(dir+"/tree", name)
			if b, err := os.ReadFile(name); err != nil || string(b) != want[filepath.ToSlash(rel)] {
				t.Errorf("%s: %d bytes, %v", rel, len(b), err)
			}
			return nil
		})
	}
}
