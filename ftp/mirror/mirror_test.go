package mirror_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
	"miniftp/ftp/server"
)

// TestMirrorPeers mirrors to and from every stock server and our own: all files arrive with their times, a second
// run transfers nothing, and one changed file is one transfer.
func TestMirrorPeers(t *testing.T) {
	t.Parallel()
	for _, name := range append(peers.Names(), "miniftp") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var addr string
			o := new(client.Options)
			root := "/"
			site := afero.NewMemMapFs()
			if name == "miniftp" {
				addr = ftptest.NewServer(t, site).Addr
			} else {
				s := peers.Start(t, name, dir, peers.Options{})
				addr, o.User, o.Password, root = s.Addr, s.User, s.Password, ""
				site = afero.NewBasePathFs(afero.NewOsFs(), dir)
			}
			here := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
			testutil.Grow(t, here, someFiles)
			testutil.Grow(t, here, map[string]string{"new.txt": "new"})
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
			testutil.SameShape(t, testutil.Shape(t, sub, "/"), want)
			second, did := mustMirror(t, up, mirror.Tree{FS: here, Root: "/"}, opts)
			if second.Files != 0 || second.Unchanged != 8 || len(did) != 0 {
				t.Errorf("up again: %+v %q", second, did)
			}
			testutil.Plant(t, here, "/sub/deep/d.txt", "DELTA", time.Now().Add(time.Minute))
			third, did := mustMirror(t, up, mirror.Tree{FS: here, Root: "/"}, opts)
			if third.Files != 1 || !slices.Equal(did, []string{"copy sub/deep/d.txt time"}) {
				t.Errorf("up, one changed: %+v %q", third, did)
			}

			down := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
			first, _ = mustMirror(t, mirror.Tree{FS: down, Root: "/"}, up, opts)
			want["sub/deep/d.txt"] = "DELTA"
			testutil.SameShape(t, testutil.Shape(t, down, "/"), want)
			if first.Files != 8 {
				t.Errorf("down: %+v", first)
			}
			second, did = mustMirror(t, mirror.Tree{FS: down, Root: "/"}, up, opts)
			if second.Files != 0 || second.Unchanged != 8 || len(did) != 0 {
				t.Errorf("down again: %+v %q", second, did)
			}
			// Nor has a mirror back anything to do.
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

// TestMirrorOldServers mirrors to servers without MLSD, without a way to set times, without renames, or without
// EPSV, SIZE and MDTM: all files arrive, and a second run transfers nothing.
func TestMirrorOldServers(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for name, without := range map[string][]string{
		"all commands": nil, "no FEAT": {"FEAT", "MLSD", "MLST", "EPSV"}, "LIST, no times": {"FEAT", "MLSD", "MLST", "MFMT", "SITE"},
		"no MFMT": {"MFMT"}, "no times": {"MFMT", "SITE", "MDTM"}, "no rename": {"RNFR"}, "no replacing": {"RNTO"},
		"nothing": {"FEAT", "MLSD", "MLST", "EPSV", "MFMT", "SITE", "MDTM", "SIZE", "RNFR", "REST", "HASH"},
	} {
		t.Run(name, func(t *testing.T) {
			site := fsroot.NewMem()
			srv := ftptest.NewServer(t, site)
			for _, verb := range without {
				srv.Fail(verb, ftptest.Refuse())
			}
			here := afero.NewMemMapFs()
			testutil.Grow(t, here, someFiles)
			tree, _ := remoteTree(t, srv.Addr, nil, 2, "/up")
			first, _ := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{Parallel: 2})
			if first.Files != 7 {
				t.Errorf("first run: %+v, want 7 files", first)
			}
			want := wholeShape(someFiles)
			if name == "no replacing" {
				for file := range testutil.Shape(t, site, "/up") {
					if path.Base(file) != file && want[file] == "" && strings.HasSuffix(file, ".part") {
						t.Errorf("%s is left", file)
					}
				}
			}
			testutil.SameShape(t, testutil.Shape(t, site, "/up"), want)
			second, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{Parallel: 2})
			if second.Files != 0 || len(did) != 0 {
				t.Errorf("again: %+v %q", second, did)
			}
			testutil.Plant(t, here, "/a.txt", "longer than before", time.Now())
			third, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{Delete: true})
			if third.Files != 1 || !slices.Equal(did, []string{"copy a.txt size"}) {
				t.Errorf("changed: %+v %q", third, did)
			}
			down := afero.NewMemMapFs()
			mustMirror(t, mirror.Tree{FS: down, Root: "/"}, tree, mirror.Plan{Parallel: 2})
			want["a.txt"] = "longer than before"
			testutil.SameShape(t, testutil.Shape(t, down, "/"), want)
			again, did := mustMirror(t, mirror.Tree{FS: down, Root: "/"}, tree, mirror.Plan{Parallel: 2})
			if again.Files != 0 || len(did) != 0 {
				t.Errorf("down again: %+v %q", again, did)
			}
		})
	}
}

// TestMirrorBetween mirrors between two servers and between two file systems.
func TestMirrorBetween(t *testing.T) {
	a, b := fsroot.NewMem(), fsroot.NewMem()
	testutil.Grow(t, a, map[string]string{"/x/f": "one", "/x/g/h": string(testutil.Noise(100_000))})
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
			t.Errorf("first run: %+v, want 2 files", res)
		}
		testutil.SameShape(t, testutil.Shape(t, b, "/y"), testutil.Shape(t, a, "/x"))
		res, did := mustMirror(t, to, from, mirror.Plan{Parallel: 2})
		if res.Files != 0 {
			t.Errorf("again: %+v %q", res, did)
		}
	}
	one := mirror.Tree{Pool: pool, Root: "/other"}
	if _, err := mirror.Run(t.Context(), mirror.Plan{From: from, To: one}); err == nil {
		t.Error("one Pool for both sides was accepted")
	}

	c, d := fsroot.NewMem(), afero.NewMemMapFs()
	testutil.Grow(t, c, map[string]string{"/f": "one", "/g/h": "two"})
	if res, _ := mustMirror(t, mirror.Tree{FS: d, Root: "/n/m"}, mirror.Tree{FS: c, Root: "/"}, mirror.Plan{}); res.Files != 2 || res.Dirs != 2 {
		t.Errorf("between file systems: %+v, want 2 files and 2 directories", res)
	}
	testutil.SameShape(t, testutil.Shape(t, d, "/n/m"), testutil.Shape(t, c, "/"))
	if res, did := mustMirror(t, mirror.Tree{FS: d, Root: "/n/m"}, mirror.Tree{FS: c, Root: "/"}, mirror.Plan{}); res.Files != 0 {
		t.Errorf("again: %+v %q", res, did)
	}
	if _, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: c, Root: "/nope"}, To: mirror.Tree{FS: d, Root: "/new"}, Delete: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no source: %v", err)
	}
	if _, err := d.Stat("/new"); err == nil {
		t.Error("the destination was created although there is no source")
	}
}

// TestMirrorFewConnections checks that a server that accepts fewer connections is no error.
func TestMirrorFewConnections(t *testing.T) {
	site := fsroot.NewMem()
	files := map[string]string{}
	for i := range 60 {
		files[fmt.Sprintf("/x/d%d/f%d", i%7, i)] = strings.Repeat("x", i*100)
	}
	testutil.Grow(t, site, files)
	srv := ftptest.NewServer(t, site, ftptest.WithOptions(func(o *server.Options) { o.MaxSessions = 2 }))
	tree, pool := remoteTree(t, srv.Addr, nil, 6, "/x")
	here := fsroot.NewMem()
	res, _ := mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Parallel: 6})
	if res.Files != 60 || pool.Size() > 2 {
		t.Errorf("%+v over %d", res, pool.Size())
	}
	testutil.SameShape(t, testutil.Shape(t, here, "/"), testutil.Shape(t, site, "/x"))
}
