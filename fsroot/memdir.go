package fsroot

import (
	"io"
	"io/fs"
	"time"

	"github.com/spf13/afero"
	afmem "github.com/spf13/afero/mem"
)

// memDir is an open directory of mem. It holds the entries at the time it was opened,
// because that of afero reads the current entries at an offset, and panics when some
// were removed meanwhile.
type memDir struct {
	afero.File
	rest []fs.FileInfo
}

func readDir(f afero.File) (afero.File, error) {
	live, err := f.Readdir(-1)
	if err != nil {
		return nil, err
	}
	d := &memDir{File: f, rest: make([]fs.FileInfo, len(live))}
	for i, fi := range live {
		d.rest[i] = snapshot(fi)
	}
	return d, nil
}

// Readdir returns the next count entries, or all that are left if count is not
// positive. If count is positive and no entry is left, the error is io.EOF.
func (d *memDir) Readdir(count int) ([]fs.FileInfo, error) {
	if count > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if count <= 0 || count > len(d.rest) {
		count = len(d.rest)
	}
	out := d.rest[:count]
	d.rest = d.rest[count:]
	return out, nil
}

// Readdirnames is like Readdir, but returns only the names.
func (d *memDir) Readdirnames(count int) ([]string, error) {
	infos, err := d.Readdir(count)
	names := make([]string, len(infos))
	for i, fi := range infos {
		names[i] = fi.Name()
	}
	return names, err
}

// memInfo is a FileInfo that does not change with the file. The result of Sys identifies the
// file: it is the same in every FileInfo of the file, also after a rename.
type memInfo struct {
	name    string
	size    int64
	mode    fs.FileMode
	modTime time.Time
	data    *afmem.FileData
}

func snapshot(fi fs.FileInfo) fs.FileInfo {
	i := memInfo{name: fi.Name(), size: fi.Size(), mode: fi.Mode(), modTime: fi.ModTime()}
	if live, ok := fi.(*afmem.FileInfo); ok {
		i.data = live.FileData
	}
	if i.name == "" { // the root directory
		i.name = "/"
	}
	return i
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.modTime }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return i.data }
