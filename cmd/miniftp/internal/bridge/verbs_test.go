package bridge_test

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/copy"
	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/mirror"
	"miniftp/cmd/miniftp/internal/shell"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/transfer"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/fsroot"
)

var verbs = []verb.Verb{
	transfer.Get, transfer.Put, mirror.Command, copy.Command, shell.Command,
	files.Ls, files.Cat, files.Stat, files.Rm, files.Mkdir, files.Mv, files.Hash,
}

// stores holds the storages of the scheme test, by name. Each stays as long as the test that made it.
var stores = map[string]afero.Fs{}

func TestMain(m *testing.M) {
	open := func(context.Context, string, storage.Use) (afero.Fs, io.Closer, error) {
		return stores["only"], io.NopCloser(nil), nil
	}
	storage.Schemes = append(storage.Schemes, storage.Scheme{Name: "test", Form: "test://PATH", Help: "for tests", Writable: true, Lasts: true, Open: open})
	os.Exit(m.Run())
}

// world is an empty storage and an empty current directory.
type world struct {
	*testing.T
	store afero.Fs
}

func newWorld(t *testing.T) *world {
	t.Chdir(t.TempDir())
	t.Setenv("HOME", t.TempDir())
	w := &world{t, fsroot.NewMem()}
	stores["only"] = w.store
	return w
}

// run runs a verb, which must end with the given exit code, and returns standard output and standard error.
func (w *world) run(code int, args ...string) (out, errs string) {
	w.Helper()
	got, out, errs := verbtest.Run(w.T, verbs, args...)
	if got != code {
		w.Fatalf("%q: exit %d, want %d\n%s%s", args, got, code, out, errs)
	}
	if strings.Contains(out+errs, "127.0.0.1") {
		w.Errorf("%q shows the bridge:\n%s%s", args, out, errs)
	}
	w.Logf("%q\n%s%s", args, out, errs)
	return out, errs
}

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		w.Error(err)
	}
	return string(b)
}

// TestVerbs runs the verbs over a storage.
func TestVerbs(t *testing.T) {
	w := newWorld(t)
	w.write("f", "one")
	w.write("tree/a", "aaa")
	w.write("tree/sub/b c*", "bbb")

	w.run(0, "mkdir", "-p", "test://dir/deep")
	w.run(0, "put", "f", "test://dir/")
	if out, _ := w.run(0, "ls", "test://dir"); out != "deep/\nf\n" {
		t.Errorf("ls: %q", out)
	}
	if out, _ := w.run(0, "cat", "test://dir/f"); out != "one" {
		t.Errorf("cat: %q", out)
	}
	w.run(0, "stat", "test://dir/f")
	w.run(0, "hash", "test://dir/f")
	w.run(0, "mv", "test://dir/f", "test://dir/g")
	_, errs := w.run(5, "get", "test://dir/f", "there")
	if !strings.Contains(errs, "miniftp: test://dir/f: no such file or directory\n") {
		t.Errorf("get: %q", errs)
	}
	w.run(0, "get", "test://dir/g", "there")
	if w.read("there") != "one" {
		t.Error("get: wrong content")
	}
	for _, args := range [][]string{{"mirror", "tree", "test://copy"}, {"mirror", "test://copy", "back"}} {
		if _, errs := w.run(0, args...); !strings.Contains(errs, "2 files copied") {
			t.Errorf("%q: %s", args, errs)
		}
		if _, errs := w.run(0, args...); !strings.Contains(errs, "nothing copied") {
			t.Errorf("%q again: %s", args, errs)
		}
	}
	if w.read("back/sub/b c*") != "bbb" {
		t.Error("mirror: wrong content")
	}
	out, _ := w.run(0, "ls", "--json", "-R", "test://copy")
	if !strings.Contains(out, `"sub/b c*"`) {
		t.Errorf("ls --json: %s", out)
	}
	out, _ = w.run(0, "get", "--json", "test://copy/sub/b*", ".")
	if w.read("b c*") != "bbb" || !strings.Contains(out, `"url": "test://copy/sub/b%20c%2A"`) {
		t.Errorf("get of a pattern: %s", out)
	}
	w.run(0, "rm", "-r", "test://copy")
	w.run(5, "ls", "test://copy")
}

// TestShell runs lines of the shell over a storage.
func TestShell(t *testing.T) {
	w := newWorld(t)
	w.write("f", "one")
	out, errs := w.run(2, "shell", "-k", "-c", "mkdir dir; cd dir; pwd; put f h; ls; cat h; mv h k; ls; rm k; get k; user u p; active on", "test://")
	if out != "/dir\nh\none"+"k\n" {
		t.Errorf("%q", out)
	}
	for _, want := range []string{"get: /dir/k: no such file or directory\n", "user: a storage has no users", "active: active mode is for servers"} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in:\n%s", want, errs)
		}
	}
	if _, errs = w.run(2, "shell", "-c", "open mem://"); !strings.Contains(errs, "lost") {
		t.Errorf("open mem://: %s", errs)
	}
}

// TestCopyToServer copies between a server and a storage, in both directions.
func TestCopyToServer(t *testing.T) {
	w := newWorld(t)
	s := verbtest.WithFile(t, []byte("from the server"))
	w.run(0, "copy", s.URL+"/a.bin", "test://x")
	w.run(0, "copy", "test://x", s.URL+"/b.bin")
	if got := verbtest.ReadFile(t, s.FS, "/b.bin"); string(got) != "from the server" {
		t.Errorf("%q", got)
	}
	w.run(0, "mirror", s.URL+"/", "test://m")
	w.run(0, "cat", "test://m/a.bin")
}

// TestServerFlags: flags that have a meaning only for servers are refused, unless there is one.
func TestServerFlags(t *testing.T) {
	w := newWorld(t)
	for _, flag := range []string{"--user=u", "--tls", "--active", "--proxy=socks5://h", "--insecure"} {
		if _, errs := w.run(2, "ls", flag, "test://"); !strings.Contains(errs, "is for servers") {
			t.Errorf("%s: %s", flag, errs)
		}
	}
	w.run(0, "ls", "--passive", "--proxy=none", "test://")
}

// TestArchive reads a zip archive, which can't be changed.
func TestArchive(t *testing.T) {
	w := newWorld(t)
	f, err := os.Create("backup.zip")
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range map[string]string{"readme.txt": "read me\n", "dir/one": "1", "dir/two": "22"} {
		file, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)})
		if err == nil {
			_, err = io.WriteString(file, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if out, _ := w.run(0, "ls", "zip:backup.zip"); out != "dir/\nreadme.txt\n" {
		t.Errorf("ls: %q", out)
	}
	if out, _ := w.run(0, "cat", "zip:backup.zip!/readme.txt"); out != "read me\n" {
		t.Errorf("cat: %q", out)
	}
	w.run(0, "get", "-r", "zip:backup.zip!/dir", "got")
	if w.read("got/two") != "22" {
		t.Error("get -r: wrong content")
	}
	w.run(0, "mirror", "zip:backup.zip", "all")
	if _, errs := w.run(0, "mirror", "zip:backup.zip", "all"); !strings.Contains(errs, "nothing copied; 3 files unchanged") {
		t.Errorf("mirror again: %s", errs)
	}
	w.run(0, "mirror", "zip:backup.zip!/dir", "test://from-zip")
	for _, args := range [][]string{{"put", "got/two", "zip:backup.zip!/new"}, {"rm", "zip:backup.zip!/dir/one"}} {
		if _, errs := w.run(5, args...); !strings.Contains(errs, "zip:backup.zip!/") || !strings.Contains(errs, "permission denied") {
			t.Errorf("%q: %s", args, errs)
		}
	}
	w.write("zip:odd", "local")
	w.run(0, "put", "./zip:odd", "test://odd")
	if _, errs := w.run(8, "ls", "zip:none.zip"); !strings.Contains(errs, "zip:none.zip: no such file or directory\n") {
		t.Errorf("no archive: %s", errs)
	}
	w.write("bad.zip", "this is no archive")
	w.run(8, "ls", "zip:bad.zip")
}

// TestManySmall transfers many small files over several connections. Clients close data connections before the server
// accepts them, and the system uses a port for several connections; each of them must be known as the bridge's own.
func TestManySmall(t *testing.T) {
	w := newWorld(t)
	for i := range 400 {
		w.write(fmt.Sprintf("many/f%d", i), "x")
	}
	for _, args := range [][]string{{"many", "test://many"}, {"test://many", "back"}} {
		_, errs := w.run(0, append([]string{"mirror", "-j", "8", "--mode", "stream", "--retries", "0"}, args...)...)
		if !strings.HasPrefix(errs, "400 files copied") {
			t.Errorf("%q: %s", args, errs)
		}
	}
}
