package fsroot

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// LstatIfPossible describes a file without following a symlink at its end. The
// result is always true: Lstat was called.
func (r *Root) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	var fi fs.FileInfo
	err := r.inRoot("lstat", name, false, func(rel string) (err error) {
		fi, err = r.root.Lstat(rel)
		return err
	})
	return fi, true, err
}

// ReadlinkIfPossible returns the target of a symlink as a virtual path: a relative
// one as it is, an absolute one as seen from "/". A target outside is refused with
// fs.ErrPermission.
func (r *Root) ReadlinkIfPossible(name string) (string, error) {
	var target string
	err := r.inRoot("readlink", name, false, func(rel string) error {
		raw, err := r.root.Readlink(rel)
		if err != nil {
			return err
		}
		inner, from, ok := raw, ".", true
		switch {
		case filepath.IsAbs(raw):
			inner, ok = r.inside(raw)
		case climbs(raw) > 0: // only then it matters where the link is
			from, err = r.resolve(path.Dir(rel), true)
		}
		if err != nil {
			return err
		}
		inner = filepath.ToSlash(inner)
		joined := path.Join(from, inner)
		if !ok || joined == ".." || strings.HasPrefix(joined, "../") {
			return fs.ErrPermission
		}
		if target = inner; filepath.IsAbs(raw) {
			target = virtual(joined)
		}
		return nil
	})
	return target, err
}

// SymlinkIfPossible makes newname a symlink to oldname, which is relative to the
// directory of the link or, if it is absolute, a virtual path. The link is stored as a
// relative path without "..", so that it leads to nothing outside, for other programs
// of the host too, wherever it or a directory above it is moved later. A target that
// can't be written so, as it is not below the directory of the link, is refused with
// fs.ErrPermission, as one that leads out is (but see WithUpwardLinks). The target need
// not exist.
func (r *Root) SymlinkIfPossible(oldname, newname string) error {
	rel, err := local(newname)
	if err != nil {
		return r.fail("symlink", newname, err)
	}
	// The real directory of the link, not the path to it, is what its target starts from.
	dir, err := r.resolve(path.Dir(rel), true)
	if err != nil {
		return r.fail("symlink", newname, err)
	}
	target, err := r.storable(oldname, dir)
	if err == nil {
		err = r.root.Symlink(filepath.FromSlash(target), path.Join(dir, path.Base(rel)))
	}
	return r.fail("symlink", newname, err)
}

// storable returns the form without ".." of a link target in the directory dir.
func (r *Root) storable(oldname, dir string) (string, error) {
	if filepath.VolumeName(oldname) != "" { // Windows: a drive is not a virtual path
		return "", fs.ErrPermission
	}
	target := filepath.ToSlash(oldname)
	full, ok := dir+"/"+target, true
	if path.IsAbs(target) {
		full = virtual(target)[1:]
		target, ok = below(dir, full)
	}
	if _, err := local(full); err != nil {
		return "", err
	}
	resolved, err := r.resolve(full, true)
	if err != nil {
		return "", err
	}
	switch {
	case ok && climbs(target) == 0:
		return target, nil
	case r.upward && !path.IsAbs(filepath.ToSlash(oldname)):
		return filepath.ToSlash(oldname), nil
	case r.upward:
		target, err = filepath.Rel("/"+dir, "/"+full)
		return filepath.ToSlash(target), err
	}
	if target, ok = below(dir, resolved); !ok {
		return "", errUpward
	}
	return target, nil
}

// WithUpwardLinks returns the same directory as a Root that also makes symlinks with ".."
// in them, as long as they lead to nothing outside from where they are. It is for a tree
// in which no stranger renames anything, such as a copy of another one. Either of the two
// may be closed, and both are closed then.
func (r *Root) WithUpwardLinks() *Root {
	with := *r
	with.upward = true
	return &with
}

// below returns the path of p as seen from dir, if it is dir or below it. Both are
// relative to the root and clean.
func below(dir, p string) (rest string, ok bool) {
	switch {
	case p == "" || p == dir:
		return ".", p == dir || dir == "."
	case dir == ".":
		return p, true
	}
	return strings.CutPrefix(p, dir+"/")
}

// climbs returns how many components of a path are "..".
func climbs(p string) int {
	n := 0
	for part := range strings.SplitSeq(filepath.ToSlash(p), "/") {
		if part == ".." {
			n++
		}
	}
	return n
}

// errUpward is returned for a link that would lead to what is not below its own
// directory.
var errUpward = &upwardError{}

type upwardError struct{}

func (*upwardError) Error() string {
	return "a link may only lead to what is below its own directory"
}
func (*upwardError) Is(target error) bool { return target == fs.ErrPermission }

// inside turns an absolute host path under the directory into one relative to it.
// It compares whole components, so "/root_evil" is not inside "/root".
func (r *Root) inside(target string) (rel string, ok bool) {
	for _, prefix := range r.prefixes {
		rest, found := strings.CutPrefix(target, prefix)
		if found && rest == "" {
			return ".", true
		}
		if found && (rest[0] == '/' || rest[0] == filepath.Separator) {
			return rest[1:], true
		}
	}
	return "", false
}

// trimSeparator drops the final separator that only the top of a host has.
func trimSeparator(dir string) string {
	return strings.TrimSuffix(dir, string(filepath.Separator))
}
