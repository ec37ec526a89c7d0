package client_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// long ago, to the second, as whole files of tests are.
var old = time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)

// grow makes files with their times, one minute after the other.
func grow(t *testing.T, fsys afero.Fs, files map[string]string) {
	t.Helper()
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		name = "/" + strings.TrimPrefix(name, "/")
		if strings.HasSuffix(name, "/") {
			if err := fsys.MkdirAll(name, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		plant(t, fsys, name, files[names[i]], old.Add(time.Duration(i)*time.Minute))
	}
}

func plant(t *testing.T, fsys afero.Fs, name, content string, at time.Time) {
	t.Helper()
	if err := fsys.MkdirAll(path.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := afero.WriteFile(fsys, name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := fsys.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

// shape is all that is below a directory: names, contents and times, "" for a
// directory.
func shape(t *testing.T, fsys afero.Fs, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := afero.Walk(fsys, root, func(name string, info fs.FileInfo, err error) error {
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(name, root), "/"))
		switch {
		case err != nil || rel == "":
			return err
		case info.IsDir():
			all[rel+"/"] = ""
			return nil
		case info.Mode()&fs.ModeSymlink != 0:
			all[rel] = "link"
			return nil
		}
		b, err := afero.ReadFile(fsys, name)
		all[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameShape(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if have, ok := got[name]; !ok || have != text {
			t.Errorf("%q: there %v, %d bytes, want %d", name, ok, len(have), len(text))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q should not be there", name)
		}
	}
}

// actions gathers what is told; key is "kind path why".
type actions struct {
	mu   sync.Mutex
	done []string
}

func (a *actions) observe(x mirror.Action) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.Stage != mirror.Done {
		return
	}
	s := fmt.Sprintf("%v %s %s", x.Kind, x.Path, x.Why)
	if x.Err != nil {
		s = fmt.Sprintf("%v %s failed", x.Kind, x.Path)
	}
	a.done = append(a.done, strings.TrimSpace(s))
}

func (a *actions) sorted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.done)
	return a.done
}

// remoteTree is a tree on a server over a pool of n connections.
func remoteTree(t *testing.T, addr string, o *client.Options, n int, root string) (mirror.Tree, *client.Pool) {
	t.Helper()
	p := client.NewPool(addr, n, o)
	t.Cleanup(func() { _ = p.Close() })
	return mirror.Tree{Pool: p, Root: root}, p
}

func mustMirror(t *testing.T, dst, src mirror.Tree, o mirror.Plan) (mirror.Result, []string) {
	t.Helper()
	var a actions
	o.Observe = a.observe
	res, err := mirror.Run(t.Context(), planned(src, dst, o))
	if err != nil {
		t.Errorf("mirror: %v", err)
	}
	return res, a.sorted()
}

var someFiles = map[string]string{
	"a.txt": "alpha", "empty": "", "b b.txt": "beta", "sub/c.bin": string(noise(300_000)), "sub/deep/d.txt": "delta", "sub/deep/é.txt": "e", "void/": "", ".hidden": "h",
}

func wholeShape(files map[string]string) map[string]string {
	all := map[string]string{}
	for name, text := range files {
		all[name] = text
		for dir := path.Dir(strings.TrimSuffix(name, "/")); dir != "."; dir = path.Dir(dir) {
			all[dir+"/"] = ""
		}
	}
	return all
}

// TestMirrorPeers: with every stock server and our own, both ways: all comes over with
// its time, a second run transfers nothing, one changed file is one transfer.
func TestMirrorPeers(t *testing.T) {
	t.Parallel()
	for _, name := range append(peers.Names(), "miniftp") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var addr string
			o := &client.Options{User: "u", Password: "p"}
			root := "/"
			site := disk(t, nil)
			if name == "miniftp" {
				addr = serveHere(t, site, "127.0.0.1")
			} else {
				s := peers.Start(t, name, dir, peers.Options{})
				addr, o.User, o.Password, root = s.Addr, s.User, s.Password, ""
				site = afero.NewBasePathFs(afero.NewOsFs(), dir)
			}
			here := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
			grow(t, here, someFiles)
			grow(t, here, map[string]string{"new.txt": "new"})
			now := time.Now().Add(-time.Second)
			if err := here.Chtimes("/new.txt", now, now); err != nil {
				t.Fatal(err)
			}
			want := wholeShape(someFiles)
			want["new.txt"] = "new"

			up, _ := remoteTree(t, addr, o, 3, path.Join(root, "up"))
			opts := mirror.Plan{Parallel: 3, Delete: true}
			first, _ := mustMirror(t, up, mirror.Tree{FS: here, Root: "/"}, opts)
			if first.Files != 8 || first.Dirs != 4 {
				t.Errorf("up: %+v", first)
			}
			sub := afero.NewBasePathFs(site, "/up")
			sameShape(t, shape(t, sub, "/"), want)
			second, did := mustMirror(t, up, mirror.Tree{FS: here, Root: "/"}, opts)
			if second.Files != 0 || second.Unchanged != 8 || len(did) != 0 {
				t.Errorf("up again: %+v %q", second, did)
			}
			plant(t, here, "/sub/deep/d.txt", "DELTA", time.Now().Add(time.Minute))
			third, did := mustMirror(t, up, mirror.Tree{FS: here, Root: "/"}, opts)
			if third.Files != 1 || !slices.Equal(did, []string{"copy sub/deep/d.txt time"}) {
				t.Errorf("up, one changed: %+v %q", third, did)
			}

			down := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
			first, _ = mustMirror(t, mirror.Tree{FS: down, Root: "/"}, up, opts)
			want["sub/deep/d.txt"] = "DELTA"
			sameShape(t, shape(t, down, "/"), want)
			if first.Files != 8 {
				t.Errorf("down: %+v", first)
			}
			second, did = mustMirror(t, mirror.Tree{FS: down, Root: "/"}, up, opts)
			if second.Files != 0 || second.Unchanged != 8 || len(did) != 0 {
				t.Errorf("down again: %+v %q", second, did)
			}
			// The way back has nothing to do, either.
			back, did := mustMirror(t, up, mirror.Tree{FS: down, Root: "/"}, opts)
			if back.Files != 0 || len(did) != 0 {
				t.Errorf("back: %+v %q", back, did)
			}
			if err := here.Remove("/a.txt"); err != nil {
				t.Fatal(err)
			}
			gone, did := mustMirror(t, up, mirror.Tree{FS: here, Root: "/"}, opts)
			if gone.Deleted != 1 || !slices.Equal(did, []string{"delete a.txt"}) {
				t.Errorf("delete: %+v %q", gone, did)
			}
		})
	}
}

// TestMirrorOldServers: without MLSD, without a way to set times, without renames,
// without EPSV, SIZE, MDTM: all comes over, and a second run transfers nothing.
func TestMirrorOldServers(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for name, without := range map[string][]string{
		"all there": nil, "no FEAT": {"FEAT", "MLSD", "MLST", "EPSV"}, "LIST, no times": {"FEAT", "MLSD", "MLST", "MFMT", "SITE"},
		"no MFMT": {"MFMT"}, "no times": {"MFMT", "SITE", "MDTM"}, "no rename": {"RNFR"}, "no replacing": {"RNTO"},
		"nothing": {"FEAT", "MLSD", "MLST", "EPSV", "MFMT", "SITE", "MDTM", "SIZE", "RNFR", "REST", "HASH"},
	} {
		t.Run(name, func(t *testing.T) {
			site := fsroot.NewMem()
			srv := ftptest.NewServer(t, site)
			for _, verb := range without {
				srv.Fail(verb, ftptest.Refuse())
			}
			here := disk(t, nil)
			grow(t, here, someFiles)
			tree, _ := remoteTree(t, srv.Addr, nil, 2, "/up")
			first, _ := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{Parallel: 2})
			if first.Files != 7 {
				t.Errorf("%+v", first)
			}
			want := wholeShape(someFiles)
			if name == "no replacing" {
				for file := range shape(t, site, "/up") {
					if path.Base(file) != file && want[file] == "" && strings.HasSuffix(file, ".part") {
						t.Errorf("%s is left", file)
					}
				}
			}
			sameShape(t, shape(t, site, "/up"), want)
			second, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{Parallel: 2})
			if second.Files != 0 || len(did) != 0 {
				t.Errorf("again: %+v %q", second, did)
			}
			plant(t, here, "/a.txt", "longer than before", time.Now())
			third, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{Delete: true})
			if third.Files != 1 || !slices.Equal(did, []string{"copy a.txt size"}) {
				t.Errorf("changed: %+v %q", third, did)
			}
			down := disk(t, nil)
			mustMirror(t, mirror.Tree{FS: down, Root: "/"}, tree, mirror.Plan{Parallel: 2})
			want["a.txt"] = "longer than before"
			sameShape(t, shape(t, down, "/"), want)
			again, did := mustMirror(t, mirror.Tree{FS: down, Root: "/"}, tree, mirror.Plan{Parallel: 2})
			if again.Files != 0 || len(did) != 0 {
				t.Errorf("down again: %+v %q", again, did)
			}
		})
	}
}

// TestMirrorBetween: any two sides, two servers and two disks among them.
func TestMirrorBetween(t *testing.T) {
	a, b := fsroot.NewMem(), fsroot.NewMem()
	grow(t, a, map[string]string{"/x/f": "one", "/x/g/h": string(noise(100_000))})
	srvA, srvB := ftptest.NewServer(t, a), ftptest.NewServer(t, b)
	from, pool := remoteTree(t, srvA.Addr, nil, 2, "/x")
	to, _ := remoteTree(t, srvB.Addr, nil, 2, "/y")
	for _, refuse := range []string{"", "RNFR"} {
		srvB.Fail("RNFR", ftptest.Fault{})
		if refuse != "" {
			srvB.Fail(refuse, ftptest.Refuse())
			if err := b.RemoveAll("/y"); err != nil {
				t.Fatal(err)
			}
		}
		res, _ := mustMirror(t, to, from, mirror.Plan{Parallel: 2})
		if res.Files != 2 {
			t.Errorf("%+v", res)
		}
		sameShape(t, shape(t, b, "/y"), shape(t, a, "/x"))
		res, did := mustMirror(t, to, from, mirror.Plan{Parallel: 2})
		if res.Files != 0 {
			t.Errorf("again: %+v %q", res, did)
		}
	}
	one := mirror.Tree{Pool: pool, Root: "/other"}
	if _, err := mirror.Run(t.Context(), mirror.Plan{From: from, To: one}); err == nil {
		t.Error("one pool for both sides was taken")
	}

	c, d := fsroot.NewMem(), disk(t, nil)
	grow(t, c, map[string]string{"/f": "one", "/g/h": "two"})
	if res, _ := mustMirror(t, mirror.Tree{FS: d, Root: "/n/m"}, mirror.Tree{FS: c, Root: "/"}, mirror.Plan{}); res.Files != 2 || res.Dirs != 2 {
		t.Errorf("%+v", res)
	}
	sameShape(t, shape(t, d, "/n/m"), shape(t, c, "/"))
	if res, did := mustMirror(t, mirror.Tree{FS: d, Root: "/n/m"}, mirror.Tree{FS: c, Root: "/"}, mirror.Plan{}); res.Files != 0 {
		t.Errorf("again: %+v %q", res, did)
	}
	if _, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: c, Root: "/nope"}, To: mirror.Tree{FS: d, Root: "/new"}, Delete: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no source: %v", err)
	}
	if _, err := d.Stat("/new"); err == nil {
		t.Error("the destination was made without a source")
	}
}

// planned is o between two trees.
func planned(from, to mirror.Tree, o mirror.Plan) mirror.Plan {
	o.From, o.To = from, to
	return o
}
