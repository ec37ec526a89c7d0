package mirror_test

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// TestMirrorNamesLikeParts checks that users' files with names similar to those of parts are copied as files.
func TestMirrorNamesLikeParts(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	files := map[string]string{".foo.part": "1", "a.part": "2", ".x.upload": "3"}
	testutil.Grow(t, site, map[string]string{"/x/.foo.part": "1", "/x/a.part": "2", "/x/.x.upload": "3"})
	to := mirror.Tree{FS: here, Root: "/"}
	for range 2 {
		mustMirror(t, to, mirror.Tree{FS: site, Root: "/x"}, mirror.Plan{Delete: true})
		testutil.SameShape(t, testutil.Shape(t, here, "/"), files)
	}
}

// TestMirrorHostileNames checks that nothing is written outside of the tree, through a link, or to another name.
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
			t.Errorf("got %v, want a NameError and \"twice\"", err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(in, "good")); err != nil || string(b) != "hostile" {
		t.Errorf("good: %q, %v", b, err)
	}
	if names, _ := os.ReadDir(victim); len(names) != 0 {
		t.Errorf("written through a link: %v", names)
	}
	if names, _ := os.ReadDir(top); len(names) != 2 {
		t.Errorf("written outside: %v", names)
	}
	if _, err := os.Lstat(filepath.Join(in, "loop", "again")); err != nil {
		t.Error(err)
	}
}

// TestMirrorUploadNames checks that names like those of miniftp's own partial uploads are ordinary names on other
// servers.
func TestMirrorUploadNames(t *testing.T) {
	s := peers.Start(t, "vsftpd", t.TempDir(), peers.Options{})
	site := afero.NewBasePathFs(afero.NewOsFs(), s.Root)
	testutil.Grow(t, site, map[string]string{"/.x.upload": "x", "/.h": "h", "/.hd/x": "y"})
	tree, pool := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "")
	here := fsroot.NewMem()
	mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Delete: true})
	testutil.SameShape(t, testutil.Shape(t, here, "/"), map[string]string{".x.upload": "x", ".h": "h", ".hd/": "", ".hd/x": "y"})
	err := pool.Do(t.Context(), func(c *client.Client) error {
		n := 0
		for _, err := range c.List(t.Context(), "") {
			if n++; err != nil {
				t.Errorf("List: %v", err)
			}
		}
		if n != 3 {
			t.Errorf("List: %d entries", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
