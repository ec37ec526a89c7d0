package transfertest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/afero"
)

// foldFS is a file system that ignores case but preserves the spelling of names.
type foldFS struct{ afero.Fs }

// at returns the path with its last name as it is spelled on the disk.
func (f foldFS) at(name string) string {
	if _, err := os.Lstat(name); err == nil {
		return name
	}
	names, _ := os.ReadDir(filepath.Dir(name))
	for _, e := range names {
		if strings.EqualFold(e.Name(), filepath.Base(name)) {
			return filepath.Join(filepath.Dir(name), e.Name())
		}
	}
	return name
}

func (f foldFS) Open(n string) (afero.File, error) { return f.Fs.Open(f.at(n)) }

func (f foldFS) OpenFile(n string, flag int, m fs.FileMode) (afero.File, error) {
	return f.Fs.OpenFile(f.at(n), flag, m)
}

func (f foldFS) Create(n string) (afero.File, error) { return f.Fs.Create(f.at(n)) }

func (f foldFS) Stat(n string) (fs.FileInfo, error) { return f.Fs.Stat(f.at(n)) }

func (f foldFS) Remove(n string) error { return f.Fs.Remove(f.at(n)) }

func (f foldFS) Rename(a, b string) error { return f.Fs.Rename(f.at(a), f.at(b)) }

func (f foldFS) Chmod(n string, m fs.FileMode) error { return f.Fs.Chmod(f.at(n), m) }

func (f foldFS) Chtimes(n string, a, m time.Time) error { return f.Fs.Chtimes(f.at(n), a, m) }

func (f foldFS) LstatIfPossible(n string) (fs.FileInfo, bool, error) {
	info, err := os.Lstat(f.at(n))
	return info, true, err
}
