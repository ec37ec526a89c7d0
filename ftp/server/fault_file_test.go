package server_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"miniftp/ftp/internal/testutil"

	"github.com/spf13/afero"

	"miniftp/fsroot"
)

// broken is a filesystem whose files can't be read from a certain byte on, as when a network disk is lost.
type broken struct {
	afero.Fs
	at *atomic.Int64
}

func (b broken) Open(name string) (afero.File, error) {
	f, err := b.Fs.Open(name)
	if err != nil {
		return nil, err
	}
	return &brokenFile{File: f, at: b.at}, nil
}

type brokenFile struct {
	afero.File
	at  *atomic.Int64
	pos int64
}

func (f *brokenFile) Seek(offset int64, whence int) (int64, error) {
	pos, err := f.File.Seek(offset, whence)
	f.pos = pos
	return pos, err
}

func (f *brokenFile) Read(b []byte) (int, error) {
	at := f.at.Load()
	if at >= 0 && f.pos >= at {
		return 0, &fs.PathError{Op: "read", Path: "/the/host/path", Err: syscall.ESTALE}
	}
	if at >= 0 {
		b = b[:min(int64(len(b)), at-f.pos)]
	}
	n, err := f.File.Read(b)
	f.pos += int64(n)
	return n, err
}

// A file that can't be read to its end is answered with 451 after the readable bytes. The session continues,
// and when the disk is back, the download can be resumed.
func TestFaultReadBreaks(t *testing.T) {
	content := random(1 << 20)
	fsys := broken{fsroot.NewMem(), new(atomic.Int64)}
	write(t, fsys, "/f", string(content))
	c := serve(t, fsys).login(t, "rw")
	for _, at := range []int64{0, 1, 64 << 10, 700_001, 1<<20 - 1} {
		for _, typ := range []string{"I", "A"} {
			fsys.at.Store(at)
			c.cmd("TYPE "+typ, 200)
			d := c.starts("RETR f")
			got := rest(d)
			_ = d.Close()
			if r := c.want(451); strings.Contains(r.Text(), "host") {
				t.Errorf("the reply contains a host path: %q", r.Text())
			}
			want := content[:at]
			if typ == "A" {
				want = bytes.ReplaceAll(bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
			}
			// In TYPE A the bytes of the last read may still be in a buffer.
			if !bytes.HasPrefix(want, got) || typ == "I" && len(got) < len(want) {
				t.Errorf("broken at %d, TYPE %s: %d bytes were received, want %d", at, typ, len(got), len(want))
			}
			fsys.at.Store(-1)
			if typ == "I" {
				c.cmd("REST "+fmt.Sprint(len(got)), 350)
				if more := c.get("RETR f"); string(got)+string(more) != string(content) {
					t.Errorf("broken at %d: %d bytes and %d after", at, len(got), len(more))
				}
			}
		}
	}
}

// A file that is truncated during a download is answered with 451 after the right bytes. One that is removed or
// replaced is sent whole, because the storage keeps the open file.
func TestFaultFileChangesInADownload(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	for _, typ := range []string{"I", "A"} {
		t.Run("TYPE "+typ, func(t *testing.T) { fileChangesInADownload(t, typ) })
	}
}

func fileChangesInADownload(t *testing.T, typ string) {
	content := random(48 << 20)
	sent := content // the bytes on the wire
	if typ == "A" {
		sent = bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	}
	for _, tt := range []struct {
		what string
		do   func(dir string) error
		code int
	}{
		{"cut", func(dir string) error { return os.Truncate(dir+"/big", 8<<20) }, 451},
		{"emptied", func(dir string) error { return os.Truncate(dir+"/big", 0) }, 451},
		{"removed", func(dir string) error { return os.Remove(dir + "/big") }, 226},
		{"replaced", func(dir string) error { return os.Rename(dir+"/small", dir+"/big") }, 226},
	} {
		t.Run(tt.what, func(t *testing.T) {
			fsys, dir := disk(t)
			check(t, os.WriteFile(dir+"/big", content, 0o600))
			check(t, os.WriteFile(dir+"/small", []byte("another"), 0o600))
			c := serve(t, fsys).login(t, "rw")
			c.cmd("TYPE "+typ, 200)
			d := c.starts("RETR big")
			got := make([]byte, 1<<20)
			_, err := io.ReadFull(d, got)
			check(t, err)
			check(t, tt.do(dir))
			got = append(got, rest(d)...)
			_ = d.Close()
			r := c.want(226, 451)
			c.cmd("NOOP", 200)
			if tt.code == 451 && len(got) == len(sent) {
				t.Skip("all of it was sent before the change")
			}
			if int(r.Code) != tt.code {
				t.Errorf("%v after %d of %d bytes", r, len(got), len(sent))
			}
			// What was sent before is right, and nothing is made up after it.
			if !bytes.HasPrefix(sent, got) || tt.code == 226 && len(got) != len(sent) {
				t.Errorf("%d bytes were received that are not those of the file", len(got))
			}
		})
	}
}
