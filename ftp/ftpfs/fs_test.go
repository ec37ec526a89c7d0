package ftpfs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// remoteFs returns the tree of a test server, and the file system that it serves.
func remoteFs(t *testing.T, options ...ftptest.Option) (*ftpfs.Fs, afero.Fs) {
	t.Helper()
	files := fsroot.NewMem()
	srv := ftptest.NewServer(t, files, options...)
	p := client.NewPool(srv.Addr, 3, nil)
	t.Cleanup(func() { _ = p.Close() })
	f, err := ftpfs.New(context.Background(), p, "")
	if err != nil {
		t.Fatal(err)
	}
	return f, files
}

func put(t *testing.T, fsys afero.Fs, name, content string) {
	t.Helper()
	if err := afero.WriteFile(fsys, name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The tree of a server passes the tests of testing/fstest.
func TestFsIsAFileSystem(t *testing.T) {
	t.Parallel()
	f, files := remoteFs(t)
	_ = files.MkdirAll("/d/deep", 0o755)
	put(t, files, "/a.txt", "one")
	put(t, files, "/d/b.txt", strings.Repeat("two", 1000))
	put(t, files, "/d/deep/empty", "")
	put(t, files, "/two words", "x")
	if err := fstest.TestFS(afero.NewIOFS(f), "a.txt", "d/b.txt", "d/deep/empty", "two words"); err != nil {
		t.Error(err)
	}
}

// A file can be read at any offset, in any order. The connections are given back.
func TestFsReads(t *testing.T) {
	f, files := remoteFs(t)
	body := testutil.Noise(300_000)
	put(t, files, "/f", string(body))
	for range 5 { // more often than there are connections
		r, err := f.Open("/f")
		if err != nil {
			t.Fatal(err)
		}
		part := make([]byte, 1000)
		for _, at := range []int64{0, 250_000, 10, 299_000} {
			if n, err := r.ReadAt(part, at); n != 1000 || err != nil || !bytes.Equal(part, body[at:at+1000]) {
				t.Errorf("ReadAt %d: %d bytes, %v", at, n, err)
			}
		}
		if _, err := r.Seek(-5, io.SeekEnd); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(r); err != nil || !bytes.Equal(rest, body[299_995:]) {
			t.Errorf("the end: %d bytes, %v", len(rest), err)
		}
		if n, err := r.ReadAt(part, 299_500); n != 500 || !errors.Is(err, io.EOF) {
			t.Errorf("beyond the end: %d bytes, %v", n, err)
		}
		if _, err := r.Write(part); err == nil {
			t.Error("a file opened for reading accepted a Write")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// ReadAt satisfies io.ReaderAt: it does not change the position, and several goroutines may call it at once.
func TestFsReadAtLeavesThePosition(t *testing.T) {
	f, files := remoteFs(t)
	body := testutil.Noise(100_000)
	put(t, files, "/f", string(body))
	r, err := f.Open("/f")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head, rest := make([]byte, 1000), make([]byte, 1000)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for at := int64(0); at < 100_000; at += 20_000 {
		all.Go(func() {
			part := make([]byte, 500)
			if n, err := r.ReadAt(part, at); n != 500 || err != nil || !bytes.Equal(part, body[at:at+500]) {
				t.Errorf("ReadAt %d: %d bytes, %v", at, n, err)
			}
		})
	}
	all.Wait()
	if _, err := io.ReadFull(r, rest); err != nil || !bytes.Equal(rest, body[1000:2000]) {
		t.Errorf("Read continues at the wrong position: %v", err)
	}
	if n, err := r.ReadAt(head, -1); n != 0 || err == nil {
		t.Errorf("a negative offset: %d, %v", n, err)
	}
}

// A written file is complete when Close has returned nil.
func TestFsWrites(t *testing.T) {
	f, files := remoteFs(t)
	put(t, f, "/f", "first")
	for _, x := range []struct {
		flag    int
		content string
		want    string
	}{
		{os.O_WRONLY | os.O_CREATE | os.O_TRUNC, "second", "second"},
		{os.O_WRONLY | os.O_APPEND, " and more", "second and more"},
		{os.O_WRONLY | os.O_CREATE | os.O_TRUNC, "", ""},
		{os.O_WRONLY | os.O_CREATE, "third", "third"},
	} {
		w, err := f.OpenFile("/f", x.flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		if x.content != "" {
			if _, err := w.WriteString(x.content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, _ := afero.ReadFile(files, "/f"); string(got) != x.want {
			t.Errorf("there is %q, want %q", got, x.want)
		}
	}
	w, err := f.OpenFile("/f", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seek(3, io.SeekStart); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("RD")); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got, _ := afero.ReadFile(files, "/f"); string(got) != "thiRD" {
		t.Errorf("there is %q", got)
	}
	if _, err := f.OpenFile("/f", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0); !os.IsExist(err) {
		t.Errorf("O_EXCL over a file: %v", err)
	}
	if _, err := f.OpenFile("/f", os.O_RDWR, 0); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("O_RDWR: %v", err)
	}
}

// Directories, names and times, and errors of package fs.
func TestFsTree(t *testing.T) {
	f, files := remoteFs(t)
	if err := f.MkdirAll("/a/b/c", 0o755); err != nil {
		t.Error(err)
	}
	put(t, f, "/a/b/f", "x")
	when := time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC)
	if err := f.Chtimes("/a/b/f", when, when); err != nil {
		t.Error(err)
	}
	if err := f.Rename("/a/b/f", "/a/g"); err != nil {
		t.Error(err)
	}
	if fi, err := f.Stat("/a/g"); err != nil || !fi.ModTime().Equal(when) || fi.Size() != 1 || fi.Mode().IsDir() {
		t.Errorf("Stat: %+v, %v", fi, err)
	}
	d, err := f.Open("/a")
	if err != nil {
		t.Fatal(err)
	}
	if names, err := d.Readdirnames(-1); err != nil || !slices.Equal(names, []string{"b", "g"}) {
		t.Errorf("the names are %q, %v", names, err)
	}
	_ = d.Close()
	for name, err := range map[string]error{
		"Stat": second(f.Stat("/nope")), "Open": second(f.Open("/nope/x")), "Remove": f.Remove("/nope"), "Rename": f.Rename("/nope", "/x"),
	} {
		if !os.IsNotExist(err) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	if ok, err := afero.Exists(f, "/nope"); ok || err != nil {
		t.Errorf("Exists: %v, %v", ok, err)
	}
	if err := f.Remove("/a"); err == nil {
		t.Error("a directory that is not empty was removed")
	}
	if err := f.Remove("/a/g"); err != nil {
		t.Error(err)
	}
	if err := f.RemoveAll("/a"); err != nil {
		t.Error(err)
	}
	if err := f.RemoveAll("/a"); err != nil {
		t.Errorf("RemoveAll of nothing: %v", err)
	}
	if left, _ := afero.ReadDir(files, "/"); len(left) > 0 {
		t.Errorf("there is %v", left)
	}
	if _, err := f.Stat("/../../etc"); !os.IsNotExist(err) {
		t.Errorf("above the root: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A root restricts the tree, and ".." can't lead out of it.
func TestFsRoot(t *testing.T) {
	_, files := remoteFs(t)
	_ = files.MkdirAll("/pub/in", 0o755)
	put(t, files, "/secret", "no")
	put(t, files, "/pub/in/f", "yes")
	srv := ftptest.NewServer(t, files)
	p := client.NewPool(srv.Addr, 2, nil)
	defer p.Close()
	for _, root := range []string{"/pub", "pub"} {
		f, err := ftpfs.New(t.Context(), p, root)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := afero.ReadFile(f, "in/f"); string(b) != "yes" || err != nil {
			t.Errorf("%s: %q, %v", root, b, err)
		}
		if _, err := f.Stat("../secret"); !os.IsNotExist(err) {
			t.Errorf("%s: it leads out: %v", root, err)
		}
	}
}

// A server can serve the tree of another one, to add TLS for example. An upload through it is whole under its name,
// or does not appear.
func TestServeAnotherServer(t *testing.T) {
	f, files := remoteFs(t)
	put(t, files, "/old", "what was there")
	front := ftptest.NewServer(t, f, ftptest.WithTLS(), ftptest.WithOptions(func(o *server.Options) { o.TLSRequired = true }))
	c, err := client.Dial(t.Context(), front.Addr, &client.Options{TLS: client.ExplicitTLS, TLSConfig: trusting(front)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := testutil.Noise(200_000)
	for _, name := range []string{"new", "old"} {
		if _, err := c.Store(t.Context(), name, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		if got, _ := afero.ReadFile(files, "/"+name); !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes arrived at the other server", name, len(got))
		}
		var back bytes.Buffer
		if _, err := c.Retrieve(t.Context(), name, &back); err != nil || !bytes.Equal(back.Bytes(), body) {
			t.Errorf("%s: %d bytes came back, %v", name, back.Len(), err)
		}
	}
	var names []string
	for e, err := range c.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
		names = append(names, e.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"new", "old"}) {
		t.Errorf("the names are %q", names)
	}
	if _, err := c.Retrieve(t.Context(), "nope", io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if err := c.Delete(t.Context(), "old"); err != nil {
		t.Error(err)
	}
}

func trusting(s *ftptest.Server) *tls.Config { return &tls.Config{RootCAs: s.CAs} }

// Readdir returns the entries of a directory in parts, in order.
func TestReaddirParts(t *testing.T) {
	tree, files := remoteFs(t)
	if err := files.Mkdir("/d", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"c", "a", "e", "b", "d"} {
		put(t, files, "/d/"+name, "x")
	}
	d, err := tree.Open("/d")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for err == nil {
		var some []string
		some, err = d.Readdirnames(2)
		got = append(got, some...)
	}
	if !errors.Is(err, io.EOF) || !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("%q, %v", got, err)
	}
	if rest, err := d.Readdirnames(-1); err != nil || len(rest) != 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
