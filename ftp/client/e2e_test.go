package client_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// oddNames are file names that may cause trouble in clients and servers.
var oddNames = []string{
	"plain.txt", "two words", " leading", "trailing ", `quo"te`, "#hash", "100%", "%2F", "[x]", "a;b=c", "-la", ".hidden",
	"back\\slash", "star*", "é", "e\u0301", "漢字", "😀", "tab\tname", "CON", "~", "$HOME", "a|b",
}

// serveHere runs our own server over fsys and returns its address.
func serveHere(t *testing.T, fsys afero.Fs, host string) string {
	t.Helper()
	srv, err := server.New(server.Options{
		Auth: server.Static{"u": {Password: "p", Account: server.Account{FS: fsys, Perm: server.ReadWrite}}},
		Log:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skip("no such address here:", err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

func TestAgainstOurServer(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "::1"} {
		for _, store := range []string{"memory", "disk"} {
			for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
				if testing.Short() && (host == "::1") != (store == "disk") {
					continue
				}
				t.Run(fmt.Sprint(host, "/", store, "/", mode), func(t *testing.T) {
					t.Parallel()
					fsys := fsroot.NewMem()
					if store == "disk" {
						root, err := fsroot.OpenRoot(t.TempDir())
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { _ = root.Close() })
						fsys = root
					}
					p := peer{addr: serveHere(t, fsys, host), user: "u", password: "p", mode: mode, all: true}
					p.exercise(t)
				})
			}
		}
	}
}

// peer is a server to test the client against.
type peer struct {
	addr, user, password string
	mode                 ftp.DataMode
	all                  bool // optional features must work, too
	odd                  func(name string) bool
	also                 func(o *client.Options) // nil: nothing
}

func (p peer) dial(t *testing.T) *client.Client {
	t.Helper()
	o := &client.Options{User: p.user, Password: p.password, Mode: p.mode}
	if p.also != nil {
		p.also(o)
	}
	c, err := client.Dial(t.Context(), p.addr, o)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// exercise tests all operations of the client with a server.
func (p peer) exercise(t *testing.T) {
	c := p.dial(t)
	base, err := c.Pwd(t.Context())
	if err != nil {
		t.Fatalf("Pwd: %v", err)
	}
	base = strings.TrimRight(base, "/")
	steps := []struct {
		name string
		do   func(t *testing.T, c *client.Client, dir string)
	}{
		{"sizes", p.sizes},
		{"names", p.names},
		{"resume", p.resume},
		{"manage", p.manage},
		{"tree", p.tree},
		{"cancel", p.cancel},
		{"errors", p.errors},
		{"ascii", p.ascii},
	}
	for i, step := range steps {
		dir := fmt.Sprintf("%s/step%d", base, i)
		t.Run(step.name, func(t *testing.T) {
			if err := c.MakeDirAll(t.Context(), dir); err != nil {
				t.Fatalf("MakeDirAll: %v", err)
			}
			step.do(t, c, dir)
			if err := c.RemoveAll(t.Context(), dir); err != nil {
				t.Errorf("RemoveAll: %v", err)
			}
			if !c.Alive() {
				t.Fatal("the client is dead")
			}
		})
	}
}

// sizes checks that files of every size arrive unchanged, by streams and by files.
func (p peer) sizes(t *testing.T, c *client.Client, dir string) {
	here := t.TempDir()
	osfs := afero.NewOsFs()
	for _, n := range []int{0, 1, 4096, 64 << 10, 3<<20 + 7} {
		data := testutil.Noise(n)
		name := fmt.Sprintf("%s/%d", dir, n)
		if m, err := c.Store(t.Context(), name, bytes.NewReader(data)); m != int64(n) || err != nil {
			t.Errorf("Store of %d: %d, %v", n, m, err)
		}
		var got bytes.Buffer
		if m, err := c.Retrieve(t.Context(), name, &got); m != int64(n) || err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Errorf("Retrieve of %d: %d, %v", n, m, err)
		}
		if m, err := c.Size(t.Context(), name); m != int64(n) || err != nil {
			t.Errorf("Size of %d: %d, %v", n, m, err)
		}
		local := filepath.Join(here, "x")
		res, err := c.Download(t.Context(), name, local, client.FileOptions{FS: osfs, KeepTime: true})
		if err != nil || res.Verified != "size and reply" {
			t.Errorf("Download of %d: %+v, %v", n, res, err)
		}
		if b, err := os.ReadFile(local); err != nil || sha256.Sum256(b) != sha256.Sum256(data) {
			t.Errorf("Download of %d: %d bytes, %v", n, len(b), err)
		}
		if res, err := c.Upload(t.Context(), local, name+"up", client.FileOptions{FS: osfs, KeepTime: true}); err != nil || res.Bytes != int64(n) {
			t.Errorf("Upload of %d: %+v, %v", n, res, err)
		}
		r, err := c.Open(t.Context(), name+"up", int64(n/2))
		if err != nil {
			t.Errorf("Open of %d: %v", n, err)
			continue
		}
		b, err := io.ReadAll(r)
		if closeErr := r.Close(); err != nil || closeErr != nil || !bytes.Equal(b, data[n/2:]) {
			t.Errorf("Open of %d: %d bytes, %v, %v", n, len(b), err, closeErr)
		}
	}
}

// names checks that every name arrives unchanged.
func (p peer) names(t *testing.T, c *client.Client, dir string) {
	var want []string
	all := oddNames
	if p.all { // not UTF-8, and the byte IAC of Telnet
		all = append(all[:len(all):len(all)], "latin\xe9", "\xff\xff iac \xff")
	}
	for _, name := range all {
		if p.odd != nil && !p.odd(name) {
			continue
		}
		want = append(want, name)
		if _, err := c.Store(t.Context(), dir+"/"+name, strings.NewReader(name)); err != nil {
			t.Errorf("Store %q: %v", name, err)
		}
		var got bytes.Buffer
		if _, err := c.Retrieve(t.Context(), dir+"/"+name, &got); err != nil || got.String() != name {
			t.Errorf("Retrieve %q: %q, %v", name, got.String(), err)
		}
		if e, err := c.Stat(t.Context(), dir+"/"+name); err != nil || e.Name != name || e.Size != int64(len(name)) || e.IsDir() {
			t.Errorf("Stat %q: %+v, %v", name, e, err)
		}
		sub := dir + "/d" + name
		if err := c.MakeDir(t.Context(), sub); err != nil {
			t.Errorf("MakeDir %q: %v", name, err)
		}
		if entries, errs := collect(t, c, sub); len(entries) != 0 || errs != nil {
			t.Errorf("List of %q: %q, %v", sub, names(entries), errs)
		}
		if err := c.RemoveDir(t.Context(), sub); err != nil {
			t.Errorf("RemoveDir %q: %v", name, err)
		}
	}
	entries, errs := collect(t, c, dir)
	got := names(entries)
	hidden := func(s string) bool { return strings.HasPrefix(s, ".") }
	if !p.all { // LIST omits hidden names
		want, got = slices.DeleteFunc(want, hidden), slices.DeleteFunc(got, hidden)
	}
	slices.Sort(want)
	slices.Sort(got)
	if errs != nil || !slices.Equal(got, want) {
		t.Errorf("List: %q, %v, want %q", got, errs, want)
	}
	if _, err := c.Names(t.Context(), dir); err != nil {
		t.Errorf("Names: %v", err)
	}
}
