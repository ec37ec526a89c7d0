package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

const day = 24 * time.Hour

// aged writes a file that was last modified that long ago.
func aged(t testing.TB, fsys afero.Fs, name, content string, age time.Duration) {
	t.Helper()
	write(t, fsys, name, content)
	at := time.Now().Add(-age)
	check(t, fsys.Chtimes(name, at, at))
}

// stored returns all files with their contents, as "name=content".
func stored(t testing.TB, fsys afero.Fs) (all []string) {
	t.Helper()
	check(t, afero.Walk(fsys, "/", func(p string, fi fs.FileInfo, err error) error {
		if err == nil && fi.Mode().IsRegular() {
			all = append(all, p+"="+read(t, fsys, p))
		}
		return err
	}))
	slices.Sort(all)
	return all
}

// What a killed server leaves becomes resumable or is removed; everything else is unchanged.
func TestSweep(t *testing.T) {
	const old, young = 2 * time.Hour, 20 * time.Minute // the limit is an hour
	type file struct {
		name string
		age  time.Duration
	}
	for _, tt := range []struct {
		name   string
		before []file
		after  []string // like files, with the new names
		did    server.Swept
	}{
		{"a leftover", []file{{"/.f.0123abcd.upload", old}}, []string{"/.f.upload=0"}, server.Swept{Kept: 1}},
		{"in nested and hidden directories", []file{{"/a/.b/c/.f.0123abcd.upload", old}}, []string{"/a/.b/c/.f.upload=0"}, server.Swept{Kept: 1}},
		{"a running one", []file{{"/.f.0123abcd.upload", time.Second}}, []string{"/.f.0123abcd.upload=0"}, server.Swept{}},
		{"a time in the future", []file{{"/.f.0123abcd.upload", -day}}, []string{"/.f.0123abcd.upload=0"}, server.Swept{}},
		{"two to one file", []file{{"/.f.0123abcd.upload", 2 * old}, {"/.f.abcdef01.upload", old}}, []string{"/.f.upload=1"}, server.Swept{Kept: 2}},
		{"two, the later one first", []file{{"/.f.0123abcd.upload", old}, {"/.f.abcdef01.upload", 2 * old}}, []string{"/.f.upload=0"}, server.Swept{Kept: 1, Removed: 1}},
		{"an older interrupted one", []file{{"/.f.upload", day}, {"/.f.abcdef01.upload", old}}, []string{"/.f.upload=1"}, server.Swept{Kept: 1}},
		{"a later interrupted one", []file{{"/.f.upload", young}, {"/.f.abcdef01.upload", old}}, []string{"/.f.upload=0"}, server.Swept{Removed: 1}},
		{"the old file", []file{{"/f", 2 * day}, {"/.f.abcdef01.upload", old}}, []string{"/.f.upload=1", "/f=0"}, server.Swept{Kept: 1}},
		{"final file newer, by less than a day", []file{{"/f", young}, {"/.f.abcdef01.upload", old}}, []string{"/.f.upload=1", "/f=0"}, server.Swept{Kept: 1}},
		{"final file newer, by a day", []file{{"/f", young}, {"/.f.abcdef01.upload", day}}, []string{"/f=0"}, server.Swept{Removed: 1}},
		{"interrupted, and final file newer by a day", []file{{"/f", young}, {"/.f.upload", day}}, []string{"/f=0"}, server.Swept{Removed: 1}},
		{"not resumed in time", []file{{"/.f.upload", 31 * day}, {"/.g.abcdef01.upload", 31 * day}}, nil, server.Swept{Removed: 2}},
		{"can still be resumed", []file{{"/.f.upload", 29 * day}, {"/.g.abcdef01.upload", 29 * day}}, []string{"/.f.upload=0", "/.g.upload=1"}, server.Swept{Kept: 1}},
		{
			"not ours",
			[]file{
				{"/.f.0123abc.upload", old},
				{"/.f.0123abcd.upload", old},
				{"/.f.upload", 400 * day},
				{"/.f.00112233445566778899aabbccddeeff.upload", 400 * day},
				{"/.f.0123ABCD.upload", old},
				{"/f.0123abcd.upload", old},
				{"/.upload", 400 * day},
				{"/..upload", 400 * day},
				{"/.0123abcd.upload", old},
				{"/..0123abcd.upload", old},
				{"/f.upload", 400 * day},
				{"/.f.0123abcd.upload.bak", 400 * day},
				{"/.d.0123abcd.upload/x", 400 * day},
			},
			[]string{
				"/..0123abcd.upload=9", "/..upload=7", "/.0123abcd.upload=8", "/.d.0123abcd.upload/x=12", "/.f.00112233445566778899aabbccddeeff.upload=3",
				"/.f.0123ABCD.upload=4", "/.f.0123abc.upload=0", "/.f.0123abcd.upload=1", "/.f.0123abcd.upload.bak=11", "/.f.upload=2", "/.upload=6",
				"/f.0123abcd.upload=5", "/f.upload=10",
			},
			server.Swept{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, fsys afero.Fs) {
				hidden := server.Hidden
				if tt.name == "not ours" {
					hidden = func(name string) string { return name }
				}
				for i, f := range tt.before {
					aged(t, fsys, hidden(f.name), fmt.Sprint(i), f.age)
				}
				did, err := server.Sweep(t.Context(), fsys, time.Hour)
				if err != nil || did != tt.did {
					t.Errorf("the sweep did %+v (%v), want %+v", did, err, tt.did)
				}
				want := make([]string, len(tt.after))
				for i, f := range tt.after {
					name, content, _ := strings.Cut(f, "=")
					want[i] = hidden(name) + "=" + content
				}
				slices.Sort(want)
				if got := stored(t, fsys); !slices.Equal(got, want) {
					t.Errorf("the tree is %q, want %q", got, want)
				}
				again, err := server.Sweep(t.Context(), fsys, time.Hour)
				if err != nil || again != (server.Swept{}) {
					t.Errorf("a second sweep did %+v (%v)", again, err)
				}
			})
		})
	}
}

// An empty leftover is removed.
func TestSweepEmpty(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		aged(t, fsys, server.Hidden("/.f.0123abcd.upload"), "", 2*time.Hour)
		if did, err := server.Sweep(t.Context(), fsys, time.Hour); err != nil || did != (server.Swept{Removed: 1}) {
			t.Errorf("the sweep did %+v, %v", did, err)
		}
		if got := names(t, fsys, "/"); len(got) > 0 {
			t.Errorf("left: %q", got)
		}
	})
}

// A sweep follows no symlink, neither out of the tree nor in a loop, and does not treat one as an upload.
func TestSweepFollowsNoSymlink(t *testing.T) {
	fsys, dir := disk(t)
	outer, outside := disk(t)
	aged(t, outer, server.Hidden("/.f.0123abcd.upload"), "outside", 2*time.Hour)
	aged(t, fsys, "/target", "target", 2*time.Hour)
	check(t, os.Mkdir(dir+"/d", 0o755))
	for link, target := range map[string]string{
		"out": outside, "loop": ".", "d/up": "..", server.Hidden(".f.0123abcd.upload"): "target", server.Hidden(".g.0123abcd.upload"): outside + server.Hidden("/.f.0123abcd.upload"), server.Hidden(".h.upload"): "target",
	} {
		check(t, os.Symlink(target, dir+"/"+link))
	}
	before := names(t, fsys, "/")
	if did, err := server.Sweep(t.Context(), fsys, time.Hour); err != nil || did != (server.Swept{}) {
		t.Errorf("the sweep did %+v, %v", did, err)
	}
	if got := names(t, fsys, "/"); !slices.Equal(got, before) {
		t.Errorf("the tree is %q, was %q", got, before)
	}
	if got := stored(t, outer); !slices.Equal(got, []string{server.Hidden("/.f.0123abcd.upload") + "=outside"}) {
		t.Errorf("outside: %q", got)
	}
}

// A large directory is read in batches, and a sweep ends with its context.
func TestSweepIsBounded(t *testing.T) {
	most := new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fsys := madeUp{Fs: fsroot.NewMem(), entries: 1 << 30, most: most, more: func(read int) error {
		if read > 100_000 {
			cancel()
		}
		return nil
	}}
	if did, err := server.Sweep(ctx, fsys, time.Hour); !errors.Is(err, context.Canceled) || did != (server.Swept{}) {
		t.Errorf("the sweep did %+v, %v", did, err)
	}
	if n := most.Load(); n > 1000 {
		t.Errorf("%d entries were requested at once", n)
	}
	if !testutil.Soaking {
		return // it takes seconds
	}
	fsys.more = nil
	if _, err := server.Sweep(t.Context(), fsys, time.Hour); err == nil || !strings.Contains(err.Error(), "5000000 entries") {
		t.Errorf("an endless tree: %v", err)
	}
}

// Directories below a certain depth are skipped, so that a long chain of them can't delay a sweep.
func TestSweepDepth(t *testing.T) {
	fsys := fsroot.NewMem()
	p := "/" + strings.Repeat("d/", 31)
	aged(t, fsys, p+server.Hidden(".f.0123abcd.upload"), "x", 2*time.Hour)
	aged(t, fsys, p+"d/d/"+server.Hidden(".f.0123abcd.upload"), "x", 2*time.Hour)
	if did, err := server.Sweep(t.Context(), fsys, time.Hour); err != nil || did != (server.Swept{Kept: 1}) {
		t.Errorf("the sweep did %+v, %v", did, err)
	}
	if !exists(fsys, p+server.Hidden(".f.upload")) || !exists(fsys, p+"d/d/"+server.Hidden(".f.0123abcd.upload")) {
		t.Errorf("the tree is %q", stored(t, fsys))
	}
}

// shut is a filesystem with a directory that can't be opened.
type shut struct {
	afero.Fs
	dir string
}

func (s shut) Open(name string) (afero.File, error) {
	if path.Clean(name) == s.dir {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	return s.Fs.Open(name)
}

// What can't be read or removed is reported and does not stop the sweep.
func TestSweepErrors(t *testing.T) {
	fsys := fsroot.NewMem()
	for _, dir := range []string{"/a", "/b", "/c"} {
		aged(t, fsys, dir+server.Hidden("/.f.0123abcd.upload"), dir, 2*time.Hour)
	}
	before := stored(t, fsys)
	for _, r := range []afero.Fs{fsroot.ReadOnly(fsys), faulty{fsys, "Open", syscall.EIO, armed()}} {
		if did, err := server.Sweep(t.Context(), r, time.Hour); err == nil || did != (server.Swept{}) {
			t.Errorf("%s: the sweep did %+v, %v", r.Name(), did, err)
		}
		if got := stored(t, fsys); !slices.Equal(got, before) {
			t.Errorf("the tree is %q", got)
		}
	}
	if did, err := server.Sweep(t.Context(), shut{fsys, "/b"}, time.Hour); !errors.Is(err, fs.ErrPermission) || did != (server.Swept{Kept: 2}) {
		t.Errorf("the sweep did %+v, %v", did, err)
	}
	if got := stored(t, fsys); !slices.Equal(got, []string{server.Hidden("/a/.f.upload") + "=/a", server.Hidden("/b/.f.0123abcd.upload") + "=/b", server.Hidden("/c/.f.upload") + "=/c"}) {
		t.Errorf("the tree is %q", got)
	}
}

func armed() *atomic.Bool {
	b := new(atomic.Bool)
	b.Store(true)
	return b
}

// KeepSwept sweeps at once, again when what was too young is old enough, and every six hours. It ends with its
// context or the server. If files can't be locked, it takes those that have not changed between two sweeps.
func TestKeepSwept(t *testing.T) {
	for _, end := range []string{"context", "server"} {
		synctest.Test(t, func(t *testing.T) {
			log := &lines{}
			fsys, ro := fsroot.NewMem(), fsroot.NewMem()
			srv, err := server.New(server.Options{Auth: accounts(fsys), Log: slog.New(slog.NewTextHandler(log, nil))})
			check(t, err)
			leave := func(name string, age time.Duration) {
				aged(t, fsys, server.Hidden("/."+name+".0123abcd.upload"), "x", age)
			}
			there := func(want ...string) {
				t.Helper()
				synctest.Wait()
				if got := names(t, fsys, "/"); !slices.Equal(got, want) {
					t.Errorf("after %v: %q, want %q", time.Now().UTC(), got, want)
				}
			}
			leave("a", time.Hour)
			leave("b", time.Minute)
			aged(t, ro, server.Hidden("/.f.0123abcd.upload"), "x", day)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				srv.KeepSwept(ctx, slices.Values([]afero.Fs{fsys, fsroot.ReadOnly(ro)}))
			}()
			running := func(name string) string { return server.Hidden("." + name + ".0123abcd.upload") }
			kept := func(name string) string { return server.Hidden("." + name + ".upload") }
			there(running("a"), running("b")) // no locks in memory: each has to be seen twice
			time.Sleep(14 * time.Minute)
			there(running("a"), running("b"))
			time.Sleep(3 * time.Minute)
			there(kept("a"), kept("b"))
			leave("c", time.Hour)
			time.Sleep(7 * time.Hour)
			there(kept("a"), kept("b"), running("c"))
			time.Sleep(6 * time.Hour)
			there(kept("a"), kept("b"), kept("c"))
			if got := names(t, ro, "/"); !slices.Equal(got, []string{server.Hidden(".f.0123abcd.upload")}) {
				t.Errorf("read-only: %q", got)
			}
			if end == "context" {
				cancel()
			} else {
				check(t, srv.Close())
			}
			<-done
			check(t, srv.Close())
			if one, two := strings.Count(log.String(), "resumable=1 removed=0"), strings.Count(log.String(), "resumable=2 removed=0"); one != 1 || two != 1 {
				t.Errorf("the log says\n%s", log.String())
			}
		})
	}
}

// With UploadInPlace there are no hidden names: what looks like one is a user's file.
func TestKeepSweptInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := fsroot.NewMem()
		aged(t, fsys, server.Hidden("/.f.0123abcd.upload"), "x", 40*day)
		srv, err := server.New(server.Options{Auth: accounts(fsys), UploadInPlace: true})
		check(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), day)
		defer cancel()
		srv.KeepSwept(ctx, slices.Values([]afero.Fs{fsys}))
		check(t, srv.Close())
		if !exists(fsys, server.Hidden("/.f.0123abcd.upload")) {
			t.Error("the file was removed")
		}
	})
}
