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

// resolve returns the absolute path of a pathname in the account's tree. Blanks at its ends are part of it.
// ".." stops at the root.
func (s *session) resolve(arg string) string {
	if !strings.HasPrefix(arg, "/") {
		arg = strings.TrimSuffix(s.cwd, "/") + "/" + arg
	}
	return cleanPath(arg)
}

func cleanPath(p string) string {
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return path.Clean(p)
}

// lstat is Stat without following a link at the end of the path, if the storage has links.
func lstat(fsys afero.Fs, name string) (fs.FileInfo, error) {
	if l, ok := fsys.(afero.Lstater); ok {
		fi, _, err := l.LstatIfPossible(name)
		return fi, err
	}
	return fsys.Stat(name)
}

// readlink returns the target of a link, or "" if that is unknown.
func readlink(fsys afero.Fs, name string) string {
	if l, ok := fsys.(afero.LinkReader); ok {
		if target, err := l.ReadlinkIfPossible(name); err == nil {
			return target
		}
	}
	return ""
}

// isDir returns nil if name is a directory or a link to one.
func isDir(fsys afero.Fs, name string) error {
	fi, err := fsys.Stat(name)
	if err == nil && !fi.IsDir() {
		err = syscall.ENOTDIR
	}
	return err
}

// mayEnter returns nil if dir can be the working directory. That requires the right to search it. Looking up
// any name in it shows whether the process has that right.
func mayEnter(fsys afero.Fs, dir string) error {
	fi, err := fsys.Stat(dir)
	switch {
	case err != nil:
	case !fi.IsDir():
		err = syscall.ENOTDIR
	case os.SameFile(fi, fi): // on disk; other storages have no such right or would be slow
		if _, inside := lstat(fsys, path.Join(dir, "x")); errors.Is(inside, fs.ErrPermission) {
			err = inside
		}
	}
	return err
}

// Bounds on a path. A client could get deeper than the limit of the operating system by CWD, and each command
// of each session would pay for the depth.
const (
	maxPath   = 4096 // bytes, as PATH_MAX of Linux
	maxLevels = 256
)

// pathTooLong reports whether the path in an argument exceeds a bound. Short arguments in a short working directory
// need no check.
func (s *session) pathTooLong(x syntax, arg string) bool {
	if x.path == nil || len(s.cwd)+len(arg) < maxLevels {
		return false
	}
	return tooLong(s.resolve(x.path(arg)))
}

// isHidden reports whether the path in an argument is the hidden name of a partial upload.
func (s *session) isHidden(x syntax, arg string) bool {
	if x.path == nil || s.account == nil || !strings.Contains(arg, partialSuffix) && !foldsCase { // the usual case
		return false
	}
	return isReservedName(path.Base(s.resolve(x.path(arg))))
}

// tooLong reports whether an absolute, clean path exceeds a bound.
func tooLong(p string) bool {
	return len(p) > maxPath || strings.Count(p, "/") > maxLevels
}
