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

// maxMoved bounds how many entries are looked at before a directory is moved up.
const maxMoved = 100_000

// errMoved is returned for a directory that can't be moved up.
var errMoved = &movedError{}

type movedError struct{}

func (*movedError) Error() string {
	return "the directory holds links with \"..\", or more entries than are looked at for such links: it can't be moved to a higher level"
}
func (*movedError) Is(target error) bool { return target == fs.ErrPermission }

// mayMove refuses moves that make a link lead somewhere else, and perhaps out of the
// tree, for other programs of the host; os.Root keeps this one inside anyway. Clients
// can make no such links (see SymlinkIfPossible), but they may move those that the
// host's own users made:
//
//   - A link with ".." in its target stays in its directory.
//   - A directory that holds links which climb out of it, at any depth, is not moved to
//     a higher level. At the same level or below, what climbs stays inside.
//
// A rename within one directory changes nothing of that, and is not looked at.
func (r *Root) mayMove(oldname, newname string) error {
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
	return r.inRoot("rename", oldname, false, r.climbsNot)
}

// level returns how far the directory dir really is from the root.
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

// climbsNot returns errMoved if a link in the directory rel climbs out of it.
func (r *Root) climbsNot(rel string) error {
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
		below, err := linksStay(top, dir, &left)
		if err != nil {
			return err
		}
		dirs = append(dirs, below...)
	}
	return nil
}

// linksStay looks at the links of one directory below top, and returns the directories
// in it. left is how many entries may still be looked at.
func linksStay(top *os.Root, dir string, left *int) (below []string, err error) {
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
