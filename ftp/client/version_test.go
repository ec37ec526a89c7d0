package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
	"miniftp/ftp/server"
)

// breaking returns a fake server whose first RETR fails half way. Then the file is replaced by another version.
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

// TestDownloadOfAChangedFile checks that a part of another version, from an earlier try or run, is not continued.
func TestDownloadOfAChangedFile(t *testing.T) {
	one, two := testutil.TwoVersions(1 << 20)
	for _, keep := range []bool{false, true} {
		f := fakeserver.New(t, breaking(one, two))
		here, c := afero.NewMemMapFs(), dial(t, f, nil)
		o := client.Tried(client.FileOptions{KeepTime: keep}, new(client.Tries))
		if _, err := c.Download(t.Context(), "/f", "/f", over(here, o)); err == nil {
			t.Fatal("no error")
		}
		_, err := c.Download(t.Context(), "/f", "/f", over(here, o))
		got, _ := afero.ReadFile(here, "/f")
		if names := testutil.NamesIn(t, here); err != nil || string(got) != two || len(names) != 1 {
			t.Errorf("a retry: %v, the second version: %v, %q", err, string(got) == two, names)
		}

		f = fakeserver.New(t, breaking(one, two))
		here, c = afero.NewMemMapFs(), dial(t, f, nil)
		if _, err := c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, KeepTime: keep, Resume: true}); err == nil {
			t.Fatal("no error")
		}
		testutil.Must(t, here.Chtimes("/.f.part", time.Now(), time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)))
		_, err = c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, KeepTime: keep, Resume: true})
		var other *client.ResumeError
		if !errors.As(err, &other) {
			t.Errorf("Resume: %v", err)
		}
	}
}

// TestFileChangesDuringResume checks that the version is compared again at the end.
func TestFileChangesDuringResume(t *testing.T) {
	one, two := testutil.TwoVersions(1 << 20)
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

// TestNoSegmentsWithoutAVersion checks that no segments are used if the server reports no times: nothing would show
// that the file is replaced during the download.
func TestNoSegmentsWithoutAVersion(t *testing.T) {
	one, two := testutil.TwoVersions(9 << 20)
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

// TestResumeInModes checks that the overlap is compared in every transfer mode.
func TestResumeInModes(t *testing.T) {
	body := testutil.Noise(1 << 20)
	for _, mode := range []client.TransferMode{client.StreamMode, client.BlockMode, client.DeflateMode} {
		site, here := fsroot.NewMem(), afero.NewMemMapFs()
		testutil.Must(t, afero.WriteFile(site, "/f", body, 0o600))
		srv := ftptest.NewServer(t, site, ftptest.WithOptions(func(o *server.Options) { o.ModeZ = true }))
		c, err := client.Dial(t.Context(), srv.Addr, &client.Options{TransferMode: mode})
		testutil.Must(t, err)
		const have = 700_000
		testutil.Must(t, afero.WriteFile(here, "/.f.part", body[:have], 0o600))
		res, err := c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, Resume: true})
		if got, _ := afero.ReadFile(here, "/f"); err != nil || !bytes.Equal(got, body) || res.Bytes != int64(len(body)-have) {
			t.Errorf("%v: %+v, %v, %d bytes", mode, res, err, len(got))
		}
		testutil.Must(t, afero.WriteFile(here, "/.g.part", testutil.Noise(have), 0o600))
		_, err = c.Download(t.Context(), "/f", "/g", client.FileOptions{FS: here, Resume: true})
		var other *client.ResumeError
		if !errors.As(err, &other) {
			t.Errorf("%v: %v", mode, err)
		}
		testutil.Must(t, afero.WriteFile(site, "/up", body[:have], 0o600))
		res, err = c.Upload(t.Context(), "/f", "/up", client.FileOptions{FS: here, Resume: true})
		if got, _ := afero.ReadFile(site, "/up"); err != nil || !bytes.Equal(got, body) || res.Bytes != int64(len(body)-have) {
			t.Errorf("%v, up: %+v, %v, %d bytes", mode, res, err, len(got))
		}
		_ = c.Close()
	}
}

// TestHashReplies checks that the hash is distinguished from a path that looks like one, and that a CRC may lack
// leading zeros.
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

// TestUploadOfAChangedFile checks that a file that changes between two tries is sent whole.
func TestUploadOfAChangedFile(t *testing.T) {
	transfertest.UploadOfAChangedFile(t, func(f *fakeserver.Server, dir string, failed func()) error {
		o := client.Tried(client.FileOptions{}, new(client.Tries))
		if _, err := dial(t, f, nil).Upload(t.Context(), dir+"/f", "/d/f", o); err == nil {
			return errors.New("the first try did not fail")
		}
		failed()
		_, err := dial(t, f, nil).Upload(t.Context(), dir+"/f", "/d/f", o)
		return err
	})
}
