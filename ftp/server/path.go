package server

import (
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/afero"
)

// resolve makes a pathname absolute within the account's tree. Blanks at its
// ends belong to it; ".." stops at the root.
func (s *session) resolve(arg string) string {
	if !strings.HasPrefix(arg, "/") {
		arg = s.cwd + "/" + arg
	}
	return cleanPath(arg)
}

func cleanPath(p string) string { return path.Clean("/" + p) }

// lstat does not follow a link at the end of the path, where the storage knows links.
func lstat(fsys afero.Fs, name string) (fs.FileInfo, error) {
	if l, ok := fsys.(afero.Lstater); ok {
		fi, _, err := l.LstatIfPossible(name)
		return fi, err
	}
	return fsys.Stat(name)
}

// readlink is the target of a link; "" if it can't be told.
func readlink(fsys afero.Fs, name string) string {
	if l, ok := fsys.(afero.LinkReader); ok {
		if target, err := l.ReadlinkIfPossible(name); err == nil {
			return target
		}
	}
	return ""
}

// isDir follows links.
func isDir(fsys afero.Fs, name string) error {
	fi, err := fsys.Stat(name)
	if err == nil && !fi.IsDir() {
		err = fs.ErrNotExist
	}
	return err
}
