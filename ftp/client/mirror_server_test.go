package client_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// TestMirrorPartialListing: what a listing does not have that says that it is not all, or
// that ends in half a line, is not deleted; what it has is copied.
func TestMirrorPartialListing(t *testing.T) {
	const a = "type=file;size=7;modify=20240102030405; a\r\n"
	const la = "-rw-r--r-- 1 o g 7 Jan  2 2024 a\r\n"
	for name, tt := range map[string]struct {
		feat, lines, final string
		files              int64
	}{
		"truncated":         {"MLST type*;", a, "226 Output truncated to 1 matches", 1},
		"truncated LIST":    {"SIZE", la, "226-Output truncated to 1 matches\r\n226 done", 1},
		"not opened":        {"SIZE", "", "226 Transfer done (but failed to open directory).", 0},
		"half a line":       {"MLST type*;", a + "type=file;size=7; bb", "226 done", 0},
		"half a LIST line":  {"SIZE", la + "-rw-r--r-- 1 o g 7 Jan  2 2024", "226 done", 1},
		"only half of LIST": {"SIZE", "-rw-r--r-- 1 o g 7 Jan  2 20", "226 done", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Feat = []string{tt.feat}
				f.Dirs["/x"], f.Files["/x/a"] = "", "seven!!"
				send := func(s *fakeserver.Session, _ string) { s.Say("150 yes"); s.Send(tt.lines); s.Say(tt.final) }
				f.On["MLSD"], f.On["LIST"] = send, send
			})
			tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
			here := fsroot.NewMem()
			grow(t, here, map[string]string{"/bbbb": "b", "/c": "c"})
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
			if err == nil || res.Deleted != 0 || res.Files != tt.files || res.Failed != 1 {
				t.Errorf("from: %+v, %v", res, err)
			}
			all := shape(t, here, "/")
			if _, invented := all["bb"]; invented || len(all) != 2+int(tt.files) {
				t.Errorf("%q", all)
			}
		})
	}
	// A LIST may end without the end of its last line, and then its last name may be half
	// of another one: nothing is deleted by it.
	half := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"SIZE"}
		f.Dirs["/x"], f.Files["/x/a"], f.Files["/x/bb"] = "", "seven!!", "seven!!"
		f.On["LIST"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			s.Send(la + strings.TrimSuffix(strings.Replace(la, " a\r\n", " bb\r\n", 1), "\r\n"))
			s.Say("226 done")
		}
	})
	halves, _ := remoteTree(t, half.Addr, nil, 1, "/x")
	whole := fsroot.NewMem()
	grow(t, whole, map[string]string{"/bbbb": "b"})
	if res, err := mirror.Run(t.Context(), mirror.Plan{From: halves, To: mirror.Tree{FS: whole, Root: "/"}, Delete: true}); err != nil || res.Deleted != 0 || res.Files != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	// At the destination: nothing is copied again because it is not shown.
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST type*;"}
		f.On["MLSD"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			s.Send(a)
			s.Say("226 Output truncated to 1 matches")
		}
		f.On["MLST"] = func(s *fakeserver.Session, _ string) { s.Raw("250-\r\n type=dir; x\r\n250 End\r\n") }
	})
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	here := fsroot.NewMem()
	grow(t, here, map[string]string{"/a": "seven!!", "/b": "b"})
	res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: tree, Delete: true})
	if !errors.Is(err, client.ErrPartial) || res.Files != 0 || f.Count("STOR") != 0 {
		t.Errorf("to: %+v, %v", res, err)
	}
}

// TestMirrorClosed: under a directory that the server can't open nothing is deleted.
func TestMirrorClosed(t *testing.T) {
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			if os.Getuid() == 0 && name != "pure-ftpd" {
				t.Skip("it serves as root, who opens all")
			}
			dir := t.TempDir()
			s := peers.Start(t, name, dir, peers.Options{})
			here := fsroot.NewMem()
			grow(t, here, map[string]string{"/closed/keep": "k", "/closed/sub/keep": "k"})
			if err := os.Mkdir(filepath.Join(dir, "closed"), 0o311); err != nil {
				t.Fatal(err)
			}
			tree, pool := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "")
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
			if err == nil || res.Deleted != 0 {
				t.Errorf("%+v, %v", res, err)
			}
			sameShape(t, shape(t, here, "/"), map[string]string{"closed/": "", "closed/keep": "k", "closed/sub/": "", "closed/sub/keep": "k"})
			err = pool.Do(t.Context(), func(c *client.Client) error {
				for e, err := range c.List(t.Context(), "closed") {
					if err == nil {
						t.Errorf("listed %q", e.Name)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMirrorTenThousand: pure-ftpd lists no more names than that. What is not listed is
// not deleted, and a directory of more is removed all the same.
func TestMirrorTenThousand(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	dir := t.TempDir()
	here := fsroot.NewMem()
	const files = 10_050
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		plant(t, here, fmt.Sprint("/", i), "", old)
	}
	s := peers.Start(t, "pure-ftpd", dir, peers.Options{})
	tree, pool := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "/")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true, DryRun: true})
	if !errors.Is(err, client.ErrPartial) || res.Deleted != 0 || res.Files == 0 {
		t.Errorf("%+v, %v", res, err)
	}
	_ = pool.Do(t.Context(), func(c *client.Client) error { return c.RemoveAll(t.Context(), "/") }) // all but "/" itself
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}

// TestMirrorPattern: a server like vsftpd, on which a directory that can't be opened is a
// pattern unless a slash is behind it.
func TestMirrorPattern(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Dirs["/x/d"] = ""
		f.On["LIST"] = func(s *fakeserver.Session, arg string) {
			s.Say("150 here it comes")
			if !strings.HasSuffix(arg, "/") {
				s.Send("d--x--x--x 2 o g 4096 Jan  2 2024 d\r\n")
				s.Say("226 Directory send OK.")
				return
			}
			s.Send("")
			s.Say("226 Transfer done (but failed to open directory).")
		}
	})
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x/d")
	f.Dirs["/x/d"] = ""
	here := fsroot.NewMem()
	grow(t, here, map[string]string{"/keep": "k"})
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
	if err == nil || !strings.Contains(err.Error(), "failed to open") || res.Deleted+res.Dirs != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	c := dial(t, f, nil)
	for e, err := range c.List(t.Context(), "/x/d") {
		if err == nil {
			t.Errorf("listed %q", e.Name)
		}
	}
}

// TestMirrorDryRunSendsNothing that changes the server.
func TestMirrorDryRunSendsNothing(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST type*;size*;modify*;", "MFMT"}
		f.Files["/x/a"] = "another"
		f.On["MLST"] = func(s *fakeserver.Session, _ string) { s.Raw("250-\r\n type=dir; x\r\n250 End\r\n") }
		f.Dirs["/x"] = "type=file;size=7;modify=20240102030405; a\r\ntype=OS.unix=slink:b; l\r\n"
	})
	here := fsroot.NewMem()
	plant(t, here, "/a", "seven!!", old)
	plant(t, here, "/new", "new", old)
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	for _, o := range []mirror.Plan{{}, {Checksum: true}, {Delete: true, Perms: true, Links: mirror.CopyLinks}} {
		o.DryRun = true
		_, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, o)
		if !o.Checksum && !slices.Contains(did, "copy a time") {
			t.Errorf("%q", did)
		}
	}
	for _, line := range f.Commands() {
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "MFMT", "SITE", "STOR", "DELE", "RMD", "MKD", "RNFR":
			t.Errorf("sent %q", line)
		}
	}
}

// TestMirrorRefusedTimes: a time that the server does not take is that of one file. A
// second run transfers nothing, and one that differs in size is copied.
func TestMirrorRefusedTimes(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	srv := ftptest.NewServer(t, site)
	early, late := time.Date(1965, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC)
	plant(t, here, "/a-1965", "one", early)
	plant(t, here, "/b-2040", "two", late)
	tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
	src := mirror.Tree{FS: here, Root: "/"}
	for _, verb := range []string{"MFMT", "MDTM"} {
		srv.Fail(verb, ftptest.Reply(501, "Invalid time."))
	}
	srv.Fail("SITE", ftptest.Reply(501, "Invalid time."))
	mustMirror(t, tree, src, mirror.Plan{})
	srv.Heal("MFMT", "MDTM", "SITE")
	plant(t, here, "/c", "three", old)
	plant(t, here, "/d", "four", old)
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
	plant(t, here, "/a-1965", "longer", early)
	if res, did := mustMirror(t, tree, src, mirror.Plan{}); res.Files != 1 {
		t.Errorf("changed: %+v %q", res, did)
	}
}

// TestMirrorTimesPeers: odd times on the stock servers: the others keep theirs, and a
// second run transfers nothing.
func TestMirrorTimesPeers(t *testing.T) {
	t.Parallel()
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := peers.Start(t, name, dir, peers.Options{})
			here := fsroot.NewMem()
			plant(t, here, "/a-1965", "one", time.Date(1965, 1, 2, 3, 4, 5, 0, time.UTC))
			plant(t, here, "/b-2040", "two", time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC))
			plant(t, here, "/c", "three", old)
			tree, _ := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "up")
			mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{})
			if info, err := os.Stat(filepath.Join(dir, "up", "c")); err != nil || !info.ModTime().Equal(old) {
				t.Errorf("%v, %v", info, err)
			}
			if res, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, mirror.Plan{}); res.Files != 0 {
				t.Errorf("again: %+v %q", res, did)
			}
		})
	}
}

// TestMirrorPermsRefused: the files are there, and it is told once.
func TestMirrorPermsRefused(t *testing.T) {
	for _, code := range []string{"550", "502"} {
		site, here := fsroot.NewMem(), fsroot.NewMem()
		srv := ftptest.NewServer(t, site)
		grow(t, here, map[string]string{"/a": "1", "/b": "2", "/d/c": "3"})
		if srv.Fail("SITE", ftptest.Reply(550, "Permission denied.")); code == "502" {
			srv.Fail("SITE", ftptest.Refuse())
		}
		tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
		var a actions
		res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: tree, Perms: true, Observe: a.observe})
		if err == nil || res.Files != 3 || res.Failed != 1 {
			t.Errorf("%s: %+v, %v, %q", code, res, err, a.sorted())
		}
		sameShape(t, shape(t, site, "/x"), map[string]string{"a": "1", "b": "2", "d/": "", "d/c": "3"})
	}
}

// TestMirrorLinksPeers: links of the stock servers, whether their MLSD tells of them or
// not: made as links where they lead, and followed to an early end.
func TestMirrorLinksPeers(t *testing.T) {
	t.Parallel()
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			site := afero.NewBasePathFs(afero.NewOsFs(), dir)
			grow(t, site, map[string]string{"/f": "f", "/sub/g": "g"})
			for link, to := range map[string]string{"l": "f", "sub/self": ".", "sub/up": "..", "to-sub": "sub"} {
				if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
					t.Skip(err)
				}
			}
			s := peers.Start(t, name, dir, peers.Options{})
			tree, _ := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "")
			to := t.TempDir()
			dst, err := fsroot.OpenRoot(to)
			if err != nil {
				t.Fatal(err)
			}
			defer dst.Close()
			there := mirror.Tree{FS: dst.WithUpwardLinks(), Root: "/"}
			_, did := mustMirror(t, there, tree, mirror.Plan{Links: mirror.CopyLinks})
			wants := map[string]string{"l": "f", "sub/self": ".", "sub/up": "..", "to-sub": "sub"}
			skips := 0
			if name == "proftpd" { // its LIST leaves out what leads to "." and ".."
				delete(wants, "sub/self")
				delete(wants, "sub/up")
				skips = 2
			}
			for link, want := range wants {
				if got, err := os.Readlink(filepath.Join(to, link)); got != want {
					t.Errorf("%s: %q, %v; %q", link, got, err, did)
				}
			}
			if _, did := mustMirror(t, there, tree, mirror.Plan{Links: mirror.CopyLinks, Delete: true}); len(did) != skips {
				t.Errorf("again: %q", did)
			}
			mem := fsroot.NewMem()
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: mem, Root: "/"}, Links: mirror.FollowLinks})
			if !errors.Is(err, client.ErrTooDeep) || !strings.Contains(err.Error(), "leads back") || res.Dirs > 2 || res.Failed > 4 {
				t.Errorf("follow: %+v, %v", res, err)
			}
			sameShape(t, shape(t, mem, "/"), map[string]string{"f": "f", "l": "f", "sub/": "", "sub/g": "g", "to-sub/": "", "to-sub/g": "g"})
		})
	}
}

// TestMirrorNoSymlink: a server that makes no links is told of by the plan, too, and what
// is in the way of one stays.
func TestMirrorNoSymlink(t *testing.T) {
	dir := t.TempDir()
	here, err := fsroot.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	grow(t, here, map[string]string{"/f": "f"})
	if err := os.Symlink("f", filepath.Join(dir, "l")); err != nil {
		t.Skip(err)
	}
	site := fsroot.NewMem()
	grow(t, site, map[string]string{"/x/f": "f", "/x/l": "mine"})
	srv := ftptest.NewServer(t, site)
	srv.Fail("SITE", ftptest.Reply(500, "Unknown SITE command."))
	for _, dry := range []bool{true, false} {
		tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
		res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: tree, Links: mirror.CopyLinks, Delete: true, DryRun: dry})
		if err == nil || !strings.Contains(err.Error(), "500 Unknown") || res.Failed != 1 || res.Deleted != 0 {
			t.Errorf("dry %v: %+v, %v", dry, res, err)
		}
	}
	if got := shape(t, site, "/x")["l"]; got != "mine" {
		t.Errorf("%q", got)
	}
}

// TestMirrorUploadNames: names like those of miniftp's own uploads are names on others.
func TestMirrorUploadNames(t *testing.T) {
	s := peers.Start(t, "vsftpd", t.TempDir(), peers.Options{})
	site := afero.NewBasePathFs(afero.NewOsFs(), s.Root)
	grow(t, site, map[string]string{"/.x.upload": "x", "/.h": "h", "/.hd/x": "y"})
	tree, pool := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "")
	here := fsroot.NewMem()
	mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Delete: true})
	sameShape(t, shape(t, here, "/"), map[string]string{".x.upload": "x", ".h": "h", ".hd/": "", ".hd/x": "y"})
	err := pool.Do(t.Context(), func(c *client.Client) error {
		entries, errs := collect(t, c, "")
		if len(entries) != 3 || errs != nil {
			t.Errorf("List: %v, %v", entries, errs)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
