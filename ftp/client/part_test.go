package client_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
)

// TestTwoDownloadsOneName checks that two runs which download the same file to the same place use different parts.
// The file is whole when the first one has renamed its part, although the second has only begun.
func TestTwoDownloadsOneName(t *testing.T) {
	body := strings.Repeat("0123456789", 20_000)
	for name, fsys := range map[string]afero.Fs{"disk": afero.NewBasePathFs(afero.NewOsFs(), t.TempDir()), "memory": afero.NewMemMapFs()} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			first, second, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/f"] = body
				f.On["RETR"] = func(s *fakeserver.Session, _ string) {
					s.Say("150 here it comes")
					c := s.Data()
					if n.Add(1) == 1 {
						_, _ = io.WriteString(c, body[:100_000])
						close(first)
						<-second
						_, _ = io.WriteString(c, body[100_000:])
					} else {
						_, _ = io.WriteString(c, body[:1000])
						close(second)
						<-release
						_, _ = io.WriteString(c, body[1000:5000])
					}
					_ = c.Close()
					s.Say("226 done")
				}
			})
			a, b := dial(t, f, nil), dial(t, f, nil)
			var wg sync.WaitGroup
			wg.Go(func() {
				<-first
				_, err := b.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys})
				if err == nil {
					t.Error("the second run returned no error although its file was cut short")
				}
			})
			_, err := a.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys})
			if got, _ := afero.ReadFile(fsys, "f"); err != nil || string(got) != body {
				t.Errorf("%v, %d of %d bytes", err, len(got), len(body))
			}
			close(release)
			wg.Wait()
			if got, _ := afero.ReadFile(fsys, "f"); string(got) != body {
				t.Errorf("afterwards: %d of %d bytes", len(got), len(body))
			}
		})
	}
}

// TestResumeOfARunningPart checks that a part which another run is writing to is not continued.
func TestResumeOfARunningPart(t *testing.T) {
	fsys := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
	begun, end := make(chan struct{}), make(chan struct{})
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "0123456789"
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 here it comes")
			c := s.Data()
			_, _ = io.WriteString(c, "01234")
			close(begun)
			<-end
			_, _ = io.WriteString(c, "56789")
			_ = c.Close()
			s.Say("226 done")
		}
	})
	a, b := dial(t, f, nil), dial(t, f, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := a.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	_, err := b.Download(t.Context(), "/f", "f", client.FileOptions{FS: fsys, Resume: true})
	var local *client.LocalError
	if !errors.As(err, &local) || !strings.Contains(err.Error(), "another run of the program is writing to it") {
		t.Errorf("resume of a part in use: %v", err)
	}
	close(end)
	wg.Wait()
}

// TestDownloadBesideAUsersFile checks that a user's file that has the name of a part is not overwritten.
func TestDownloadBesideAUsersFile(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/a"], f.Files["/.a.part"] = "the file", "a file of its own" })
	here, c := afero.NewMemMapFs(), dial(t, f, nil)
	for range 2 {
		for _, name := range []string{".a.part", "a"} {
			_, err := c.Download(t.Context(), "/"+name, name, client.FileOptions{FS: here})
			testutil.Must(t, err)
		}
		for name, want := range f.Files {
			if b, _ := afero.ReadFile(here, name[1:]); string(b) != want {
				t.Errorf("%s is %q", name, b)
			}
		}
	}
}

// TestDownloadKeepsMode checks that a file that replaces another one gets its permissions, before its first byte.
func TestDownloadKeepsMode(t *testing.T) {
	get := func(f *fakeserver.Server, key string) error {
		_, err := dial(t, f, nil).Download(t.Context(), "/d/key", key, client.FileOptions{})
		return err
	}
	transfertest.KeepsMode(t, []transfertest.Mode{
		{Name: "get", Had: 0o600, Get: get, Want: 0o600, Has: 0o600},
		{Name: "get over a read-only file", Had: 0o440, Get: get, Want: 0o440, Has: 0o640},
	})
}
