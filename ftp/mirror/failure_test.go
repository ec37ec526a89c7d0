package mirror_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
	"miniftp/ftp/mirror"
)

// TestMirrorFailures checks that one failing file does not stop the rest, but a full disk does.
func TestMirrorFailures(t *testing.T) {
	site := fsroot.NewMem()
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("/x/%02d", i)] = "text"
	}
	testutil.Grow(t, site, files)
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
	here := &picky{Fs: fsroot.NewMem(), fails: map[string]error{"/.07.": fs.ErrPermission}}
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}, Parallel: 2})
	var m *mirror.Error
	if !errors.As(err, &m) || m.Path != "07" || !errors.Is(err, fs.ErrPermission) || res.Files != 19 || res.Failed != 1 {
		t.Errorf("%+v, %v; want a failure of 07 only", res, err)
	}
	here = &picky{Fs: fsroot.NewMem(), fails: map[string]error{"/.05.": syscall.ENOSPC}}
	res, err = mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}})
	if !errors.Is(err, syscall.ENOSPC) || res.Files+res.Failed >= 20 {
		t.Errorf("full: %+v, %v", res, err)
	}
	testutil.Grow(t, here.Fs, files)
	srv.Fail("STOR", ftptest.Reply(552, "Quota."))
	up, _ := remoteTree(t, srv.Addr, nil, 1, "/y")
	res, err = mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: up})
	if err == nil || res.Failed != 1 || !strings.Contains(err.Error(), "552") {
		t.Errorf("quota: %+v, %v", res, err)
	}
}

// picky fails to open some files for writing.
type picky struct {
	afero.Fs
	fails map[string]error // by prefixes of names
}

func (p *picky) OpenFile(name string, flag int, mode fs.FileMode) (afero.File, error) {
	for begin, err := range p.fails {
		if strings.HasPrefix(name, begin) && flag&(os.O_WRONLY|os.O_RDWR) != 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	return p.Fs.OpenFile(name, flag, mode)
}

// A listing may hide a directory, or another program may create it meanwhile. Then MKD is refused, but the
// directory exists: its contents are mirrored.
func TestMirrorDirectoryExists(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Dirs["/up"] = ""
		f.On["MKD"] = func(s *fakeserver.Session, arg string) {
			s.Server.SetDir(arg, "-rw-r--r-- 1 a b 9 Jan  1 2020 other\r\n")
			s.Say("550 file exists")
		}
	})
	here := afero.NewMemMapFs()
	if err := afero.WriteFile(here, "/s/.conf/f", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	up, _ := remoteTree(t, f.Addr, nil, 1, "/up")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: up})
	if text, _ := f.File("/up/.conf/f"); err != nil || text != "1" || res.Dirs != 0 {
		t.Errorf("%q, %+v, %v", text, res, err)
	}
	if f.Count("LIST") < 3 {
		t.Errorf("the existing directory was not listed: %q", f.Commands())
	}
}

// TestMirrorWithoutDots checks that all files arrive if names with a leading dot are refused.
func TestMirrorWithoutDots(t *testing.T) {
	here := afero.NewMemMapFs()
	testutil.Must(t, afero.WriteFile(here, "/s/a", []byte("1"), 0o600))
	testutil.Must(t, afero.WriteFile(here, "/s/b", []byte("22"), 0o600))
	for _, reply := range []string{"553 no such names", "550 forbidden filename"} {
		f := fakeserver.New(t, func(f *fakeserver.Server) { fakeserver.Storing(f); fakeserver.NoDots(reply)(f); f.Dirs["/d"] = "" })
		dst, _ := remoteTree(t, f.Addr, nil, 1, "/d")
		_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: dst})
		a, _ := f.File("/d/a")
		if b, _ := f.File("/d/b"); err != nil || a != "1" || b != "22" {
			t.Errorf("%s: %v, %q, %q", reply, err, a, b)
		}
		if n := f.Count("STOR"); n > 4 { // other files may have begun before the first refusal
			t.Errorf("%s: %d times STOR: %q", reply, n, f.Commands())
		}
	}
}

// TestMirrorBetweenReportsLeftovers checks that the error names the file that a failed copy has left on the other
// server, because no later run continues it. The old file is unchanged.
func TestMirrorBetweenReportsLeftovers(t *testing.T) {
	a := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/s/f"] = strings.Repeat("text", 100_000)
		f.Dirs["/s"] = "-rw-r--r-- 1 u u 400000 2024-03-02 10:00 f\r\n"
	})
	b := fakeserver.New(t, func(f *fakeserver.Server) {
		fakeserver.Storing(f)
		f.Files["/d/f"], f.Dirs["/d"] = "old", "-rw-r--r-- 1 u u 3 2020-03-02 10:00 f\r\n"
		f.On["STOR"] = func(s *fakeserver.Session, arg string) {
			s.Say("150 send it")
			c := s.Data()
			some := make([]byte, 1000)
			_, _ = io.ReadFull(c, some)
			s.Server.SetFile(arg, string(some))
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
			s.Say("451 the disk broke")
		}
	})
	src, _ := remoteTree(t, a.Addr, nil, 1, "/s")
	dst, _ := remoteTree(t, b.Addr, nil, 1, "/d")
	_, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst})
	old, _ := b.File("/d/f")
	for _, name := range b.Names() {
		if err == nil || old != "old" || name != "/d/f" && !strings.Contains(err.Error(), name) {
			t.Errorf("%v, %q, %s", err, old, name)
		}
	}
}

// TestMirrorOldFileStays checks that a mirror leaves the old file or the new one, whatever the server refuses.
func TestMirrorOldFileStays(t *testing.T) {
	here := afero.NewMemMapFs()
	transfertest.OldFileStays(t, func(f *fakeserver.Server, text string) error {
		testutil.Must(t, afero.WriteFile(here, "/s/f", []byte(text), 0o600))
		f.SetDir("/d", "-rw-r--r-- 1 u u 12 2020-03-02 10:00 f\r\n")
		dst, _ := remoteTree(t, f.Addr, nil, 1, "/d")
		_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: dst})
		return err
	})
}

// TestMirrorOfAChangedFile checks that a file that changes between two tries is sent whole.
func TestMirrorOfAChangedFile(t *testing.T) {
	transfertest.UploadOfAChangedFile(t, func(f *fakeserver.Server, dir string, failed func()) error {
		dst, _ := remoteTree(t, f.Addr, nil, 1, "/d")
		again := client.Retry{Times: 2, Wait: func(int) time.Duration { return 0 }, Notify: func(error, time.Duration) { failed() }}
		_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: afero.NewOsFs(), Root: dir}, To: dst, Retry: again})
		return err
	})
}
