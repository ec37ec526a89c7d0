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
	"miniftp/ftp/mirror"
)

// remembering has a fake keep what is stored, and rename and delete files.
func remembering(f *fake) {
	var from string
	f.on["STOR"] = func(s *session, arg string) {
		s.f.set(arg, "")
		s.say("150 send it")
		c := s.data()
		b, _ := io.ReadAll(c)
		_ = c.Close()
		if _, there := s.f.get(arg); there { // what was deleted meanwhile stays so
			s.f.set(arg, string(b))
		}
		s.say("226 done")
	}
	f.on["RNFR"] = func(s *session, arg string) {
		if _, ok := s.f.get(arg); !ok {
			s.say("550 no such file")
			return
		}
		from = arg
		s.say("350 to what?")
	}
	f.on["RNTO"] = func(s *session, arg string) {
		text, _ := s.f.get(from)
		s.f.drop(from)
		s.f.set(arg, text)
		s.say("250 done")
	}
	f.on["DELE"] = func(s *session, arg string) {
		if _, ok := s.f.get(arg); !ok {
			s.say("550 no such file")
			return
		}
		s.f.drop(arg)
		s.say("250 gone")
	}
}

// spelled returns a name as a file has it. f.mu is held.
func (f *fake) spelled(name string) string {
	if f.folds {
		for other := range f.files {
			if strings.EqualFold(other, name) {
				return other
			}
		}
	}
	return name
}

func (f *fake) set(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[f.spelled(name)] = text
}

func (f *fake) get(name string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.files[f.spelled(name)]
	return text, ok
}

func (f *fake) file(name string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.files[f.spelled(name)]
	return text, ok
}

func (f *fake) setFile(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[f.spelled(name)] = text
}

func (f *fake) drop(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.files, f.spelled(name))
}

func (f *fake) names() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.files {
		all = append(all, name)
	}
	return all
}

// TestOldFileStays: whatever a server refuses of putting a new file in the place of an old
// one, one of the two is there under the name, and what has another name is told.
func TestOldFileStays(t *testing.T) {
	refuse := map[string]func(f *fake){
		"nothing":     func(*fake) {},
		"RNFR":        func(f *fake) { f.on["RNFR"] = says("550 no") },
		"RNTO":        func(f *fake) { f.on["RNTO"] = says("553 no") },
		"RNTO, quota": func(f *fake) { f.on["RNTO"] = says("552 quota exceeded") },
		"RNTO, RNFR and STOR behind": func(f *fake) {
			f.on["RNFR"] = says("550 no")
			stor := f.on["STOR"]
			f.on["STOR"] = func(s *session, arg string) {
				if s.f.count("RNFR") > 0 {
					s.say("452 disk full")
					return
				}
				stor(s, arg)
			}
		},
		"replacing": func(f *fake) { // only that: as on Windows
			rnto := f.on["RNTO"]
			f.on["RNTO"] = func(s *session, arg string) {
				if _, ok := s.f.get(arg); ok {
					s.say("550 a file of that name exists")
					return
				}
				rnto(s, arg)
			}
		},
		"all renames to f": func(f *fake) {
			rnto := f.on["RNTO"]
			var aside atomic.Bool
			f.on["RNTO"] = func(s *session, arg string) {
				if strings.HasSuffix(arg, "/f") && !aside.CompareAndSwap(true, false) {
					s.say("550 not that name")
					return
				}
				if !strings.HasSuffix(arg, "/f") {
					aside.Store(false)
				}
				rnto(s, arg)
			}
		},
		"DELE":      func(f *fake) { f.on["DELE"] = says("550 no") },
		"dots":      noDots("553 no such names"),
		"dots, 550": noDots("550 forbidden filename"),
		"everything": func(f *fake) {
			f.on["STOR"], f.on["RNFR"], f.on["DELE"] = says("550 no"), says("550 no"), says("550 no")
		},
	}
	const old, text = "the old file", "the new and longer file"
	here := afero.NewMemMapFs()
	must(t, afero.WriteFile(here, "/s/f", []byte(text), 0o600))
	for what, change := range refuse {
		for how, put := range map[string]func(f *fake) error{
			"mirror": func(f *fake) error {
				f.dirs["/d"] = "-rw-r--r-- 1 u u 12 2020-03-02 10:00 f\r\n"
				dst, _ := remoteTree(t, f.addr, nil, 1, "/d")
				_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: dst})
				return err
			},
			"copy through": func(f *fake) error {
				src := newFake(t, func(f *fake) { f.files["/f"] = text })
				return copyTo(t, src, f, fxp.Plan{Through: true})
			},
			"copy": func(f *fake) error {
				src := newFake(t, func(f *fake) { f.files["/f"] = text })
				return copyTo(t, src, f, fxp.Plan{})
			},
			"upload": func(f *fake) error {
				_, err := f.dial(nil).Upload(t.Context(), "/s/f", "/d/f", client.FileOptions{FS: here})
				return err
			},
		} {
			f := newFake(t, func(f *fake) {
				f.files["/d/f"] = old
				remembering(f)
				change(f)
			})
			err := put(f)
			got, _ := f.get("/d/f")
			switch {
			case err == nil && got != text:
				t.Errorf("%s refused, %s: no error, and the file is %q", what, how, got)
			case err != nil && got != old && got != text && !toldOld(f, err, old):
				t.Errorf("%s refused, %s: %v, and the file is %q; %q", what, how, err, got, f.got)
			}
			for _, name := range f.names() {
				if base := name[strings.LastIndex(name, "/")+1:]; base != "f" && (err == nil && what != "DELE" && what != "RNFR" || err != nil && !strings.Contains(err.Error(), base)) {
					t.Errorf("%s refused, %s: %v, and %s is left", what, how, err, name)
				}
			}
		}
	}
}

// copyTo copies /f of a server to /d/f of another one.
func copyTo(t *testing.T, src, dst *fake, p fxp.Plan) error {
	from, to := client.NewPool(src.addr, 1, nil), client.NewPool(dst.addr, 1, nil)
	defer from.Close()
	defer to.Close()
	p.From, p.To = fxp.File{Pool: from, Path: "/f"}, fxp.File{Pool: to, Path: "/d/f"}
	_, err := fxp.Copy(t.Context(), p)
	return err
}

// toldOld reports whether the old file is there under a name that the error tells.
func toldOld(f *fake, err error, old string) bool {
	for _, name := range f.names() {
		if text, _ := f.get(name); text == old && strings.Contains(err.Error(), name) {
			return true
		}
	}
	return false
}

// noDots has a server take no names that begin with a dot.
func noDots(reply string) func(f *fake) {
	return func(f *fake) {
		stor := f.on["STOR"]
		f.on["STOR"] = func(s *session, arg string) {
			if strings.Contains(arg, "/.") {
				s.say(reply)
				return
			}
			stor(s, arg)
		}
	}
}

// TestMirrorWithoutDots: names with a dot in front are refused, and all files arrive.
func TestMirrorWithoutDots(t *testing.T) {
	here := afero.NewMemMapFs()
	must(t, afero.WriteFile(here, "/s/a", []byte("1"), 0o600))
	must(t, afero.WriteFile(here, "/s/b", []byte("22"), 0o600))
	for _, reply := range []string{"553 no such names", "550 forbidden filename"} {
		f := newFake(t, func(f *fake) { remembering(f); noDots(reply)(f); f.dirs["/d"] = "" })
		dst, _ := remoteTree(t, f.addr, nil, 1, "/d")
		_, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/s"}, To: dst})
		a, _ := f.get("/d/a")
		if b, _ := f.get("/d/b"); err != nil || a != "1" || b != "22" {
			t.Errorf("%s: %v, %q, %q", reply, err, a, b)
		}
		if n := f.count("STOR"); n > 4 { // one may have gone out of turn
			t.Errorf("%s: %d times STOR: %q", reply, n, f.commands())
		}
	}
}

// TestUploadOntoADirectory: a directory is not moved out of the way of a file, on a server
// that tells the size of one, too.
func TestUploadOntoADirectory(t *testing.T) {
	here := afero.NewMemMapFs()
	must(t, afero.WriteFile(here, "/f", []byte("text"), 0o600))
	f := newFake(t, func(f *fake) {
		f.dirs["/d"] = ""
		remembering(f)
		rnto, stor := f.on["RNTO"], f.on["STOR"]
		refuse := func(verb func(*session, string)) func(*session, string) {
			return func(s *session, arg string) {
				if arg == "/d" {
					s.say("550 is a directory")
					return
				}
				verb(s, arg)
			}
		}
		f.on["RNTO"], f.on["STOR"] = refuse(rnto), refuse(stor)
		f.on["SIZE"] = func(s *session, arg string) {
			if arg == "/d" {
				s.say("213 4096")
				return
			}
			s.wellBehaved("SIZE", arg)
		}
	})
	_, err := f.dial(nil).Upload(t.Context(), "/f", "/d", client.FileOptions{FS: here})
	var no *ftp.Error
	if !errors.As(err, &no) || no.Verb != "STOR" || len(f.names()) != 0 || slices.Contains(f.commands(), "RNFR /d") {
		t.Errorf("%v, %q; %q", err, f.names(), f.commands())
	}
}

// TestMirrorBetweenNamesWhatIsLeft: what a copy that broke has left at the other server is
// told, as no run continues it; the old file is as it was.
func TestMirrorBetweenNamesWhatIsLeft(t *testing.T) {
	a := newFake(t, func(f *fake) {
		f.files["/s/f"] = strings.Repeat("text", 100_000)
		f.dirs["/s"] = "-rw-r--r-- 1 u u 400000 2024-03-02 10:00 f\r\n"
	})
	b := newFake(t, func(f *fake) {
		remembering(f)
		f.files["/d/f"], f.dirs["/d"] = "old", "-rw-r--r-- 1 u u 3 2020-03-02 10:00 f\r\n"
		f.on["STOR"] = func(s *session, arg string) {
			s.say("150 send it")
			c := s.data()
			some := make([]byte, 1000)
			_, _ = io.ReadFull(c, some)
			s.f.set(arg, string(some))
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
			s.say("451 the disk broke")
		}
	})
	src, _ := remoteTree(t, a.addr, nil, 1, "/s")
	dst, _ := remoteTree(t, b.addr, nil, 1, "/d")
	_, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst})
	old, _ := b.get("/d/f")
	for _, name := range b.names() {
		if err == nil || old != "old" || name != "/d/f" && !strings.Contains(err.Error(), name) {
			t.Errorf("%v, %q, %s", err, old, name)
		}
	}
}
