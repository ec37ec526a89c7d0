package ftpfs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// A refusal without a stated cause, for an existing file, is not fs.ErrNotExist.
func TestFsFileInUse(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "x"
		f.On["DELE"] = fakeserver.Says("550 The process cannot access the file because it is being used by another process.")
		f.On["RMD"] = fakeserver.Says("550 The directory name is invalid.")
		f.On["RNFR"] = fakeserver.Says("550 RNFR command failed.")
	})
	tree, _ := remoteFiles(t, f.Addr)
	for what, err := range map[string]error{
		"Remove": tree.Remove("/f"), "RemoveAll": tree.RemoveAll("/f"), "Rename": tree.Rename("/f", "/g"),
	} {
		if err == nil || errors.Is(err, fs.ErrNotExist) || os.IsNotExist(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := tree.Remove("/missing"); !os.IsNotExist(err) {
		t.Errorf("Remove of what is missing: %v", err)
	}
	if err := tree.RemoveAll("/missing"); err != nil {
		t.Errorf("RemoveAll of what is missing: %v", err)
	}
}

// The meaning of a refusal without a stated cause depends on whether the file exists. Only Fs finds that out, so the
// error of a method that changes something is not fs.ErrNotExist.
func TestRefusedWithoutCause(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "x"
		for _, verb := range []string{"DELE", "RMD", "RNFR", "MKD", "STOR", "CWD"} {
			f.On[verb] = fakeserver.Says("550 Operation failed.")
		}
	})
	tree, p := remoteFiles(t, f.Addr)
	testutil.Must(t, p.Do(t.Context(), func(c *client.Client) error {
		_, store := c.Store(t.Context(), "/missing/f", strings.NewReader("x"))
		for what, err := range map[string]error{
			"Delete": c.Delete(t.Context(), "/f"), "RemoveDir": c.RemoveDir(t.Context(), "/f"),
			"Rename": c.Rename(t.Context(), "/f", "/g"), "MakeDir": c.MakeDir(t.Context(), "/d"), "Store": store,
		} {
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := c.Stat(t.Context(), "/missing"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat: %v", err)
		}
		return nil
	}))
	if err := tree.Rename("/missing", "/g"); !os.IsNotExist(err) {
		t.Errorf("Rename of what is missing: %v", err)
	}
	if err := tree.Rename("/f", "/g"); err == nil || os.IsNotExist(err) {
		t.Errorf("Rename: %v", err)
	}
}

// O_EXCL does not replace a file that the server does not show, and a Write in the middle of a file does not truncate
// it.
func TestFsOpenFlags(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "precious"
		f.Files["/g"] = "0123456789"
		f.On["SIZE"] = func(s *fakeserver.Session, arg string) {
			if arg == "/f" {
				s.Say("550 Could not get file size.")
				return
			}
			s.Behave("SIZE", arg)
		}
		f.On["RNFR"] = func(s *fakeserver.Session, arg string) {
			if _, ok := s.Server.File(arg); !ok {
				s.Say("550 no such file")
				return
			}
			s.Say("350 to?")
		}
	})
	tree, _ := remoteFiles(t, f.Addr)
	if _, err := tree.OpenFile("/f", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0); !os.IsExist(err) {
		t.Errorf("O_EXCL: %v", err)
	}
	w, err := tree.OpenFile("/new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0)
	if err == nil {
		_, err = w.Write([]byte("x"))
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		t.Errorf("O_EXCL of a new file: %v", err)
	}
	if w, err = tree.OpenFile("/g", os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("abc")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a Write at the beginning: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got, _ := f.File("/g"); got != "0123456789" {
		t.Errorf("the file is %q", got)
	}
}

// remoteFiles returns the tree of a fake server, over one connection.
func remoteFiles(t *testing.T, addr string) (*ftpfs.Fs, *client.Pool) {
	t.Helper()
	p := client.NewPool(addr, 1, nil)
	t.Cleanup(func() { _ = p.Close() })
	files, err := ftpfs.New(context.WithoutCancel(t.Context()), p, "/")
	testutil.Must(t, err)
	return files, p
}
