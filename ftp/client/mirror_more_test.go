package client_test

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/mirror"
)

// soon retries at once.
var soon = client.Retry{Times: 50, Wait: func(int) time.Duration { return 0 }}

// moved is how many bytes the server's transfers of that verb moved.
func moved(srv *ftptest.Server, verb string) (n int64) {
	for _, e := range srv.Events() {
		if d, ok := e.What.(ftp.TransferDone); ok && d.Verb == verb {
			n += d.Bytes
		}
	}
	return n
}

// TestMirrorResumes: whichever way it breaks, each try goes on where the last one
// stopped; so does another run.
func TestMirrorResumes(t *testing.T) {
	big := string(noise(1_000_000))
	for _, up := range []bool{false, true} {
		t.Run(fmt.Sprintf("up %v", up), func(t *testing.T) {
			site, here := fsroot.NewMem(), fsroot.NewMem()
			srv := ftptest.NewServer(t, site)
			tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
			dst, src, verb, text := mirror.Tree{FS: here, Root: "/"}, tree, "RETR", shape
			if up {
				dst, src, verb = tree, dst, "STOR"
				grow(t, here, map[string]string{"/big": big})
			} else {
				grow(t, site, map[string]string{"/x/big": big})
			}
			srv.Fail(verb, ftptest.CutAfter(300_000))
			o := mirror.Plan{}
			if _, err := mirror.Run(t.Context(), planned(src, dst, o)); err == nil {
				t.Fatal("a cut transfer was no error")
			}
			o.Retry = soon
			_, err := mirror.Run(t.Context(), planned(src, dst, o))
			if err != nil {
				t.Fatal(err)
			}
			sameShape(t, text(t, here, "/"), map[string]string{"big": big})
			sameShape(t, text(t, site, "/x"), map[string]string{"big": big})
			// What is left of a file that has changed since is not gone on with.
			other := strings.Repeat("other", 250_000)
			from := here
			if !up {
				from = site
			}
			name := map[bool]string{true: "/big", false: "/x/big"}[up]
			o.Retry = client.Retry{}
			plant(t, from, name, other, time.Now().Add(time.Hour))
			if _, err := mirror.Run(t.Context(), planned(src, dst, o)); err == nil {
				t.Fatal("a cut transfer was no error")
			}
			third := strings.Repeat("third", 250_000)
			plant(t, from, name, third, time.Now().Add(2*time.Hour))
			srv.Heal()
			mustMirror(t, dst, src, mirror.Plan{Delete: true})
			sameShape(t, text(t, here, "/"), map[string]string{"big": third})
			if got := text(t, site, "/x")["big"]; got != third {
				t.Errorf("%d bytes are at the server", len(got))
			}
		})
	}
}

// TestMirrorBytesAgain: when every data connection is cut, what arrived is not sent
// again, in either direction.
func TestMirrorBytesAgain(t *testing.T) {
	const size, cut = 1_000_000, 300_000
	for _, verb := range []string{"RETR", "STOR"} {
		site, here := fsroot.NewMem(), fsroot.NewMem()
		srv := ftptest.NewServer(t, site)
		var mu sync.Mutex
		var got int64 // by the client
		seen := ftp.ObserverFunc(func(e ftp.Event) {
			mu.Lock()
			defer mu.Unlock()
			if d, ok := e.What.(ftp.TransferDone); ok && d.Verb == "RETR" {
				got += d.Bytes
			}
		})
		tree, _ := remoteTree(t, srv.Addr, &client.Options{Observer: seen}, 1, "/x")
		srv.Fail(verb, ftptest.CutAfter(cut))
		dst, src := mirror.Tree{FS: here, Root: "/"}, tree
		if verb == "STOR" {
			dst, src = tree, dst
			grow(t, here, map[string]string{"/big": string(noise(size))})
		} else {
			grow(t, site, map[string]string{"/x/big": string(noise(size))})
		}
		if _, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst, Retry: soon}); err != nil {
			t.Fatal(err)
		}
		arrived := got
		if verb == "STOR" {
			arrived = moved(srv, verb)
		}
		if arrived != size {
			t.Errorf("%s: %d bytes arrived, %d are in the file", verb, arrived, size)
		}
	}
}

// TestMirrorDryRun: a dry run changes nothing, and tells what the run then does.
func TestMirrorDryRun(t *testing.T) {
	site, here := fsroot.NewMem(), disk(t, nil)
	grow(t, here, someFiles)
	grow(t, site, map[string]string{"/up/old/x": "x", "/up/old/y/z": "z", "/up/a.txt": "ALPHA+", "/up/gone": "g", "/up/empty/": ""})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 2, "/up")
	before := shape(t, site, "/up")
	src := mirror.Tree{FS: here, Root: "/"}
	for _, o := range []mirror.Plan{
		{Delete: true, Perms: true, Checksum: true, DryRun: true},
		{Delete: true, DryRun: true},
	} {
		planned, plan := mustMirror(t, tree, src, o)
		sameShape(t, shape(t, site, "/up"), before)
		if len(plan) == 0 || planned.Deleted != 6 || planned.Dirs != 4-1 {
			t.Errorf("plan: %+v %q", planned, plan)
		}
		if o.Perms {
			continue
		}
		o.DryRun = false
		res, did := mustMirror(t, tree, src, o)
		if !slices.Equal(plan, did) {
			t.Errorf("planned %q\n    did %q", plan, did)
		}
		if res.Files != planned.Files || res.Bytes != planned.Bytes || res.Unchanged != planned.Unchanged {
			t.Errorf("planned %+v\n    did %+v", planned, res)
		}
		sameShape(t, shape(t, site, "/up"), wholeShape(someFiles))
	}
}

// TestMirrorDelete: no more than allowed, nothing that is excluded, and nothing in a
// directory whose source could not be listed.
func TestMirrorDelete(t *testing.T) {
	t.Parallel()
	site, here := fsroot.NewMem(), fsroot.NewMem()
	grow(t, site, map[string]string{"/x/keep": "k", "/x/sub/f": "f"})
	grow(t, here, map[string]string{"/keep": "k", "/a": "1", "/b": "2", "/dir/c": "3", "/dir/save.me": "4", "/sub/f": "f", "/sub/g": "5", "/.old.part": "p"})
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
		before := len(shape(t, here, "/"))
		if _, err := mirror.Run(t.Context(), planned(tree, dst, o)); err == nil {
			t.Errorf("%+v: no error", broken)
		}
		if n := len(shape(t, here, "/")); n != before {
			t.Errorf("%+v: %d names became %d", broken, before, n)
		}
	}
	srv.Heal()
	mustMirror(t, dst, tree, o)
	sameShape(t, shape(t, here, "/"), map[string]string{"keep": "k", "dir/": "", "dir/save.me": "4", "sub/": "", "sub/f": "f"})
}

// TestMirrorInTheWay: what is of another kind is replaced; a directory only with Delete.
func TestMirrorInTheWay(t *testing.T) {
	a, b := fsroot.NewMem(), fsroot.NewMem()
	grow(t, a, map[string]string{"/file": "f", "/dir/x": "x"})
	grow(t, b, map[string]string{"/file/y": "y", "/dir": "d"})
	_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: a, Root: "/"}, To: mirror.Tree{FS: b, Root: "/"}})
	if err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("%v", err)
	}
	sameShape(t, shape(t, b, "/"), map[string]string{"file/": "", "file/y": "y", "dir/": "", "dir/x": "x"})
	mustMirror(t, mirror.Tree{FS: b, Root: "/"}, mirror.Tree{FS: a, Root: "/"}, mirror.Plan{Delete: true})
	sameShape(t, shape(t, b, "/"), shape(t, a, "/"))
}

// TestMirrorCompares: contents, only newer files, permissions.
func TestMirrorCompares(t *testing.T) {
	for _, hash := range []string{"", "HASH"} {
		site, here := fsroot.NewMem(), fsroot.NewMem()
		grow(t, site, map[string]string{"/x/a": "same", "/x/b": "one", "/x/c": "old"})
		grow(t, here, map[string]string{"/a": "same", "/b": "two", "/c": "mine"})
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
		sameShape(t, shape(t, here, "/"), shape(t, site, "/x"))
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

// TestMirrorZone: the zone of a server's LIST is learned by one MDTM, which the next mirror
// over the same connections need not repeat.
func TestMirrorZone(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.Files["/x/a"], f.Files["/x/b"] = "seven!!", "seven!!"
		f.Dirs["/x"] = "-rw-r--r-- 1 o g 7 2024-01-02 05:04 a\r\n-rw-r--r-- 1 o g 7 2024-01-02 05:03 b\r\n"
	})
	here := fsroot.NewMem()
	plant(t, here, "/a", "seven!!", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC))
	plant(t, here, "/b", "seven!!", time.Date(2024, 1, 2, 3, 3, 5, 0, time.UTC))
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	for _, pair := range [][2]mirror.Tree{{{FS: here, Root: "/"}, tree}, {tree, {FS: here, Root: "/"}}} {
		asked := func() (n int) {
			for _, line := range f.Commands() {
				if line == "MDTM /x/a" || line == "MDTM /x/b" {
					n++
				}
			}
			return n
		}
		res, did := mustMirror(t, pair[0], pair[1], mirror.Plan{})
		if res.Unchanged != 2 || len(did) != 0 || asked() != 1 {
			t.Errorf("%+v %q, %d MDTM", res, did, asked())
		}
	}
}

// TestMirrorDateInDoubt: where nothing shows which number is the day, a file is not
// copied again if its time is that of the other reading, and is if it is of neither.
func TestMirrorDateInDoubt(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.On["MDTM"] = fakeserver.Says("500 no")
		f.Files["/x/a"], f.Files["/x/b"] = "seven!!", "seven!!"
		f.Dirs["/x"] = "03/02/2024  05:04 7 a\r\n03/02/2024  05:04 7 b\r\n"
	})
	here := fsroot.NewMem()
	plant(t, here, "/a", "seven!!", time.Date(2024, 2, 3, 5, 4, 5, 0, time.UTC))
	plant(t, here, "/b", "seven!!", time.Date(2024, 12, 3, 5, 4, 5, 0, time.UTC))
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	dst := mirror.Tree{FS: here, Root: "/"}
	res, did := mustMirror(t, dst, tree, mirror.Plan{})
	if res.Unchanged != 1 || !slices.Equal(did, []string{"copy b time"}) {
		t.Errorf("%+v %q", res, did)
	}
	// MDTM removes the doubt.
	f = fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.On["MDTM"] = fakeserver.Says("213 20240302050405")
		f.Files["/x/a"], f.Dirs["/x"] = "seven!!", "03/02/2024  05:04 7 a\r\n"
	})
	tree, _ = remoteTree(t, f.Addr, nil, 1, "/x")
	if res, did := mustMirror(t, dst, tree, mirror.Plan{}); res.Files != 1 || !slices.Equal(did, []string{"copy a time"}) {
		t.Errorf("with MDTM: %+v %q", res, did)
	}
}

// TestMirrorUnread: a directory that the server shows as empty because it can't read it
// is no reason to delete.
func TestMirrorUnread(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.Dirs["-a /x"] = "drwxr-xr-x 1 o g 7 2024-01-02 05:04 .\r\ndrwx--x--x 1 o g 7 2024-01-02 05:04 d\r\n"
		f.Dirs["/x"], f.Dirs["/x/d"], f.Dirs["-a /x/d"] = "", "", ""
	})
	here := fsroot.NewMem()
	grow(t, here, map[string]string{"/d/keep": "k", "/extra": "e"})
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
	if err == nil || !strings.Contains(err.Error(), "readable") || res.Deleted != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	sameShape(t, shape(t, here, "/"), map[string]string{"d/": "", "d/keep": "k"})
}
