package fsroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxMoved is the number of entries that are checked before a directory is moved to a higher
// level. A directory with more entries is not moved.
const maxMoved = 100_000

// errMoved is returned for a directory that must not be moved to a higher level.
var errMoved = &movedError{}

type movedError struct{}

func (*movedError) Error() string {
	return "the directory can't be moved to a higher level: it contains links with \"..\", or too many entries to check for such links"
}
func (*movedError) Is(target error) bool { return target == fs.ErrPermission }

// mayMove returns an error for a move that could make a symlink lead out of the tree for other
// programs of the host. (This program is safe in any case, because os.Root keeps it inside.)
// Clients cannot create symlinks that allow this (see SymlinkIfPossible), but users of the host
// can, and clients could move those:
//
//   - A symlink with ".." in its target must stay in its directory.
//   - A directory that contains, at any depth, a symlink whose target climbs out of the
//     directory must not be moved to a higher level. At the same or a lower level, the target
//     is still inside the tree.
//
// A rename within one directory is always allowed, because it does not change where symlinks
// lead.
func (r *Root) mayMove(oldname, newname string) error {
	if isPlain(oldname) && isPlain(newname) { // the usual case
		return nil
	}
	oldDir, newDir := path.Dir(virtual(oldname)), path.Dir(virtual(newname))
	if oldDir == newDir {
		return nil
	}
	fi, _, err := r.LstatIfPossible(oldname)
	switch {
	case err != nil:
		return nil // the rename reports it
	case fi.Mode()&fs.ModeSymlink != 0:
		return r.inRoot("readlink", oldname, false, func(rel string) error {
			target, err := r.root.Readlink(rel)
			if err == nil && !filepath.IsAbs(target) && climbs(target) > 0 {
				err = errUpward
			}
			return err
		})
	case !fi.IsDir():
		return nil
	}
	from, err := r.level(oldDir)
	if err != nil {
		return err
	}
	to, err := r.level(newDir)
	if err != nil || to >= from {
		return err
	}
	return r.inRoot("rename", oldname, false, r.checkClimbs)
}

// level returns how many levels the directory dir is below the root, after its symlinks were
// resolved.
func (r *Root) level(dir string) (int, error) {
	rel, err := local(dir)
	if err == nil {
		rel, err = r.resolve(rel, true)
	}
	if err != nil || rel == "." {
		return 0, err
	}
	return strings.Count(rel, "/") + 1, nil
}

// checkClimbs returns errMoved if a symlink in the directory rel, at any depth, climbs out of it.
func (r *Root) checkClimbs(rel string) error {
	top, err := openDir(r.root, rel)
	if err != nil {
		return err
	}
	defer func() { _ = top.Close() }()
	left := maxMoved
	dirs := []string{"."}
	for len(dirs) > 0 {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		below, err := checkLinks(top, dir, &left)
		if err != nil {
			return err
		}
		dirs = append(dirs, below...)
	}
	return nil
}

// checkLinks checks the symlinks in one directory, dir, for targets outside top. It returns the
// directories in dir. left is the number of entries that may still be checked.
func checkLinks(top *os.Root, dir string, left *int) (below []string, err error) {
	f, err := top.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	level := 0
	if dir != "." {
		level = strings.Count(dir, "/") + 1
	}
	for {
		entries, err := f.ReadDir(256)
		if *left -= len(entries); *left < 0 {
			return nil, errMoved
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			switch {
			case e.IsDir():
				below = append(below, name)
			case e.Type()&fs.ModeSymlink != 0:
				target, err := top.Readlink(name)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return nil, err
				}
				if !filepath.IsAbs(target) && climbs(target) > level {
					return nil, errMoved
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return below, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
