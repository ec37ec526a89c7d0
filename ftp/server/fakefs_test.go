package server_test

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/afero"
)

// madeUp is a filesystem whose directories have entries that are generated while they are read. After each
// batch it calls more, if set, to learn whether to continue.
type madeUp struct {
	afero.Fs
	entries int
	more    func(read int) error
	most    *atomic.Int64 // the largest batch that was requested
}

func (m madeUp) Open(name string) (afero.File, error) {
	f, err := m.Fs.Open(name)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.IsDir() {
		return f, err
	}
	return &madeUpDir{File: f, fs: m}, nil
}

type madeUpDir struct {
	afero.File
	fs  madeUp
	pos int
}

func (d *madeUpDir) Readdir(n int) ([]fs.FileInfo, error) {
	if n <= 0 {
		n = d.fs.entries
	}
	if d.fs.most != nil && int64(n) > d.fs.most.Load() {
		d.fs.most.Store(int64(n))
	}
	if d.fs.more != nil {
		if err := d.fs.more(d.pos); err != nil {
			return nil, err
		}
	}
	var infos []fs.FileInfo
	for ; len(infos) < n && d.pos < d.fs.entries; d.pos++ {
		infos = append(infos, madeUpFile(d.pos))
	}
	if len(infos) == 0 {
		return nil, io.EOF
	}
	return infos, nil
}

// madeUpFile is the i-th file of a madeUpDir. The length of its name grows with i.
type madeUpFile int

func (f madeUpFile) Name() string     { return fmt.Sprintf("file-%07d", int(f)) }
func (madeUpFile) Size() int64        { return 1 }
func (madeUpFile) Mode() fs.FileMode  { return 0o644 }
func (madeUpFile) ModTime() time.Time { return time.Unix(1e9, 0) }
func (madeUpFile) IsDir() bool        { return false }
func (madeUpFile) Sys() any           { return nil }

// panicky is a filesystem in which one method can be made to panic.
type panicky struct {
	afero.Fs
	in    string // the method, such as "Open" or "File.Read"
	armed *atomic.Bool
}

func (p panicky) at(method string) {
	if p.in == method && p.armed.Load() {
		panic("this storage is broken: /the/host/path")
	}
}

func (p panicky) Open(name string) (afero.File, error) {
	p.at("Open")
	return p.wrap(p.Fs.Open(name))
}

func (p panicky) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	p.at("OpenFile")
	return p.wrap(p.Fs.OpenFile(name, flag, perm))
}

func (p panicky) Stat(name string) (os.FileInfo, error) {
	p.at("Stat")
	return p.Fs.Stat(name)
}

func (p panicky) Rename(from, to string) error {
	p.at("Rename")
	return p.Fs.Rename(from, to)
}

func (p panicky) Remove(name string) error {
	p.at("Remove")
	return p.Fs.Remove(name)
}

func (p panicky) wrap(f afero.File, err error) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	return panickyFile{f, p}, nil
}

type panickyFile struct {
	afero.File
	fs panicky
}

func (f panickyFile) Read(b []byte) (int, error) {
	f.fs.at("File.Read")
	return f.File.Read(b)
}

func (f panickyFile) Write(b []byte) (int, error) {
	f.fs.at("File.Write")
	return f.File.Write(b)
}

func (f panickyFile) Readdir(n int) ([]os.FileInfo, error) {
	f.fs.at("File.Readdir")
	return f.File.Readdir(n)
}

func (f panickyFile) Stat() (os.FileInfo, error) {
	f.fs.at("File.Stat")
	return f.File.Stat()
}

func (f panickyFile) Close() error {
	f.fs.at("File.Close")
	return f.File.Close()
}
