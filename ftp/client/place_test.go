package client_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
)

// TestUploadOntoADirectory checks that a directory is not moved aside for a file, even if the server reports a size
// for it.
func TestUploadOntoADirectory(t *testing.T) {
	here := afero.NewMemMapFs()
	testutil.Must(t, afero.WriteFile(here, "/f", []byte("text"), 0o600))
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

// TestOldFileStays checks that an upload leaves the old file or the new one, whatever the server refuses.
func TestOldFileStays(t *testing.T) {
	here := afero.NewMemMapFs()
	transfertest.OldFileStays(t, func(f *fakeserver.Server, text string) error {
		testutil.Must(t, afero.WriteFile(here, "/s/f", []byte(text), 0o600))
		_, err := dial(t, f, nil).Upload(t.Context(), "/s/f", "/d/f", client.FileOptions{FS: here})
		return err
	})
}
