package mirror_test

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// TestMirrorDelete checks that no more names are deleted than allowed, none that is excluded, and none in a
// directory that could not be listed at the source.
func TestMirrorDelete(t *testing.T) {
	t.Parallel()
	site, here := fsroot.NewMem(), fsroot.NewMem()
	testutil.Grow(t, site, map[string]string{"/x/keep": "k", "/x/sub/f": "f"})
	testutil.Grow(t, here, map[string]string{"/keep": "k", "/a": "1", "/b": "2", "/dir/c": "3", "/dir/save.me": "4", "/sub/f": "f", "/sub/g": "5", "/.old.part": "p"})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, &client.Options{Timeout: 2 * time.Second}, 1, "/x")
	dst := mirror.Tree{FS: here, Root: "/"}
	o := mirror.Plan{Delete: true, MaxDelete: mirror.NoDeletion, Select: func(name string, _ bool) bool { return path.Base(name) != "save.me" }}
	res, err := mirror.Run(t.Context(), planned(tree, dst, o))
	if !errors.Is(err, mirror.ErrMaxDelete) || res.Deleted != 0 {
		t.Errorf("none: %+v, %v", res, err)
	}
	o.MaxDelete = 2
	res, err = mirror.Run(t.Context(), planned(tree, dst, o))
	if !errors.Is(err, mirror.ErrMaxDelete) || res.Deleted != 2 {
		t.Errorf("two: %+v, %v", res, err)
	}
	o.MaxDelete = 0
	for _, broken := range []ftptest.Fault{ftptest.Reply(550, "No."), ftptest.ShortAfter(5), ftptest.Reply(226, "Transfer done (but failed to open directory).")} {
		srv.Fail("MLSD", broken)
		srv.Fail("LIST", broken)
		before := len(testutil.Shape(t, here, "/"))
		if _, err := mirror.Run(t.Context(), planned(tree, dst, o)); err == nil {
			t.Errorf("%+v: no error", broken)
		}
		if n := len(testutil.Shape(t, here, "/")); n != before {
			t.Errorf("%+v: %d names became %d", broken, before, n)
		}
	}
	srv.Heal()
	mustMirror(t, dst, tree, o)
	testutil.SameShape(t, testutil.Shape(t, here, "/"), map[string]string{"keep": "k", "dir/": "", "dir/save.me": "4", "sub/": "", "sub/f": "f"})
}

// TestMirrorInTheWay checks that a name of another type is replaced; a directory only with Delete.
func TestMirrorInTheWay(t *testing.T) {
	a, b := fsroot.NewMem(), fsroot.NewMem()
	testutil.Grow(t, a, map[string]string{"/file": "f", "/dir/x": "x"})
	testutil.Grow(t, b, map[string]string{"/file/y": "y", "/dir": "d"})
	_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: a, Root: "/"}, To: mirror.Tree{FS: b, Root: "/"}})
	if err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("got %v, want \"in the way\"", err)
	}
	testutil.SameShape(t, testutil.Shape(t, b, "/"), map[string]string{"file/": "", "file/y": "y", "dir/": "", "dir/x": "x"})
	mustMirror(t, mirror.Tree{FS: b, Root: "/"}, mirror.Tree{FS: a, Root: "/"}, mirror.Plan{Delete: true})
	testutil.SameShape(t, testutil.Shape(t, b, "/"), testutil.Shape(t, a, "/"))
}

// TestMirrorUnreadableDirectory checks that nothing is deleted because the server shows a directory as empty that it can't read.
func TestMirrorUnreadableDirectory(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.Dirs["-a /x"] = "drwxr-xr-x 1 o g 7 2024-01-02 05:04 .\r\ndrwx--x--x 1 o g 7 2024-01-02 05:04 d\r\n"
		f.Dirs["/x"], f.Dirs["/x/d"], f.Dirs["-a /x/d"] = "", "", ""
	})
	here := fsroot.NewMem()
	testutil.Grow(t, here, map[string]string{"/d/keep": "k", "/extra": "e"})
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
	if err == nil || !strings.Contains(err.Error(), "readable") || res.Deleted != 1 {
		t.Errorf("%+v, %v; want \"readable\" and one deletion", res, err)
	}
	testutil.SameShape(t, testutil.Shape(t, here, "/"), map[string]string{"d/": "", "d/keep": "k"})
}
