package fsroot

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// LstatIfPossible returns the FileInfo of a file and does not follow a symlink at the
// end of the path. The bool is always true, because Lstat was used.
func (r *Root) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	var fi fs.FileInfo
	err := r.inRoot("lstat", name, false, func(rel string) (err error) {
		fi, err = r.root.Lstat(rel)
		return err
	})
	return fi, true, err
}

// ReadlinkIfPossible returns the target of a symlink. A relative target is returned
// unchanged, and an absolute one as a virtual path. A target outside is refused with
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
		case climbs(raw) > 0: // only then does the place of the link matter
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

// SymlinkIfPossible creates newname as a symlink to oldname. oldname is relative to the
// directory of the symlink or, if it is absolute, a virtual path. It need not exist.
//
// The target is stored as a relative path without "..". So the symlink cannot lead out of
// the tree, even for other programs of the host and after it or a directory above it was
// moved. A target that is not below the directory of the symlink cannot be stored this
// way, and is refused with fs.ErrPermission (but see WithUpwardLinks). A target outside the
// Root is always refused.
func (r *Root) SymlinkIfPossible(oldname, newname string) error {
	rel, err := local(newname)
	if err != nil {
		return r.fail("symlink", newname, err)
	}
	// The target is relative to the real directory of the symlink, so resolve the path to it.
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

// storable returns a target as it is stored for a symlink in the directory dir: without "..", unless
// r.upward is set.
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

// WithUpwardLinks returns a Root for the same directory that also creates symlinks with ".." in
// their target, if the target is inside the Root. Such a symlink may lead out after a rename, so
// use it only for trees in which no untrusted user can rename files, such as a mirror of another
// tree. Closing one of the two Roots closes both.
func (r *Root) WithUpwardLinks() *Root {
	with := *r
	with.upward = true
	return &with
}

// below returns the path of p relative to dir, if p is dir or below it. Both must be
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

// climbs returns the number of components of p that are "..".
func climbs(p string) int {
	n := 0
	for part := range strings.SplitSeq(filepath.ToSlash(p), "/") {
		if part == ".." {
			n++
		}
	}
	return n
}

// errUpward is returned for a symlink whose target is not below the directory of the
// symlink.
var errUpward = &upwardError{}

type upwardError struct{}

func (*upwardError) Error() string {
	return "the target of a link must be below the directory of the link"
}
func (*upwardError) Is(target error) bool { return target == fs.ErrPermission }

// inside returns the path relative to r for an absolute host path, if that is inside the
// directory. It compares whole components, so "/root_evil" is not inside "/root".
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

// trimSeparator removes a separator at the end, which a cleaned path has only if it is the root
// of the host.
func trimSeparator(dir string) string {
	return strings.TrimSuffix(dir, string(filepath.Separator))
}
