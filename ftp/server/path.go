package server

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

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
		err = syscall.ENOTDIR
	}
	return err
}

// mayEnter reports whether the directory can be the working directory. That takes the
// right to search it, which a name looked up in it tells, be the name there or not.
func mayEnter(fsys afero.Fs, dir string) error {
	fi, err := fsys.Stat(dir)
	switch {
	case err != nil:
	case !fi.IsDir():
		err = syscall.ENOTDIR
	case os.SameFile(fi, fi): // a disk: other storages have no such right, or are far away
		if _, inside := lstat(fsys, path.Join(dir, "x")); errors.Is(inside, fs.ErrPermission) {
			err = inside
		}
	}
	return err
}

// Bounds on a path. A client gets deeper than the host's own limit by CWD, and each
// of its commands, and of its sessions, would pay for the depth.
const (
	maxPath   = 4096 // bytes, as PATH_MAX of Linux
	maxLevels = 256
)

// tooFar reports whether the path in an argument is over a bound. A short argument in a
// short working directory is not even looked at.
func (s *session) tooFar(x syntax, arg string) bool {
	if x.path == nil || len(s.cwd)+len(arg) < maxLevels {
		return false
	}
	return tooLong(s.resolve(x.path(arg)))
}

// isHidden reports whether the path in an argument is the hidden name of a partial upload.
func (s *session) isHidden(x syntax, arg string) bool {
	if x.path == nil || s.account == nil || !strings.Contains(arg, partialSuffix) && !foldsCase { // nearly always
		return false
	}
	return isReservedName(path.Base(s.resolve(x.path(arg))))
}

// tooLong reports whether a path, absolute and clean, is over a bound.
func tooLong(p string) bool {
	return len(p) > maxPath || strings.Count(p, "/") > maxLevels
}
