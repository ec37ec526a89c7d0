package client_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// TestNoMoreThanAnnounced checks that a server which sends endlessly does not fill the disk, and that Verified is
// "size and reply" only if both agree.
func TestNoMoreThanAnnounced(t *testing.T) {
	const text = "ten bytes."
	for _, tt := range []struct {
		name, verified string
		send           func(c io.Writer)
		feat           []string
	}{
		{"as announced", "size and reply", func(c io.Writer) { _, _ = io.WriteString(c, text) }, nil},
		{"a file that grows", "size", func(c io.Writer) { _, _ = io.WriteString(c, text+" and more") }, nil},
		{"endless", "size", func(c io.Writer) {
			_, _ = io.WriteString(c, text)
			for {
				if _, err := io.WriteString(c, strings.Repeat("z", 1<<20)); err != nil {
					return
				}
			}
		}, nil},
		{"of unknown size", "reply", func(c io.Writer) { _, _ = io.WriteString(c, text) }, []string{"EPSV"}},
	} {
		for _, disk := range []afero.Fs{afero.NewMemMapFs(), afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())} {
			t.Run(tt.name+"/"+disk.Name(), func(t *testing.T) {
				t.Parallel()
				f := fakeserver.New(t, func(f *fakeserver.Server) {
					if f.Files["/f"] = text; tt.feat != nil {
						f.Feat = tt.feat
					}
					f.On["RETR"] = func(s *fakeserver.Session, _ string) {
						s.Say("150 here it comes")
						c := s.Data()
						tt.send(c)
						_ = c.Close()
						s.Say("226 done")
					}
				})
				c := dial(t, f, &client.Options{Timeout: 5 * time.Second})
				res, err := c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: disk})
				got, _ := afero.ReadFile(disk, "/f")
				if err != nil || res.Verified != tt.verified || string(got) != text || res.Bytes != int64(len(text)) {
					t.Errorf("%+v, %v: the file has %d bytes", res, err, len(got))
				}
				if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
					t.Errorf("PWD: %q, %v", dir, err)
				}
			})
		}
	}
}

// TestDataConnectionNeverEnds checks that a download is complete if the size and the final reply agree, although neither
// side closes the data connection.
func TestDataConnectionNeverEnds(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			stop := make(chan struct{})
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/f"] = "hello"
				f.On["RETR"] = func(s *fakeserver.Session, arg string) {
					s.Say("150 here it comes")
					c := s.Data()
					_, _ = io.WriteString(c, "hello")
					s.Say("226 done")
					go func() { <-stop; _ = c.Close() }()
				}
			})
			defer close(stop)
			c := dial(t, f, &client.Options{Mode: mode, Timeout: 20 * time.Second})
			disk := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
			began := time.Now()
			res, err := c.Download(t.Context(), "/f", "/f", client.FileOptions{FS: disk})
			if got, _ := afero.ReadFile(disk, "/f"); err != nil || string(got) != "hello" || res.Verified != "size and reply" {
				t.Errorf("%q, %+v, %v", got, res, err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if n, err := c.Size(t.Context(), "/f"); err != nil || n != 5 {
				t.Errorf("SIZE: %d, %v", n, err)
			}
		})
	}
}
