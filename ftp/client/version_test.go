package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/mirror"
	"miniftp/ftp/server"
)

// twoVersions are contents of one size that are the same in the middle.
func twoVersions(size int) (one, two string) {
	end := size / 4
	mk := func(c string) string {
		return strings.Repeat(c, end) + strings.Repeat("\x00", size-2*end) + strings.Repeat(c, end)
	}
	return mk("A"), mk("B")
}

// breaking is a fake server whose first RETR breaks half way; then the file is replaced by another
// version.
func breaking(one, two string) func(f *fakeserver.Server) {
	return func(f *fakeserver.Server) {
		var changed atomic.Bool
		f.Files["/f"] = one
		f.On["MDTM"] = func(s *fakeserver.Session, _ string) {
			if changed.Load() {
				s.Say("213 20250102030405")
			} else {
				s.Say("213 20240102030405")
			}
		}
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			if changed.Load() {
				s.Behave("RETR", arg)
				return
			}
			s.Say("150 here it comes")
			c := s.Data()
			_, _ = io.WriteString(c, one[:len(one)/2])
			_ = c.Close()
			changed.Store(true)
			s.Server.SetFile("/f", two)
			s.Say("426 broken")
		}
	}
}

// TestDownloadOfAChangedFile: what an earlier try or run has left of another version is not
// continued.
func TestDownloadOfAChangedFile(t *testing.T) {
	one, two := twoVersions(1 << 20)
	for _, keep := range []bool{false, true} {
		f := fakeserver.New(t, breaking(one, two))
		here, c := afero.NewMemMapFs(), dial(t, f, nil)
		o := client.Tried(client.FileOptions{KeepTime: keep}, new(client.Tries))
		if _, err := c.Download(t.Context(), "/f", "/f", over(here, o)); err == nil {
			t.Fatal("no error")
		}
		_, err := c.Download(t.Context(), "/f", "/f", over(here, o))
		got, _ := afero.ReadFile(here, "/f")
		if names := namesIn(t, here); err != nil || string(got) != two || len(names) != 1 {
			t.Errorf("a retry: %v, the second version: %v, %q", err, string(got) == two, names)
		}

		f = fakeserver.New(t, breaking(one, two))
		here, c = afero.NewMemMapFs(), dial(t, f, nil)
		if _, err := c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, KeepTime: keep, Resume: true}); err == nil {
			t.Fatal("no error")
		}
		must(t, here.Chtimes("/.f.part", time.Now(), time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)))
		_, err = c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, KeepTime: keep, Resume: true})
		var other *client.ResumeError
		if !errors.As(err, &other) {
			t.Errorf("Resume: %v", err)
		}
	}
}

// TestDownloadThatChangesWhileItIsResumed: the version is compared once more at the end.
func TestDownloadThatChangesWhileItIsResumed(t *testing.T) {
	one, two := twoVersions(1 << 20)
	var changed atomic.Bool
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = one
		f.On["MDTM"] = func(s *fakeserver.Session, _ string) {
			s.Say(map[bool]string{false: "213 20240102030405", true: "213 20250102030405"}[changed.Load()])
		}
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			switch f.Count("RETR") {
			case 1:
				s.Say("150 here it comes")
				c := s.Data()
				_, _ = io.WriteString(c, one[:len(one)/2])
				_ = c.Close()
				s.Say("426 broken")
				return
			case 2:
				changed.Store(true)
				s.Server.SetFile("/f", two)
			}
			s.Behave("RETR", arg)
		}
	})
	here, c := afero.NewMemMapFs(), dial(t, f, nil)
	o := client.Tried(client.FileOptions{}, new(client.Tries))
	if _, err := c.Download(t.Context(), "/f", "/f", over(here, o)); err == nil {
		t.Fatal("no error")
	}
	_, err := c.Download(t.Context(), "/f", "/f", over(here, o))
	if got, _ := afero.ReadFile(here, "/f"); err != nil || string(got) != two {
		t.Errorf("%v, the second version: %v, the first: %v", err, string(got) == two, string(got) == one)
	}
}

// TestNoSegmentsWithoutAVersion: where a server does not tell times, nothing shows that a
// file is replaced while its segments come.
func TestNoSegmentsWithoutAVersion(t *testing.T) {
	one, two := twoVersions(9 << 20)
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"SIZE", "EPSV", "REST STREAM"}
		f.Files["/f"] = one
		f.On["MDTM"] = fakeserver.Says("502 no")
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			if s.Offset > 0 {
				s.Server.SetFile("/f", two)
			}
			s.Behave("RETR", arg)
		}
	})
	p := client.NewPool(f.Addr, 2, nil)
	defer p.Close()
	here := afero.NewMemMapFs()
	_, err := p.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, Connections: 2})
	if got, _ := afero.ReadFile(here, "/f"); err != nil || string(got) != one || f.Count("RETR") != 1 {
		t.Errorf("%v, %d segments", err, f.Count("RETR"))
	}
}

// TestUploadOfAChangedFile: a file that changes between two tries, or before the next run
// continues, is sent whole.
func TestUploadOfAChangedFile(t *testing.T) {
	one, two := twoVersions(1 << 20)
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for how, put := range map[string]func(f *fakeserver.Server, dir string, told func()) error{
		"mirror": func(f *fakeserver.Server, dir string, told func()) error {
			dst, _ := remoteTree(t, f.Addr, nil, 1, "/d")
			o := mirror.Plan{Retry: client.Retry{Times: 2, Wait: func(int) time.Duration { return 0 }, Told: func(error, time.Duration) { told() }}}
			_, err := mirror.Run(t.Context(), planned(mirror.Tree{FS: afero.NewOsFs(), Root: dir}, dst, o))
			return err
		},
		"upload": func(f *fakeserver.Server, dir string, told func()) error {
			o := client.Tried(client.FileOptions{}, new(client.Tries))
			if _, err := dial(t, f, nil).Upload(t.Context(), dir+"/f", "/d/f", o); err == nil {
				return errors.New("the first try did not fail")
			}
			told()
			_, err := dial(t, f, nil).Upload(t.Context(), dir+"/f", "/d/f", o)
			return err
		},
	} {
		for _, old := range []bool{false, true} {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Dirs["/d"] = ""
				fakeserver.Storing(f)
				if old {
					f.Files["/d/f"], f.Dirs["/d"] = "old", "-rw-r--r-- 1 u u 3 2020-03-02 10:00 f\r\n"
				}
				stor := f.On["STOR"]
				f.On["STOR"] = func(s *fakeserver.Session, arg string) {
					if f.Count("STOR") > 1 {
						stor(s, arg)
						return
					}
					s.Say("150 send it")
					c := s.Data()
					b := make([]byte, len(one)/2)
					_, _ = io.ReadFull(c, b)
					s.Server.SetFile(arg, string(b))
					_ = c.Close()
					_ = s.Conn.Close()
				}
			})
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(one), 0o600))
			must(t, os.Chtimes(filepath.Join(dir, "f"), at, at))
			err := put(f, dir, func() {
				must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(two), 0o600))
			})
			if got, _ := f.File("/d/f"); err != nil || got != two {
				t.Errorf("%s, old %v: %v, %d bytes, the second version: %v; %q", how, old, err, len(got), got == two, f.Commands())
			}
		}
	}
}

// TestResumeInModes: the overlap is compared whatever lies round it on the data connection.
func TestResumeInModes(t *testing.T) {
	body := noise(1 << 20)
	for _, mode := range []client.TransferMode{client.StreamMode, client.BlockMode, client.DeflateMode} {
		site, here := fsroot.NewMem(), afero.NewMemMapFs()
		must(t, afero.WriteFile(site, "/f", body, 0o600))
		srv := ftptest.NewServer(t, site, ftptest.WithOptions(func(o *server.Options) { o.ModeZ = true }))
		c, err := client.Dial(t.Context(), srv.Addr, &client.Options{TransferMode: mode})
		must(t, err)
		const have = 700_000
		must(t, afero.WriteFile(here, "/.f.part", body[:have], 0o600))
		res, err := c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, Resume: true})
		if got, _ := afero.ReadFile(here, "/f"); err != nil || !bytes.Equal(got, body) || res.Bytes != int64(len(body)-have) {
			t.Errorf("%v: %+v, %v, %d bytes", mode, res, err, len(got))
		}
		must(t, afero.WriteFile(here, "/.g.part", noise(have), 0o600))
		_, err = c.Download(t.Context(), "/f", "/g", client.FileOptions{FS: here, Resume: true})
		var other *client.ResumeError
		if !errors.As(err, &other) {
			t.Errorf("%v: %v", mode, err)
		}
		must(t, afero.WriteFile(site, "/up", body[:have], 0o600))
		res, err = c.Upload(t.Context(), "/f", "/up", client.FileOptions{FS: here, Resume: true})
		if got, _ := afero.ReadFile(site, "/up"); err != nil || !bytes.Equal(got, body) || res.Bytes != int64(len(body)-have) {
			t.Errorf("%v, up: %+v, %v, %d bytes", mode, res, err, len(got))
		}
		_ = c.Close()
	}
}

// TestHashReplies: the sum is told from a path that looks like one, and a CRC may lack its
// zeros.
func TestHashReplies(t *testing.T) {
	sum := strings.Repeat("ab", 16)
	name := strings.Repeat("cd", 16)
	for _, tt := range []struct{ verb, algo, path, reply, want string }{
		{"XMD5", "MD5", name, fmt.Sprintf("250 %s %s", name, sum), sum},
		{"XMD5", "MD5", name, fmt.Sprintf("250 %s %s", sum, name), sum},
		{"XMD5", "MD5", "/d/" + name, fmt.Sprintf("250 MD5 of %s is %s", name, sum), sum},
		{"XMD5", "MD5", sum, fmt.Sprintf("250 %s", sum), sum},
		{"XCRC", "CRC32", "f", "250 1A2B3", "0001a2b3"},
		{"XCRC", "CRC32", "f", "250 XCRC 0x1A2B3C4D", "1a2b3c4d"},
		{"XCRC", "CRC32", "f", "250 deadbeef is the sum", "deadbeef"},
	} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Feat = append(f.Feat, tt.verb)
			f.On[tt.verb] = fakeserver.Says(tt.reply)
		})
		if _, got, err := dial(t, f, nil).Hash(t.Context(), tt.path, tt.algo); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.reply, got, err, tt.want)
		}
	}
}

// TestMirrorWithoutTypes: where MLSD does not say what the names are, each is asked for.
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
