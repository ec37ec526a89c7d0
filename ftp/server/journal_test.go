package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/server"
)

// notes is a Journal that notes what it is told, and whether a file exists at that moment.
type notes struct {
	fs   afero.Fs
	mu   sync.Mutex
	all  []string
	full atomic.Bool
}

var errNoRoom = errors.New("no room in /var/lib/secret")

func (n *notes) Ready(verb string) error {
	if n.full.Load() && verb == "STOR" {
		return errNoRoom
	}
	return nil
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, fmt.Sprintf(format, args...))
}

func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

func (n *notes) Begin(_ context.Context, c server.Change) (func(bool), error) {
	if n.full.Load() {
		return nil, errNoRoom
	}
	path := strings.TrimSpace(c.Path + " " + c.To)
	n.note("%s %s by %s, %d bytes, exists %v, before %v", c.Verb, path, c.User, c.Bytes, exists(n.fs, c.Path), c.Before.Exists)
	if c.Verb == "RETR" || c.Verb == "USER" {
		return nil, nil
	}
	return func(made bool) { n.note("made %v, exists %v", made, exists(n.fs, c.Path)) }, nil
}

// The Journal hears of a change before it is visible, and of its outcome before the reply.
func TestJournal(t *testing.T) {
	for name, newFS := range map[string]func() afero.Fs{
		"mem":  fsroot.NewMem,
		"disk": func() afero.Fs { fsys, _ := disk(t); return fsys },
	} {
		t.Run(name, func(t *testing.T) {
			fsys := newFS()
			n := &notes{fs: fsys}
			s := serve(t, fsys, func(o *server.Options) { o.Journal = n })
			c := s.login(t, "rw")
			expect := func(when string, want ...string) {
				t.Helper()
				if got := n.take(); !slices.Equal(got, want) {
					t.Errorf("%s:\ngot  %q\nwant %q", when, got, want)
				}
			}
			expect("login", "USER  by rw, 0 bytes, exists true, before false")
			c.put("STOR f", []byte("12345"))
			expect("a new file", "STOR /f by rw, 5 bytes, exists false, before false", "made true, exists true")
			c.put("APPE f", []byte("67"))
			expect("append", "APPE /f by rw, 2 bytes, exists true, before true", "made true, exists true")
			c.get("RETR f")
			expect("download", "RETR /f by rw, 7 bytes, exists true, before false")
			c.cmd("MKD d", 257)
			expect("mkdir", "MKD /d by rw, 0 bytes, exists false, before false", "made true, exists true")
			c.cmd("MKD d", 550)
			expect("no mkdir")
			c.cmd("RNFR f", 350)
			c.cmd("RNTO d/g", 250)
			expect("rename", "RNTO /f /d/g by rw, 0 bytes, exists true, before true", "made true, exists false")
			c.cmd("DELE d/g", 250)
			expect("delete", "DELE /d/g by rw, 0 bytes, exists true, before true", "made true, exists false")
			c.cmd("RMD d", 250)
			expect("rmdir", "RMD /d by rw, 0 bytes, exists true, before true", "made true, exists false")

			write(t, fsys, "/old", "content")
			n.full.Store(true)
			for _, cmd := range []string{"MKD x", "DELE old", "STOR x"} {
				if r := c.cmd(cmd, 452); strings.Contains(r.String(), "secret") {
					t.Errorf("%s shows the error: %v", cmd, r)
				}
			}
			data := c.epsv() // the upload is whole before it is refused
			c.send("APPE x")
			c.want(150)
			_, err := data.Write([]byte("1"))
			check(t, err)
			check(t, data.Close())
			c.want(452)
			c = s.connect(t)
			c.cmd("USER rw", 331)
			c.cmd("PASS rw", 421)
			if exists(fsys, "/x") || !exists(fsys, "/old") {
				t.Error("a change was made that could not be recorded")
			}
			expect("full")
		})
	}
}

func TestMade(t *testing.T) {
	fsys, _ := disk(t)
	long := time.Now().Add(-time.Hour).Round(time.Second).UTC()
	write(t, fsys, "/f", "12345")
	check(t, fsys.Chtimes("/f", long, long))
	check(t, fsys.Mkdir("/d", 0o700))
	at := func(size int64) server.FileState { return server.FileState{Exists: true, Size: size, Modified: long} }
	for _, tt := range []struct {
		c    server.Change
		made bool
	}{
		{server.Change{Verb: "STOR", Path: "/f"}, true}, // there was none
		{server.Change{Verb: "STOR", Path: "/f", Before: at(5)}, false},
		{server.Change{Verb: "STOR", Path: "/f", Before: at(4)}, true},
		{server.Change{Verb: "STOR", Path: "/f", Before: server.FileState{Exists: true, Size: 5, Modified: time.Now()}}, true}, // in doubt
		{server.Change{Verb: "STOR", Path: "/none"}, false},
		{server.Change{Verb: "DELE", Path: "/f", Before: at(5)}, false},
		{server.Change{Verb: "DELE", Path: "/none", Before: at(5)}, true},
		{server.Change{Verb: "RMD", Path: "/d"}, false},
		{server.Change{Verb: "RNTO", Path: "/none", To: "/f"}, true},
		{server.Change{Verb: "RNTO", Path: "/f", To: "/none"}, false},
		{server.Change{Verb: "RNTO", Path: "/f", To: "/f"}, true}, // another spelling
		{server.Change{Verb: "MKD", Path: "/d"}, true},
		{server.Change{Verb: "MKD", Path: "/none"}, false},
		{server.Change{Verb: "MKD", Path: "/f"}, false},
	} {
		if made, err := tt.c.Made(fsys, time.Now()); made != tt.made || err != nil {
			t.Errorf("%+v: %v, %v", tt.c, made, err)
		}
	}
}

// A whole upload that can't be recorded is not visible, and what is kept of it is less than the whole. Otherwise a client such
// as curl -C - would take it for stored.
func TestUnrecordedIsNotWhole(t *testing.T) {
	curl := peers.Client(t, "curl")
	run := func(t *testing.T, fsys afero.Fs, content []byte) {
		noted := &notes{fs: fsys}
		s := serve(t, fsys, func(o *server.Options) { o.Journal = noted })
		c := s.login(t, "rw")
		d := c.starts("STOR f")
		noted.full.Store(true)
		_, err := d.Write(content)
		check(t, err)
		check(t, d.Close())
		c.want(452)
		if r := c.cmd("SIZE f"); r.Code == 213 && r.Text() == fmt.Sprint(len(content)) {
			t.Errorf("the size is %v, and nothing is stored", r)
		}
		noted.full.Store(false)
		file := filepath.Join(t.TempDir(), "f")
		check(t, os.WriteFile(file, content, 0o600))
		out, err := exec.CommandContext(t.Context(), curl, "-sS", "-C", "-", "-T", file, "ftp://rw:rw@"+s.addr+"/f").CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		if got := read(t, fsys, "/f"); got != string(content) {
			t.Errorf("stored %d bytes of %d", len(got), len(content))
		}
	}
	both(t, func(t *testing.T, fsys afero.Fs) { run(t, fsys, []byte("content")) })
	t.Run("careless bucket", func(t *testing.T) { run(t, newBucket(), []byte("content!")) }) // it keeps two whole parts
	t.Run("bucket", func(t *testing.T) {
		fsys, _ := openBucket(t)
		for _, n := range []int{1000, 6 << 20, 8 << 20, 14 << 20} {
			run(t, fsys, bytes.Repeat([]byte("x"), n))
			check(t, fsys.Remove("/f"))
		}
	})
}
