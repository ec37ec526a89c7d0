package transfer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
	"miniftp/internal/testlink"
)

// TestParallel: trees use several connections in both directions, and fewer if the server limits
// them.
func TestParallel(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	for name, tt := range map[string]struct {
		options []ftptest.Option
		least   int
		most    int
	}{
		"four":               {nil, 2, 4},
		"the server has two": {[]ftptest.Option{ftptest.WithOptions(func(o *server.Options) { o.MaxSessions = 2 })}, 2, 2},
		"the server has one": {[]ftptest.Option{ftptest.WithOptions(func(o *server.Options) { o.MaxSessionsPerIP = 1 })}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := ftptest.NewServer(t, nil, tt.options...)
			want := verbtest.Forest(t, s.FS, "/tree", 60)
			dir := t.TempDir()
			if code, _, errs := try(t, "get", "-r", s.URL+"/tree", dir+"/copy"); code != 0 || errs != "" {
				t.Errorf("get: exit %d, %s", code, errs)
			}
			verbtest.HoldsAll(t, afero.NewOsFs(), dir+"/copy", want)
			if n := verbtest.Logins(s); n < tt.least || n > tt.most {
				t.Errorf("get: %d logins", n)
			}
			verbtest.AwaitLeft(t, s)
			if code, _, errs := try(t, "put", "-r", dir+"/copy", s.URL+"/back"); code != 0 || errs != "" {
				t.Errorf("put: exit %d, %s", code, errs)
			}
			verbtest.HoldsAll(t, s.FS, "/back", want)
			verbtest.AwaitLeft(t, s)
			before := verbtest.Logins(s)
			if code, _, errs := try(t, "mirror", "-q", "--mode", "stream", s.URL+"/tree", dir+"/mirrored"); code != 0 || errs != "" {
				t.Errorf("mirror: exit %d, %s", code, errs)
			}
			verbtest.HoldsAll(t, afero.NewOsFs(), dir+"/mirrored", want)
			if n := verbtest.Logins(s) - before; n < tt.least || n > tt.most {
				t.Errorf("mirror: %d logins", n)
			}
			verbtest.AwaitLeft(t, s)
			args := []string{"rm", "-j", "4"}
			for name := range want {
				args = append(args, s.URL+"/back/"+name)
			}
			if code, _, errs := try(t, args...); code != 0 || errs != "" {
				t.Errorf("rm: exit %d, %s", code, errs)
			}
			for name := range want {
				if ok, _ := afero.Exists(s.FS, "/back/"+name); ok {
					t.Errorf("%s is still there", name)
				}
			}
		})
	}
}

// TestParallelSmall: -j1 uses one connection, and so does a tree with one file.
func TestParallelSmall(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	s := ftptest.NewServer(t, nil)
	want := verbtest.Forest(t, s.FS, "/tree", 40)
	one := verbtest.Forest(t, s.FS, "/one", 1)
	for _, args := range [][]string{
		{"get", "-r", "-j1", s.URL + "/tree", "TO"},
		{"mirror", "-q", "-j1", "--mode", "stream", s.URL + "/tree", "TO"},
		{"get", "-r", s.URL + "/one", "TO"},
		{"mirror", "-q", s.URL + "/one", "TO"},
		{"get", s.URL + "/tree/d*/e*/f*", "TO"},
	} {
		dir := filepath.Join(t.TempDir(), "to")
		args[len(args)-1] = dir
		if strings.Contains(args[len(args)-2], "*") {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		before := verbtest.Logins(s)
		if code, _, errs := try(t, args...); code != 0 || errs != "" {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
		switch {
		case strings.HasSuffix(args[len(args)-2], "/one"):
			verbtest.HoldsAll(t, afero.NewOsFs(), dir, one)
		case !strings.Contains(args[len(args)-2], "*"):
			verbtest.HoldsAll(t, afero.NewOsFs(), dir, want)
		}
		if n := verbtest.Logins(s) - before; n != 1 {
			t.Errorf("%q: %d logins", args, n)
		}
	}
}

// TestParallelFailures: a file that fails does not stop the others. Each failure is reported, and
// --json lists every file once.
func TestParallelFailures(t *testing.T) {
	s := ftptest.NewServer(t, nil)
	verbtest.Forest(t, s.FS, "/tree", 20)
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/tree/d0/e0/f0/in the way", 0o700); err != nil {
		t.Fatal(err)
	}
	code, out, errs := try(t, "get", "-r", "-j", "3", "--json", s.URL+"/tree", s.URL+"/nope", dir+"/")
	if code != verb.ExitLocal && code != verb.ExitRefused || strings.Count(errs, "\n") != 2 || !strings.Contains(errs, "/nope") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if n := strings.Count(out, `"url"`); n != 21 {
		t.Errorf("%d files in\n%s", n, out)
	}
}

// TestSameNameTwice: like cp, a run does not replace one of its files by another.
func TestSameNameTwice(t *testing.T) {
	s := ftptest.NewServer(t, nil)
	for _, dir := range []string{"/a", "/b"} {
		if err := s.FS.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := afero.WriteFile(s.FS, dir+"/f", []byte("of "+dir), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	code, _, errs := try(t, "get", s.URL+"/a/f", s.URL+"/b/f", dir)
	if b, _ := os.ReadFile(dir + "/f"); code != verb.ExitFailure || string(b) != "of /a" || !strings.Contains(errs, "/b/f: skipped: another file of this run was already written to ") {
		t.Errorf("exit %d, %q, %s", code, b, errs)
	}
	if err := os.MkdirAll(dir+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/x/f", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = try(t, "put", dir+"/f", dir+"/x/f", s.URL+"/c/")
	if code == 0 {
		t.Errorf("put: exit %d, %s", code, errs)
	}
}

// TestSegmentedGet: a large file that takes long is fetched in segments. -j4 means -j 4.
func TestSegmentedGet(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	data := verbtest.Pattern(40 << 20)
	s := verbtest.WithFile(t, data)
	dir := t.TempDir()
	if code, _, errs := try(t, "get", "-j4", "--rate", "7M", s.URL+"/a.bin", dir+"/a"); code != 0 || errs != "" {
		t.Errorf("exit %d, %s", code, errs)
	}
	if b, err := os.ReadFile(dir + "/a"); err != nil || string(b) != string(data) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	retrs := 0
	for _, c := range s.Commands() {
		if c.Verb == "RETR" {
			retrs++
		}
	}
	if n := verbtest.Logins(s); n < 2 || retrs < 2 {
		t.Errorf("%d logins, %d RETR", n, retrs)
	}
	if code, _, errs := try(t, "get", "-j4", s.URL+"/nope", dir+"/b"); code != verb.ExitRefused || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, errs := try(t, "get", "-j4", "--retries", "0", "ftp://127.0.0.1:1/a", dir+"/b"); code != verb.ExitConnect || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// TestPartIsNoLink: a link with the name of a partial download is not written through.
func TestPartIsNoLink(t *testing.T) {
	data := verbtest.Pattern(10 << 20)
	s := verbtest.WithFile(t, data)
	for _, j := range []string{"1", "3"} {
		for _, c := range []string{"-c", "-q"} {
			dir := t.TempDir()
			victim := filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{".a.part", ".a.segments.part"} {
				testlink.Make(t, "victim", filepath.Join(dir, name))
			}
			if code, _, errs := try(t, "get", "-j", j, c, s.URL+"/a.bin", dir+"/a"); code != 0 {
				t.Errorf("-j %s %s: exit %d, %s", j, c, code, errs)
			}
			if b, _ := os.ReadFile(victim); string(b) != "precious" {
				t.Errorf("-j %s %s: the file was written through the link", j, c)
			}
			if info, err := os.Lstat(dir + "/a"); err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(data)) {
				t.Errorf("-j %s %s: %v, %v", j, c, info, err)
			}
		}
	}
}

// TestExplainSegments: a segment that ends where the next one begins is not drawn as a failure.
func TestExplainSegments(t *testing.T) {
	verbtest.Long(t)
	s := verbtest.WithFile(t, verbtest.Pattern(40<<20))
	t.Setenv("LC_ALL", "C.UTF-8")
	code, _, errs := try(t, "get", "--explain", "-j", "3", "--rate", "5M", s.URL+"/a.bin", t.TempDir()+"/a")
	// Where the buffers of the sockets are large enough for the rest of the file, the server has sent it before the client
	// closes the connection, and answers 226 as for a whole file: then no reply shows that it was a segment.
	if code != 0 || strings.Contains(errs, "✗") || !strings.Contains(errs, "a segment") && strings.Count(errs, "RETR a.bin") < 2 {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
