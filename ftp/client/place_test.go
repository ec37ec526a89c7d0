package client_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/mirror"
)

// TestOldFileStays: whatever a server refuses of putting a new file in the place of an old
// one, one of the two is there under the name, and what has another name is told.
func TestOldFileStays(t *testing.T) {
	refuse := map[string]func(f *fakeserver.Server){
		"nothing":     func(*fakeserver.Server) {},
		"RNFR":        func(f *fakeserver.Server) { f.On["RNFR"] = fakeserver.Says("550 no") },
		"RNTO":        func(f *fakeserver.Server) { f.On["RNTO"] = fakeserver.Says("553 no") },
		"RNTO, quota": func(f *fakeserver.Server) { f.On["RNTO"] = fakeserver.Says("552 quota exceeded") },
		"RNTO, RNFR and STOR behind": func(f *fakeserver.Server) {
			f.On["RNFR"] = fakeserver.Says("550 no")
			stor := f.On["STOR"]
			f.On["STOR"] = func(s *fakeserver.Session, arg string) {
				if s.Server.Count("RNFR") > 0 {
					s.Say("452 disk full")
					return
				}
				stor(s, arg)
			}
		},
		"replacing": func(f *fakeserver.Server) { // only that: as on Windows
			rnto := f.On["RNTO"]
			f.On["RNTO"] = func(s *fakeserver.Session, arg string) {
				if _, ok := s.Server.File(arg); ok {
					s.Say("550 a file of that name exists")
					return
				}
				rnto(s, arg)
			}
		},
		"all renames to f": func(f *fakeserver.Server) {
			rnto := f.On["RNTO"]
			var aside atomic.Bool
			f.On["RNTO"] = func(s *fakeserver.Session, arg string) {
				if strings.HasSuffix(arg, "/f") && !aside.CompareAndSwap(true, false) {
					s.Say("550 not that name")
					return
				}
				if !strings.HasSuffix(arg, "/f") {
					aside.Store(false)
				}
				rnto(s, arg)
			}
		},
		"DELE":      func(f *fakeserver.Server) { f.On["DELE"] = fakeserver.Says("550 no") },
		"dots":      fakeserver.NoDots("553 no such names"),
		"dots, 550": fakeserver.NoDots("550 forbidden filename"),
		"everything": func(f *fakeserver.Server) {
			f.On["STOR"], f.On["RNFR"], f.On["DELE"] = fakeserver.Says("550 no"), fakeserver.Says("550 no"), fakeserver.Says("550 no")
		},
	}
	const old, text = "the old file", "the new and longer file"
	here := afero.NewMemMapFs()
	must(t, afero.WriteFile(here, "/s/f", []byte(text), 0o600))
	for what, change := range refuse {
		for how, put := range map[string]func(f *fakeserver.Server) error{
			"mirror": func(f *fakeserver.Server) error {
				f.Dirs["/d"] = "-rw-r--r-- 1 u u 12 2020-03-02 10:00 f\r\n"
				dst, _ := remoteTree(t, f.Addr, nil, 1, "/d")
				_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: dst})
				return err
			},
			"copy through": func(f *fakeserver.Server) error {
				src := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/f"] = text })
				return copyTo(t, src, f, fxp.Plan{Through: true})
			},
			"copy": func(f *fakeserver.Server) error {
				src := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/f"] = text })
				return copyTo(t, src, f, fxp.Plan{})
			},
			"upload": func(f *fakeserver.Server) error {
				_, err := dial(t, f, nil).Upload(t.Context(), "/s/f", "/d/f", client.FileOptions{FS: here})
				return err
			},
		} {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/d/f"] = old
				fakeserver.Storing(f)
				change(f)
			})
			err := put(f)
			got, _ := f.File("/d/f")
			switch {
			case err == nil && got != text:
				t.Errorf("%s refused, %s: no error, and the file is %q", what, how, got)
			case err != nil && got != old && got != text && !toldOld(f, err, old):
				t.Errorf("%s refused, %s: %v, and the file is %q; %q", what, how, err, got, f.Commands())
			}
			for _, name := range f.Names() {
				if base := name[strings.LastIndex(name, "/")+1:]; base != "f" && (err == nil && what != "DELE" && what != "RNFR" || err != nil && !strings.Contains(err.Error(), base)) {
					t.Errorf("%s refused, %s: %v, and %s is left", what, how, err, name)
				}
			}
		}
	}
}

// copyTo copies /f of a server to /d/f of another one.
func copyTo(t *testing.T, src, dst *fakeserver.Server, p fxp.Plan) error {
	from, to := client.NewPool(src.Addr, 1, nil), client.NewPool(dst.Addr, 1, nil)
	defer from.Close()
	defer to.Close()
	p.From, p.To = fxp.File{Pool: from, Path: "/f"}, fxp.File{Pool: to, Path: "/d/f"}
	_, err := fxp.Copy(t.Context(), p)
	return err
}

// toldOld reports whether the old file is there under a name that the error tells.
func toldOld(f *fakeserver.Server, err error, old string) bool {
	for _, name := range f.Names() {
		if text, _ := f.File(name); text == old && strings.Contains(err.Error(), name) {
			return true
		}
	}
	return false
}

// TestMirrorWithoutDots: names with a dot in front are refused, and all files arrive.
func TestMirrorWithoutDots(t *testing.T) {
	here := afero.NewMemMapFs()
	must(t, afero.WriteFile(here, "/s/a", []byte("1"), 0o600))
	must(t, afero.WriteFile(here, "/s/b", []byte("22"), 0o600))
	for _, reply := range []string{"553 no such names", "550 forbidden filename"} {
		f := fakeserver.New(t, func(f *fakeserver.Server) { fakeserver.Storing(f); fakeserver.NoDots(reply)(f); f.Dirs["/d"] = "" })
		dst, _ := remoteTree(t, f.Addr, nil, 1, "/d")
		_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: dst})
		a, _ := f.File("/d/a")
		if b, _ := f.File("/d/b"); err != nil || a != "1" || b != "22" {
			t.Errorf("%s: %v, %q, %q", reply, err, a, b)
		}
		if n := f.Count("STOR"); n > 4 { // one may have gone out of turn
			t.Errorf("%s: %d times STOR: %q", reply, n, f.Commands())
		}
	}
}

// TestUploadOntoADirectory: a directory is not moved out of the way of a file, on a server
// that tells the size of one, too.
func TestUploadOntoADirectory(t *testing.T) {
	here := afero.NewMemMapFs()
	must(t, afero.WriteFile(here, "/f", []byte("text"), 0o600))
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Dirs["/d"] = ""
		fakeserver.Storing(f)
		rnto, stor := f.On["RNTO"], f.On["STOR"]
		refuse := func(verb func(*fakeserver.Session, string)) func(*fakeserver.Session, string) {
			return func(s *fakeserver.Session, arg string) {
				if arg == "/d" {
					s.Say("550 is a directory")
					return
				}
				verb(s, arg)
			}
		}
		f.On["RNTO"], f.On["STOR"] = refuse(rnto), refuse(stor)
		f.On["SIZE"] = func(s *fakeserver.Session, arg string) {
			if arg == "/d" {
				s.Say("213 4096")
				return
			}
			s.Behave("SIZE", arg)
		}
	})
	_, err := dial(t, f, nil).Upload(t.Context(), "/f", "/d", client.FileOptions{FS: here})
	var no *ftp.Error
	if !errors.As(err, &no) || no.Verb != "STOR" || len(f.Names()) != 0 || slices.Contains(f.Commands(), "RNFR /d") {
		t.Errorf("%v, %q; %q", err, f.Names(), f.Commands())
	}
}

// TestMirrorBetweenNamesWhatIsLeft: what a copy that broke has left at the other server is
// told, as no run continues it; the old file is as it was.
func TestMirrorBetweenNamesWhatIsLeft(t *testing.T) {
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
