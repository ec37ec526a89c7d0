package server_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// faulty is a filesystem in which one method can be made to fail.
type faulty struct {
	afero.Fs
	in    string
	err   error
	armed *atomic.Bool
}

func (f faulty) at(method string) error {
	if f.in != method || !f.armed.Load() {
		return nil
	}
	return &fs.PathError{Op: method, Path: "/the/host/path", Err: f.err}
}

func (f faulty) Open(name string) (afero.File, error) {
	file, err := f.Fs.Open(name)
	if bad := f.at("Open"); bad != nil {
		return nil, bad
	}
	return file, err
}

func (f faulty) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	if err := f.at("OpenFile"); err != nil {
		return nil, err
	}
	file, err := f.Fs.OpenFile(name, flag, perm)
	return faultyFile{file, f}, err
}

func (f faulty) Mkdir(name string, perm os.FileMode) error {
	return errors.Join(f.at("Mkdir"), f.Fs.Mkdir(name, perm))
}

func (f faulty) Remove(name string) error {
	if err := f.at("Remove"); err != nil {
		return err
	}
	return f.Fs.Remove(name)
}

func (f faulty) Rename(from, to string) error {
	if err := f.at("Rename"); err != nil && !strings.HasSuffix(to, ".upload") {
		return err
	}
	return f.Fs.Rename(from, to)
}

func (f faulty) Chtimes(name string, a, m time.Time) error {
	return errors.Join(f.at("Chtimes"), f.Fs.Chtimes(name, a, m))
}

type faultyFile struct {
	afero.File
	fs faulty
}

func (f faultyFile) Write(b []byte) (int, error) {
	if err := f.fs.at("File.Write"); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f faultyFile) Close() error { return errors.Join(f.fs.at("File.Close"), f.File.Close()) }

// An error of the storage becomes the code that RFC 959 has for it, with a text of our own: the storage's text
// contains host paths.
func TestStorageErrors(t *testing.T) {
	for _, tt := range []struct {
		in, cmd string
		err     error
		code    ftp.Code
	}{
		{"File.Write", "STOR g", syscall.ENOSPC, 452},
		{"File.Write", "STOR g", syscall.EDQUOT, 552},
		{"File.Write", "STOR g", syscall.EFBIG, 552},
		{"File.Write", "STOR g", syscall.EIO, 451},
		{"File.Close", "STOR g", syscall.ENOSPC, 452},
		{"File.Close", "STOR g", syscall.EIO, 451},
		{"Rename", "STOR g", syscall.EACCES, 550},
		{"Rename", "STOR g", syscall.EIO, 451},
		{"OpenFile", "STOR g", syscall.EROFS, 550},
		{"OpenFile", "STOR g", syscall.ENAMETOOLONG, 553},
		{"OpenFile", "STOR g", syscall.ENOSPC, 452},
		{"OpenFile", "APPE f", syscall.EACCES, 550},
		{"OpenFile", "STOU g", syscall.EACCES, 550},
		{"Open", "RETR f", syscall.EACCES, 550},
		{"Open", "RETR f", syscall.EMFILE, 451},
		{"Open", "RETR f", errors.New("odd"), 451},
		{"Open", "LIST", syscall.EACCES, 550},
		{"Open", "MLSD", syscall.EIO, 451},
		{"Mkdir", "MKD d", syscall.ENOSPC, 452},
		{"Mkdir", "MKD d", syscall.EDQUOT, 552},
		{"Remove", "DELE f", syscall.EPERM, 550},
		{"Remove", "DELE f", syscall.EBUSY, 450},
		{"Chtimes", "MFMT 20200101000000 f", syscall.EPERM, 550},
		{"Chtimes", "MFMT 20200101000000 f", errors.ErrUnsupported, 504},
		{"Open", "HASH f", syscall.ELOOP, 550},
	} {
		t.Run(tt.in+" in "+tt.cmd+" "+tt.err.Error(), func(t *testing.T) {
			inner := fsroot.NewMem()
			write(t, inner, "/f", "content")
			armed := new(atomic.Bool)
			c := serve(t, faulty{inner, tt.in, tt.err, armed}).login(t, "rw")
			d := c.epsv()
			armed.Store(true)
			r := c.cmd(tt.cmd)
			if r.Code == 150 {
				_, _ = io.WriteString(d, "bytes")
				_ = d.Close()
				r = c.reply()
			}
			armed.Store(false)
			if r.Code != tt.code || strings.Contains(r.Text(), "host") {
				t.Errorf("reply %v, want %d and no host path", r, tt.code)
			}
			c.cmd("NOOP", 200)
			if exists(inner, "/g") {
				t.Error("the failed upload has its final name")
			}
			for _, name := range names(t, inner, "/") {
				if !slices.Contains([]string{"f", "d", server.Hidden(".g.upload")}, name) {
					t.Errorf("left: %s", name)
				}
			}
		})
	}
}
