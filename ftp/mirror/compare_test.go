package mirror_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// TestMirrorCompares checks the options Newer, Checksum and Perms.
func TestMirrorCompares(t *testing.T) {
	for _, hash := range []string{"", "HASH"} {
		site, here := fsroot.NewMem(), fsroot.NewMem()
		testutil.Grow(t, site, map[string]string{"/x/a": "same", "/x/b": "one", "/x/c": "old"})
		testutil.Grow(t, here, map[string]string{"/a": "same", "/b": "two", "/c": "mine"})
		for _, name := range []string{"/a", "/b", "/c"} {
			info, err := site.Stat("/x" + name)
			if err != nil {
				t.Fatal(err)
			}
			if err := here.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}
		if err := here.Chtimes("/c", time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		srv := ftptest.NewServer(t, site)
		for _, verb := range []string{"HASH", "XSHA256", "XSHA512", "XSHA1", "XMD5", "XCRC", "OPTS"} {
			if hash == "" {
				srv.Fail(verb, ftptest.Refuse())
			}
		}
		tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
		dst := mirror.Tree{FS: here, Root: "/"}
		if _, did := mustMirror(t, dst, tree, mirror.Plan{Newer: true}); len(did) != 0 {
			t.Errorf("newer: %q", did)
		}
		if _, did := mustMirror(t, dst, tree, mirror.Plan{Newer: true, Checksum: true}); len(did) != 0 {
			t.Errorf("newer contents: %q", did)
		}
		if _, did := mustMirror(t, dst, tree, mirror.Plan{Checksum: true}); !slices.Equal(did, []string{"copy b content", "copy c size"}) {
			t.Errorf("checksum: %q", did)
		}
		testutil.SameShape(t, testutil.Shape(t, here, "/"), testutil.Shape(t, site, "/x"))
		if err := here.Chtimes("/a", time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, did := mustMirror(t, dst, tree, mirror.Plan{Checksum: true}); !slices.Equal(did, []string{"time a"}) {
			t.Errorf("touch: %q", did)
		}
		if _, did := mustMirror(t, dst, tree, mirror.Plan{}); len(did) != 0 {
			t.Errorf("touched: %q", did)
		}
		if err := here.Chmod("/b", 0o600); err != nil {
			t.Fatal(err)
		}
		if _, did := mustMirror(t, tree, dst, mirror.Plan{Perms: true}); !slices.Equal(did, []string{"chmod b"}) {
			t.Errorf("perms: %q", did)
		}
		if info, err := site.Stat("/x/b"); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
	}
}

// TestMirrorRefusedTimes checks that a time which the server refuses concerns only that file. A second run
// transfers nothing, except a file whose size differs.
func TestMirrorRefusedTimes(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	srv := ftptest.NewServer(t, site)
	early, late := time.Date(1965, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC)
	testutil.Plant(t, here, "/a-1965", "one", early)
	testutil.Plant(t, here, "/b-2040", "two", late)
	tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
	src := mirror.Tree{FS: here, Root: "/"}
	for _, verb := range []string{"MFMT", "MDTM"} {
		srv.Fail(verb, ftptest.Reply(501, "Invalid time."))
	}
	srv.Fail("SITE", ftptest.Reply(501, "Invalid time."))
	mustMirror(t, tree, src, mirror.Plan{})
	srv.Heal("MFMT", "MDTM", "SITE")
	testutil.Plant(t, here, "/c", "three", old)
	testutil.Plant(t, here, "/d", "four", old)
	mustMirror(t, tree, src, mirror.Plan{Select: func(name string, _ bool) bool { return name == "" || name > "c" || name == "c" }})
	for _, name := range []string{"/x/c", "/x/d"} {
		if info, err := site.Stat(name); err != nil || !info.ModTime().Equal(old) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	srv.Fail("MFMT", ftptest.Reply(501, "Invalid time."))
	if res, did := mustMirror(t, tree, src, mirror.Plan{}); res.Files != 0 || len(did) != 0 {
		t.Errorf("again: %+v %q", res, did)
	}
	testutil.Plant(t, here, "/a-1965", "longer", early)
	if res, did := mustMirror(t, tree, src, mirror.Plan{}); res.Files != 1 {
		t.Errorf("changed: %+v %q", res, did)
	}
}

// TestMirrorTimesPeers mirrors files with unusual times to the stock servers. The other files keep their times,
// and a second run transfers nothing.
func TestMirrorTimesPeers(t *testing.T) {
	t.Parallel()
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := peers.Start(t, name, dir, peers.Options{})
			here := fsroot.NewMem()
			testutil.Plant(t, here, "/a-1965", "one", time.Date(1965, 1, 2, 3, 4, 5, 0, time.UTC))
			testutil.Plant(t, here, "/b-2040", "two", time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC))
			testutil.Plant(t, here, "/c", "three", old)
			tree, _ := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "up")
			mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{})
			if info, err := os.Stat(filepath.Join(dir, "up", "c")); err != nil || !info.ModTime().Equal(old) {
				t.Errorf("file c: %v, %v; want its time", info, err)
			}
			if res, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{}); res.Files != 0 {
				t.Errorf("again: %+v %q", res, did)
			}
		})
	}
}

// TestMirrorPermsRefused checks that the files arrive if permissions are refused, and that this is reported once.
func TestMirrorPermsRefused(t *testing.T) {
	for _, code := range []string{"550", "502"} {
		site, here := fsroot.NewMem(), fsroot.NewMem()
		srv := ftptest.NewServer(t, site)
		testutil.Grow(t, here, map[string]string{"/a": "1", "/b": "2", "/d/c": "3"})
		if srv.Fail("SITE", ftptest.Reply(550, "Permission denied.")); code == "502" {
			srv.Fail("SITE", ftptest.Refuse())
		}
		tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
		var a actions
		res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: tree, Perms: true, Observe: a.observe})
		if err == nil || res.Files != 3 || res.Failed != 1 {
			t.Errorf("%s: %+v, %v, %q", code, res, err, a.sorted())
		}
		testutil.SameShape(t, testutil.Shape(t, site, "/x"), map[string]string{"a": "1", "b": "2", "d/": "", "d/c": "3"})
	}
}
