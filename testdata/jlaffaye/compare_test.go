// Package jlaffaye compares ftp/client with github.com/jlaffaye/ftp, the library that
// most Go programs use today: the same tasks, against the same server.
//
//	cd testdata/jlaffaye && go test -v            what each makes of a server that errs
//	cd testdata/jlaffaye && go test -bench .      how fast each is
package jlaffaye

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	jl "github.com/jlaffaye/ftp"
	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// library does the tasks with one of the two.
type library struct {
	name string
	dial func(tb testing.TB, addr string) session
}

type session interface {
	get(name string, w io.Writer) error
	put(name string, r io.Reader) error
	list(dir string) (int, error)
	quit()
}

var libraries = []library{
	{"miniftp", func(tb testing.TB, addr string) session {
		c, err := client.Dial(tb.Context(), addr, &client.Options{Timeout: 5 * time.Second})
		if err != nil {
			tb.Fatal(err)
		}
		return ours{c}
	}},
	{"jlaffaye", func(tb testing.TB, addr string) session {
		c, err := jl.Dial(addr, jl.DialWithTimeout(5*time.Second), jl.DialWithShutTimeout(5*time.Second))
		if err == nil {
			err = c.Login("anonymous", "anonymous@")
		}
		if err != nil {
			tb.Fatal(err)
		}
		return theirs{c}
	}},
}

type ours struct{ c *client.Client }

func (o ours) get(name string, w io.Writer) error {
	_, err := o.c.Retrieve(context.Background(), name, w)
	return err
}

func (o ours) put(name string, r io.Reader) error {
	_, err := o.c.Store(context.Background(), name, r)
	return err
}

func (o ours) list(dir string) (n int, err error) {
	for _, e := range o.c.List(context.Background(), dir) {
		if e != nil {
			return n, e
		}
		n++
	}
	return n, nil
}

func (o ours) quit() { _ = o.c.Close() }

type theirs struct{ c *jl.ServerConn }

func (t theirs) get(name string, w io.Writer) error {
	r, err := t.c.Retr(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

func (t theirs) put(name string, r io.Reader) error { return t.c.Stor(name, r) }

func (t theirs) list(dir string) (int, error) {
	all, err := t.c.List(dir)
	return len(all), err
}

func (t theirs) quit() { _ = t.c.Quit() }

// tree is a directory with files, and the filesystem of a server over it.
func tree(tb testing.TB, files map[string]int) (fsys afero.Fs, dir string) {
	tb.Helper()
	dir = tb.TempDir()
	for name, n := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(file, bytes.Repeat([]byte("0123456789abcdef"), n/16), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	fsys, closer, err := fsroot.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = closer.Close() })
	return fsys, dir
}

// serve starts a server over a tree, without the relay that makes faults, and returns
// its address.
func serve(tb testing.TB, files map[string]int) string {
	tb.Helper()
	fsys, _ := tree(tb, files)
	anyone := server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) {
		return &server.Account{FS: fsys, Perm: server.ReadWrite}, nil
	})
	srv, err := server.New(server.Options{Auth: anyone})
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	tb.Cleanup(func() { _ = srv.Close(); <-done })
	return l.Addr().String()
}

// TestFaults shows what each makes of a transfer that goes wrong. A file that is not
// whole and no error is the answer nobody should get.
func TestFaults(t *testing.T) {
	const size = 160_000
	for name, fault := range map[string]ftptest.Fault{
		"ended early, with a friendly 226": ftptest.ShortAfter(1000),
		"reset in the middle":              ftptest.CutAfter(1000),
		"no final reply":                   ftptest.LoseReply(),
		"stalled":                          ftptest.StallAfter(1000),
	} {
		for _, lib := range libraries {
			t.Run(name+"/"+lib.name, func(t *testing.T) {
				fsys, _ := tree(t, map[string]int{"f": size})
				s := ftptest.NewServer(t, fsys)
				c := lib.dial(t, s.Addr)
				defer c.quit()
				s.Fail("RETR", fault)
				var got bytes.Buffer
				ended := make(chan error, 1)
				go func() { ended <- c.get("/f", &got) }()
				select {
				case err := <-ended:
					t.Logf("%d of %d bytes, %v", got.Len(), size, err)
					if lib.name == "miniftp" && err == nil {
						t.Error("no error")
					}
				case <-time.After(20 * time.Second):
					t.Log("it still waits after 20 s")
					if lib.name == "miniftp" {
						t.Error("it hangs")
					}
				}
			})
		}
	}
}

// TestSame: both move the same bytes.
func TestSame(t *testing.T) {
	fsys, dir := tree(t, map[string]int{"f": 1 << 20})
	s := ftptest.NewServer(t, fsys)
	want := sum(t, filepath.Join(dir, "f"))
	for _, lib := range libraries {
		c := lib.dial(t, s.Addr)
		var got bytes.Buffer
		if err := c.get("/f", &got); err != nil || sha256.Sum256(got.Bytes()) != want {
			t.Errorf("%s: %d bytes, %v", lib.name, got.Len(), err)
		}
		if err := c.put("/up", &got); err != nil || sum(t, filepath.Join(dir, "up")) != want {
			t.Errorf("%s: put: %v", lib.name, err)
		}
		c.quit()
	}
}

func sum(tb testing.TB, file string) [32]byte {
	tb.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return sha256.Sum256(b)
}

func BenchmarkGet(b *testing.B) {
	large(b, func(s session, f *os.File) error { return s.get("/f", f) })
}
func BenchmarkPut(b *testing.B) {
	large(b, func(s session, f *os.File) error { return s.put("/up", f) })
}

// large moves 64 MiB between a file and the server.
func large(b *testing.B, move func(session, *os.File) error) {
	const size = 64 << 20
	for _, lib := range libraries {
		b.Run(lib.name, func(b *testing.B) {
			c := lib.dial(b, serve(b, map[string]int{"f": size}))
			defer c.quit()
			f, err := os.CreateTemp(b.TempDir(), "")
			if err == nil {
				err = f.Truncate(size)
			}
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					b.Fatal(err)
				}
				if err := move(c, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSmallFiles(b *testing.B) {
	for _, lib := range libraries {
		b.Run(lib.name, func(b *testing.B) {
			c := lib.dial(b, serve(b, map[string]int{"f": 1024}))
			defer c.quit()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.get("/f", io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	files := map[string]int{}
	for i := range 5000 {
		files[fmt.Sprintf("d/file-%d.txt", i)] = 16
	}
	for _, lib := range libraries {
		b.Run(lib.name, func(b *testing.B) {
			c := lib.dial(b, serve(b, files))
			defer c.quit()
			b.ReportAllocs()
			for b.Loop() {
				if n, err := c.list("/d"); n < len(files) || err != nil { // theirs counts . and .., too
					b.Fatal(n, err)
				}
			}
		})
	}
}
