package mirror_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
	"miniftp/ftp/server"
)

// TestMirrorPartialListing checks that nothing is deleted because of a listing that says it is incomplete, or that
// ends within a line. The files that are listed are copied.
func TestMirrorPartialListing(t *testing.T) {
	const a = "type=file;size=7;modify=20240102030405; a\r\n"
	const la = "-rw-r--r-- 1 o g 7 Jan  2 2024 a\r\n"
	for name, tt := range map[string]struct {
		feat, lines, final string
		files              int64
	}{
		"truncated":         {"MLST type*;", a, "226 Output truncated to 1 matches", 1},
		"truncated LIST":    {"SIZE", la, "226-Output truncated to 1 matches\r\n226 done", 1},
		"unreadable":        {"SIZE", "", "226 Transfer done (but failed to open directory).", 0},
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
			testutil.Grow(t, here, map[string]string{"/bbbb": "b", "/c": "c"})
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
			if err == nil || res.Deleted != 0 || res.Files != tt.files || res.Failed != 1 {
				t.Errorf("from: %+v, %v", res, err)
			}
			all := testutil.Shape(t, here, "/")
			if _, invented := all["bb"]; invented || len(all) != 2+int(tt.files) {
				t.Errorf("%q", all)
			}
		})
	}
	// A LIST may end without a line end, and its last name may then be cut: nothing is deleted because
	// of it.
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
	testutil.Grow(t, whole, map[string]string{"/bbbb": "b"})
	if res, err := mirror.Run(t.Context(), mirror.Plan{From: halves, To: mirror.Tree{FS: whole, Root: "/"}, Delete: true}); err != nil || res.Deleted != 0 || res.Files != 2 {
		t.Errorf("%+v, %v; want two files and no deletion", res, err)
	}
	// The same at the destination: a file is not copied again because an incomplete listing lacks it.
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
	testutil.Grow(t, here, map[string]string{"/a": "seven!!", "/b": "b"})
	res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: tree, Delete: true})
	if !errors.Is(err, client.ErrPartial) || res.Files != 0 || f.Count("STOR") != 0 {
		t.Errorf("to: %+v, %v", res, err)
	}
}

// TestMirrorNoPermissionToList checks that nothing is deleted below a directory that the server can't open.
func TestMirrorNoPermissionToList(t *testing.T) {
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			if os.Getuid() == 0 && name != "pure-ftpd" {
				t.Skip("the server runs as root and can open any directory")
			}
			dir := t.TempDir()
			s := peers.Start(t, name, dir, peers.Options{})
			here := fsroot.NewMem()
			testutil.Grow(t, here, map[string]string{"/closed/keep": "k", "/closed/sub/keep": "k"})
			if err := os.Mkdir(filepath.Join(dir, "closed"), 0o311); err != nil {
				t.Fatal(err)
			}
			tree, pool := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "")
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
			if err == nil || res.Deleted != 0 {
				t.Errorf("%+v, %v; want an error and no deletion", res, err)
			}
			testutil.SameShape(t, testutil.Shape(t, here, "/"), map[string]string{"closed/": "", "closed/keep": "k", "closed/sub/": "", "closed/sub/keep": "k"})
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

// TestMirrorTruncatedListing uses pure-ftpd, which lists at most ten thousand names. The rest is not deleted, and a
// directory with more names can still be removed.
func TestMirrorTruncatedListing(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	dir := t.TempDir()
	here := fsroot.NewMem()
	const files = 10_050
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		testutil.Plant(t, here, fmt.Sprint("/", i), "", old)
	}
	s := peers.Start(t, "pure-ftpd", dir, peers.Options{})
	tree, pool := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "/")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true, DryRun: true})
	if !errors.Is(err, client.ErrPartial) || res.Deleted != 0 || res.Files == 0 {
		t.Errorf("%+v, %v; want ErrPartial, some files and no deletion", res, err)
	}
	// An error is expected: "/" itself can't be removed.
	_ = pool.Do(t.Context(), func(c *client.Client) error { return c.RemoveAll(t.Context(), "/") })
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}

// TestMirrorPattern uses a server like vsftpd, which treats the path of a directory that it can't open as a
// pattern, unless a slash follows.
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
	testutil.Grow(t, here, map[string]string{"/keep": "k"})
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Delete: true})
	if err == nil || !strings.Contains(err.Error(), "failed to open") || res.Deleted+res.Dirs != 0 {
		t.Errorf("%+v, %v; want \"failed to open\" and no change", res, err)
	}
	_, p := remoteTree(t, f.Addr, nil, 1, "") // a new Pool, which knows nothing of the server yet
	testutil.Must(t, p.Do(t.Context(), func(c *client.Client) error {
		for e, err := range c.List(t.Context(), "/x/d") {
			if err == nil {
				t.Errorf("listed %q", e.Name)
			}
		}
		return nil
	}))
}

// TestMirrorWithoutTypes checks that each name is asked for if MLSD does not report types.
func TestMirrorWithoutTypes(t *testing.T) {
	const n = 30
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST size*;modify*;", "SIZE", "MDTM", "EPSV"}
		list := ""
		for i := range n {
			name := fmt.Sprintf("f%02d", i)
			f.Files["/d/"+name] = "text"
			list += "size=4;modify=20240102030405; " + name + "\r\n"
		}
		f.Dirs["/d"] = list
		f.On["MLST"] = func(s *fakeserver.Session, arg string) {
			if _, ok := s.Server.Dirs[arg]; ok {
				s.Raw("250-x\r\n modify=20240102030405; " + arg + "\r\n250 end\r\n")
			} else {
				s.Raw("250-x\r\n size=4;modify=20240102030405; " + arg + "\r\n250 end\r\n")
			}
		}
	})
	here := afero.NewMemMapFs()
	src, _ := remoteTree(t, f.Addr, nil, 1, "/d")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: mirror.Tree{FS: here, Root: "/d"}})
	if err != nil || res.Files != n {
		var no *ftp.Error
		t.Errorf("%+v, %v, %v", res, err, errors.As(err, &no))
	}
}

// A listing that does not begin or end as it should is incomplete: names that it lacks are not deleted on the
// other side.
func TestPartialListingDeletesNothing(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	cut := func(s *fakeserver.Session, _ string) { // no close_notify, as if an attacker had cut it
		s.Say("150 here")
		c := s.Data().(*tls.Conn)
		_, _ = io.WriteString(c, "type=file;size=1;modify=20240102030405; a\r\n")
		raw := c.NetConn().(*net.TCPConn)
		_ = raw.CloseWrite()
		_, _ = io.Copy(io.Discard, raw)
		_ = raw.Close()
		s.Say("226 done")
	}
	bare := func(s *fakeserver.Session, _ string) {
		s.Send("")
		s.Say("226 done")
	}
	for name, x := range map[string]struct {
		mlsd, list func(*fakeserver.Session, string)
	}{
		"cut": {cut, cut}, "not begun": {bare, bare},
	} {
		t.Run(name, func(t *testing.T) {
			cert, err := server.SelfSigned()
			testutil.Must(t, err)
			o := &client.Options{TLS: client.ExplicitTLS, TLSConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
			o.TLSConfig.RootCAs.AddCert(cert.Leaf)
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Secure(&tls.Config{Certificates: []tls.Certificate{cert}})
				f.Feat, f.Dirs["/d"], f.On["MLSD"], f.On["LIST"] = fakeserver.MLST, "", x.mlsd, x.list
			})
			src, _ := remoteTree(t, f.Addr, o, 1, "/d")
			dst := threeFiles(t)
			res, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst, Delete: true})
			if !errors.Is(err, client.ErrPartial) || res.Deleted != 0 {
				t.Errorf("%+v, %v; want ErrPartial and no deletion", res, err)
			}
			if _, err := dst.FS.Stat("/x/c"); err != nil {
				t.Error(err)
			}
		})
	}
}

// threeFiles returns a local tree /x with a, b and c, which have the times in the fake servers' listings.
func threeFiles(t *testing.T) mirror.Tree {
	t.Helper()
	dst := afero.NewMemMapFs()
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, name := range []string{"/x/a", "/x/b", "/x/c"} {
		if err := errors.Join(afero.WriteFile(dst, name, []byte("1"), 0o644), dst.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	return mirror.Tree{FS: dst, Root: "/x"}
}

// TestMirrorIgnoredPath checks that nothing is deleted by mistake if a server lists the current directory whatever
// path it is given.
func TestMirrorIgnoredPath(t *testing.T) {
	for _, verb := range []string{"MLSD", "LIST"} {
		t.Run(verb, func(t *testing.T) {
			src, _ := remoteTree(t, fakeserver.New(t, fakeserver.IgnoringPaths(verb)).Addr, nil, 2, "/sub")
			dst := threeFiles(t)
			for _, name := range []string{"b", "c"} {
				_ = dst.FS.MkdirAll("/x/deep", 0o755)
				testutil.Must(t, dst.FS.Rename("/x/"+name, "/x/deep/"+name))
			}
			res, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst, Delete: true})
			if err != nil || res.Deleted != 0 || res.Unchanged+res.Files != 3 {
				t.Errorf("%+v, %v; want three files and no deletion", res, err)
			}
		})
	}
}
