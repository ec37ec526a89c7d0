package server_test

import (
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
)

// full is a filesystem with limited room. Of a write that exceeds it the first bytes are written, as on a disk.
type full struct {
	afero.Fs
	room *atomic.Int64
}

func (f full) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	file, err := f.Fs.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return fullFile{file, f.room}, nil
}

type fullFile struct {
	afero.File
	room *atomic.Int64
}

func (f fullFile) Write(b []byte) (int, error) {
	fits := max(0, min(int64(len(b)), f.room.Add(-int64(len(b)))+int64(len(b))))
	n, err := f.File.Write(b[:fits])
	if err == nil && n < len(b) {
		err = &fs.PathError{Op: "write", Path: "/the/host/path", Err: syscall.ENOSPC}
	}
	return n, err
}

// A disk that gets full during an upload is answered with 452. No half-written file gets the final name, the
// old file is unchanged, and no hidden file keeps the disk full.
func TestFaultDiskFull(t *testing.T) {
	content := random(100_000)
	const fits = 60_000
	for _, tt := range []struct {
		cmd   string
		then  string // content of the final name after the 452; "-": none
		size  string // what SIZE returns then; "": the upload can't be resumed
		whole string
	}{
		{"STOR new", "-", "", ""},
		{"APPE new", "-", "", ""},
		{"STOR old", "old", "", ""},
		{"APPE old", "old" + string(content[:fits]), "60003", "old" + string(content)},
		{"STOU new", "-", "", ""},
	} {
		t.Run(tt.cmd, func(t *testing.T) {
			fsys := full{fsroot.NewMem(), new(atomic.Int64)}
			fsys.room.Store(3 + fits)
			write(t, fsys, "/old", "old")
			c := serve(t, fsys).login(t, "rw")
			d := c.starts(tt.cmd)
			_, _ = d.Write(content) // the server may close it before all is written
			if r := c.want(452); strings.Contains(r.Text(), "host") {
				t.Errorf("the reply contains a host path: %q", r.Text())
			}
			_ = d.Close()
			if got := names(t, fsys, "/"); len(got) != 1 {
				t.Errorf("%q keep the disk full", got)
			}
			name := strings.Fields(tt.cmd)[1]
			if tt.then == "-" && exists(fsys, "/"+name) || tt.then != "-" && read(t, fsys, "/"+name) != tt.then {
				t.Errorf("a part of the file has its final name")
			}
			fsys.room.Store(1 << 20)
			if tt.size == "" {
				c.put("STOR "+name, content)
				return
			}
			if r := c.cmd("SIZE "+name, 213); r.Text() != tt.size {
				t.Errorf("SIZE %s, want %s", r.Text(), tt.size)
			}
			c.cmd("REST "+tt.size, 350)
			c.put("STOR "+name, content[fits:])
			if got := read(t, fsys, "/"+name); got != tt.whole {
				t.Errorf("%d bytes, hash %s, want %d, %s", len(got), sum([]byte(got)), len(tt.whole), sum([]byte(tt.whole)))
			}
			if got := names(t, fsys, "/"); len(got) > 2 {
				t.Errorf("left: %q", got)
			}
		})
	}
}

// The same in TYPE A, where the bytes are copied by the pump and not by the kernel.
func TestFaultDiskFullInText(t *testing.T) {
	fsys := full{fsroot.NewMem(), new(atomic.Int64)}
	fsys.room.Store(1000)
	c := serve(t, fsys).login(t, "rw")
	c.cmd("TYPE A", 200)
	d := c.starts("STOR f")
	_, _ = io.WriteString(d, strings.Repeat("line\r\n", 1000))
	c.want(452)
	_ = d.Close()
	if exists(fsys, "/f") {
		t.Error("a part of the file has its final name")
	}
	c.cmd("NOOP", 200)
}
