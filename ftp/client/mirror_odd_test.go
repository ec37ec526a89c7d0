package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/mirror"
	"miniftp/ftp/server"
)

// TestMirrorFailures: one failing file does not stop the rest; a full disk does.
func TestMirrorFailures(t *testing.T) {
	site := fsroot.NewMem()
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("/x/%02d", i)] = "text"
	}
	grow(t, site, files)
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
	here := &picky{Fs: fsroot.NewMem(), fails: map[string]error{"/.07.": fs.ErrPermission}}
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Parallel: 2})
	var m *mirror.Error
	if !errors.As(err, &m) || m.Path != "07" || !errors.Is(err, fs.ErrPermission) || res.Files != 19 || res.Failed != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	here = &picky{Fs: fsroot.NewMem(), fails: map[string]error{"/.05.": syscall.ENOSPC}}
	res, err = mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}})
	if !errors.Is(err, syscall.ENOSPC) || res.Files+res.Failed >= 20 {
		t.Errorf("full: %+v, %v", res, err)
	}
	grow(t, here.Fs, files)
	srv.Fail("STOR", ftptest.Reply(552, "Quota."))
	up, _ := remoteTree(t, srv.Addr, nil, 1, "/y")
	res, err = mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: up})
	if err == nil || res.Failed != 1 || !strings.Contains(err.Error(), "552") {
		t.Errorf("quota: %+v, %v", res, err)
	}
}

// picky fails to open some files to write.
type picky struct {
	afero.Fs
	fails map[string]error // by how names begin
}

func (p *picky) OpenFile(name string, flag int, mode fs.FileMode) (afero.File, error) {
	for begin, err := range p.fails {
		if strings.HasPrefix(name, begin) && flag&(os.O_WRONLY|os.O_RDWR) != 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	return p.Fs.OpenFile(name, flag, mode)
}

// TestMirrorCancel: an end of the context ends it soon, and leaves what the next run
// goes on with.
func TestMirrorCancel(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	big := string(noise(3_000_000))
	grow(t, site, map[string]string{"/x/big": big, "/x/z": "z"})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
	srv.Fail("RETR", ftptest.StallAfter(1_000_000))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	_, err := mirror.Run(ctx, mirror.Plan{
		From: tree, To: mirror.Tree{FS: here, Root: "/"}, Parallel: 2,
		Progress: func(name string, done, _ int64) {
			if name == "big" && done > 100_000 {
				cancel(why)
			}
		},
	})

	if !errors.Is(err, why) {
		t.Fatalf("%v", err)
	}
	if info := partOf(t, here, "big"); info == nil || info.Size() < 100_000 {
		t.Fatalf("no part is left: %v", info)
	}
	srv.Heal()
	from := moved(srv, "RETR")
	mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Delete: true})
	sameShape(t, shape(t, here, "/"), map[string]string{"big": big, "z": "z"})
	if n := moved(srv, "RETR") - from; n > 2_910_000 {
		t.Errorf("%d bytes went over in the second run", n)
	}
}

// partOf is the part of a file at the top of a tree; nil if there is none.
func partOf(t *testing.T, fsys afero.Fs, name string) fs.FileInfo {
	t.Helper()
	infos, err := afero.ReadDir(fsys, "/")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name(), "."+name+".") && strings.HasSuffix(info.Name(), ".part") {
			return info
		}
	}
	return nil
}

// TestMirrorPartOfAnotherVersion: what an interrupted run left of a file is not gone on
// with when the file is another one by then, were it older, of the same size, and the
// same where the part ends.
func TestMirrorPartOfAnotherVersion(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	one := strings.Repeat("1", 1_000_000) + strings.Repeat("-", 1_000_000)
	two := strings.Repeat("2", 1_000_000) + strings.Repeat("-", 1_000_000)
	grow(t, site, map[string]string{"/x/big": one})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
	srv.Fail("RETR", ftptest.ShortAfter(1_500_000))
	if _, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}}); err == nil {
		t.Fatal("no error")
	}
	if info := partOf(t, here, "big"); info == nil || info.Size() < 1_004_096 {
		t.Fatalf("no part is left: %v", info)
	}
	srv.Heal()
	grow(t, site, map[string]string{"/x/big": two})
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := site.Chtimes("/x/big", old, old); err != nil {
		t.Fatal(err)
	}
	mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Delete: true})
	sameShape(t, shape(t, here, "/"), map[string]string{"big": two})
}

// TestMirrorNamesLikeParts: files of people that look like parts are files.
func TestMirrorNamesLikeParts(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	files := map[string]string{".foo.part": "1", "a.part": "2", ".x.upload": "3"}
	grow(t, site, map[string]string{"/x/.foo.part": "1", "/x/a.part": "2", "/x/.x.upload": "3"})
	to := mirror.Tree{FS: here, Root: "/"}
	for range 2 {
		mustMirror(t, to, mirror.Tree{FS: site, Root: "/x"}, mirror.Plan{Delete: true})
		sameShape(t, shape(t, here, "/"), files)
	}
}

// TestMirrorLinks: left out, followed without end, or made if they stay inside.
func TestMirrorLinks(t *testing.T) {
	dir := t.TempDir()
	src, err := fsroot.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	grow(t, src, map[string]string{"/f": "file", "/sub/g": "g"})
	for name, to := range map[string]string{"to-f": "f", "to-sub": "sub", "sub/up": "..", "sub/self": ".", "dead": "nope", "sub/to-f": "../f"} {
		if err := os.Symlink(filepath.FromSlash(to), filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	addr := serveHere(t, src, "127.0.0.1")
	remote, _ := remoteTree(t, addr, &client.Options{User: "u", Password: "p"}, 2, "/")
	for from, tree := range map[string]mirror.Tree{"disk": {FS: src, Root: "/"}, "server": remote} {
		for policy, want := range map[mirror.LinkPolicy]map[string]string{
			mirror.SkipLinks:   {"f": "file", "sub/": "", "sub/g": "g"},
			mirror.FollowLinks: {"f": "file", "sub/": "", "sub/g": "g", "to-f": "file", "sub/to-f": "file", "to-sub/": "", "to-sub/g": "g", "to-sub/to-f": "file"},
			mirror.CopyLinks:   {"f": "file", "sub/": "", "sub/g": "g", "to-f": "link", "to-sub": "link", "sub/self": "link", "sub/up": "link", "sub/to-f": "link", "dead": "link"},
		} {
			to := t.TempDir()
			dst, err := fsroot.OpenRoot(to)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: dst.WithUpwardLinks(), Root: "/"}, Links: policy})
			got := shape(t, afero.NewBasePathFs(afero.NewOsFs(), to), "/")
			_ = dst.Close()
			t.Log(from, policy)
			sameShape(t, got, want)
		}
	}
}

// TestMirrorHostileNames: nothing is written outside, through a link, or in place of
// another name.
func TestMirrorHostileNames(t *testing.T) {
	var lines strings.Builder
	for _, name := range []string{"..", "../x", "/abs", "a/b", "C:x", "good", "..\\x", "|cmd", "-rf", "nul\x00byte", strings.Repeat("n", 300)} {
		fmt.Fprintf(&lines, "type=file;size=7;modify=20240102030405; %s\r\n", name)
	}
	lines.WriteString("type=OS.unix=slink:../victim; d\r\ntype=dir; d\r\ntype=dir; loop\r\n")
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST type*;size*;modify*;", "SIZE"}
		f.On["MLSD"] = func(s *fakeserver.Session, arg string) {
			s.Say("150 here it comes")
			if path.Base(arg+s.Dir) == "x" {
				s.Send(lines.String())
			} else {
				s.Send("type=dir;unique=1; again\r\ntype=file;size=7;modify=20240102030405; in\r\n")
			}
			s.Say("226 done")
		}
		f.On["CWD"] = func(s *fakeserver.Session, arg string) { s.Dir = arg; s.Say("250 there") }
		f.On["PWD"] = func(s *fakeserver.Session, _ string) { s.Say(`257 "/"`) }
		f.On["SIZE"] = func(s *fakeserver.Session, _ string) { s.Say("213 7") }
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 here it comes")
			s.Send("hostile")
			s.Say("226 done")
		}
	})
	top := t.TempDir()
	victim, in := filepath.Join(top, "victim"), filepath.Join(top, "in")
	for _, dir := range []string{victim, in} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	for _, links := range []mirror.LinkPolicy{mirror.SkipLinks, mirror.CopyLinks} {
		_, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: afero.NewOsFs(), Root: in}, Links: links, Delete: true})
		var name *client.NameError
		if !errors.As(err, &name) || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%v", err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(in, "good")); err != nil || string(b) != "hostile" {
		t.Errorf("good: %q, %v", b, err)
	}
	if names, _ := os.ReadDir(victim); len(names) != 0 {
		t.Errorf("written through a link: %v", names)
	}
	if names, _ := os.ReadDir(top); len(names) != 2 {
		t.Errorf("outside: %v", names)
	}
	if _, err := os.Lstat(filepath.Join(in, "loop", "again")); err != nil {
		t.Error(err)
	}
}

// TestMirrorFewConnections: a server that lets in fewer is no error.
func TestMirrorFewConnections(t *testing.T) {
	site := fsroot.NewMem()
	files := map[string]string{}
	for i := range 60 {
		files[fmt.Sprintf("/x/d%d/f%d", i%7, i)] = strings.Repeat("x", i*100)
	}
	grow(t, site, files)
	srv := ftptest.NewServer(t, site, ftptest.WithOptions(func(o *server.Options) { o.MaxSessions = 2 }))
	tree, pool := remoteTree(t, srv.Addr, nil, 6, "/x")
	here := fsroot.NewMem()
	res, _ := mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Parallel: 6})
	if res.Files != 60 || pool.Size() > 2 {
		t.Errorf("%+v over %d", res, pool.Size())
	}
	sameShape(t, shape(t, here, "/"), shape(t, site, "/x"))
}

// TestMirrorMinutes: the times of files are asked for only where the minute of LIST does not
// decide: once for each week, as the server's zone may be another one in summer.
func TestMirrorMinutes(t *testing.T) {
	names := []string{"a", "b", "c", "p", "q", "r"}
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = nil
		f.Files["/x/a"] = "seven!!"
		for _, name := range names {
			f.Files["/x/"+name] = "seven!!"
			day := "2024-01-02 05:04"
			if name >= "p" {
				day = "2024-07-02 06:04"
			}
			f.Dirs["/x"] += "-rw-r--r-- 1 o g 7 " + day + " " + name + "\r\n"
		}
		f.On["MDTM"] = func(s *fakeserver.Session, arg string) {
			if arg >= "/x/p" {
				s.Say("213 20240702030405")
				return
			}
			s.Say("213 20240102030405")
		}
	})
	here := fsroot.NewMem()
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	res, _ := mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{})
	var asked []string
	for _, line := range f.Commands() {
		if name, ok := strings.CutPrefix(line, "MDTM /x/"); ok {
			asked = append(asked, name)
		}
	}
	if res.Files != 6 || !slices.Equal(asked, []string{"a", "p"}) {
		t.Errorf("%+v, MDTM of %q", res, asked)
	}
	for _, name := range names {
		want := time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC)
		switch {
		case name == "p":
			want = time.Date(2024, 7, 2, 3, 4, 5, 0, time.UTC)
		case name > "p":
			want = time.Date(2024, 7, 2, 3, 4, 0, 0, time.UTC)
		}
		if info, err := here.Stat("/" + name); err != nil || !info.ModTime().Equal(want) {
			t.Errorf("%s: %v, %v", name, info.ModTime(), err)
		}
	}
}
