package client

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"
)

// reserved holds the parts that this process is writing to. Locks alone would not do: not every
// file system has them.
var reserved = struct {
	sync.Mutex
	names map[reservation]struct{}
}{names: map[reservation]struct{}{}}

type reservation struct {
	fsys afero.Fs
	name string
}

// reserve records that this process writes to a part. It reports false if it already does.
func reserve(fsys afero.Fs, name string) (free func(), ok bool) {
	if !reflect.ValueOf(fsys).Comparable() {
		return func() {}, true
	}
	r := reservation{fsys, filepath.Clean(name)}
	reserved.Lock()
	defer reserved.Unlock()
	if _, taken := reserved.names[r]; taken {
		return nil, false
	}
	reserved.names[r] = struct{}{}
	return func() {
		reserved.Lock()
		defer reserved.Unlock()
		delete(reserved.names, r)
	}, true
}

// lstat describes a name. It does not follow a link if the file system supports that.
func lstat(fsys afero.Fs, name string) (fs.FileInfo, error) {
	if l, ok := fsys.(afero.Lstater); ok {
		info, _, err := l.LstatIfPossible(name)
		return info, err
	}
	return fsys.Stat(name)
}

// sameFile reports whether two descriptions are of the same file. If the file system can't tell, it
// treats two regular files as the same.
func sameFile(a, b fs.FileInfo) bool {
	if os.SameFile(a, b) {
		return true
	}
	if dataA, dataB := memData(a), memData(b); dataA != nil || dataB != nil {
		return dataA == dataB
	}
	known := os.SameFile(a, a) || os.SameFile(b, b)
	return !known && a.Mode().Type() == b.Mode().Type()
}

// memData returns the identity of an in-memory file; nil for any other.
func memData(fi fs.FileInfo) *mem.FileData {
	if m, ok := fi.(*mem.FileInfo); ok {
		return m.FileData
	}
	data, _ := fi.Sys().(*mem.FileData)
	return data
}
