package fsroot

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Nesting holds a set of directories of the host, some of which may be inside others. A user who
// may write in the outer directory could replace a part of the path to the inner one by a symlink.
// So Open opens an inner directory through the Root of the outer one.
//
// Directories are recognized by their identity on the host (device and inode on Unix), so their
// path does not matter. Directories that do not exist yet are recognized by their path.
//
// A Nesting is immutable and safe for concurrent use.
type Nesting struct {
	byID   map[any]string    // from the identity to the directory as it was given to NewNesting
	byPath map[string]string // from the absolute path
	inner  map[place]string  // the directories of the set that are inside another one
	base   *Nesting          // more directories of the set, or nil
}

// place is a path, rest, below a directory of the set.
type place struct{ dir, rest string }

// NewNesting returns the Nesting of a set of directories.
func NewNesting(dirs []string) *Nesting { return (*Nesting)(nil).With(dirs) }

// With returns a Nesting that has more directories. Its cost does not depend on how many n has. In return, a directory of n
// that is inside one of dirs is not recognized: Open opens what it contains through the one of dirs.
func (n *Nesting) With(dirs []string) *Nesting {
	all := &Nesting{byID: map[any]string{}, byPath: map[string]string{}, inner: map[place]string{}, base: n}
	var added []string
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil || n.has(abs) {
			continue
		}
		added = append(added, dir)
		all.byPath[abs] = dir
		if id := identity(dir); id != nil {
			all.byID[id] = dir
		}
	}
	for _, dir := range added {
		if p, ok := all.first(dir); ok {
			all.inner[p] = dir
		}
	}
	return all
}

// has reports whether at is a directory of the set.
func (n *Nesting) has(at string) bool {
	if n == nil {
		return false
	}
	_, ok := n.known(at)
	return ok
}

// identity returns a value that identifies a directory on this host, or nil if it does not exist.
func identity(dir string) any {
	fi, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	if sys, ok := sysOf(fi); ok {
		return [2]uint64{sys.Dev, sys.Ino}
	}
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		return resolved
	}
	return nil
}

// Outer returns the innermost directory of the set that contains the path name, and the rest of
// the path below that directory. A directory does not contain itself.
func (n *Nesting) Outer(name string) (dir, rest string, ok bool) {
	p, ok := n.first(name)
	if !ok {
		return "", "", false
	}
	parts := strings.Split(p.rest, "/")
	for i := len(parts) - 1; i > 0; i-- {
		at := place{p.dir, path.Join(parts[:i]...)}
		for m := n; m != nil; m = m.base {
			if dir, ok := m.inner[at]; ok {
				return dir, path.Join(parts[i:]...), true
			}
		}
	}
	return p.dir, p.rest, true
}

// first returns the outermost directory of the set on the path name. It does not resolve the rest
// of the path, because users who may write in the directory control the symlinks there.
func (n *Nesting) first(name string) (place, bool) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return place{}, false
	}
	top := filepath.VolumeName(abs) + string(filepath.Separator)
	at, todo := top, splitHost(abs[len(top):])
	for links := 0; len(todo) > 0; {
		part := todo[0]
		if part == "" || part == "." || part == ".." {
			at, todo = filepath.Join(at, part), todo[1:]
			continue
		}
		if dir, ok := n.known(at); ok {
			return place{dir, path.Clean(strings.Join(todo, "/"))}, true
		}
		todo = todo[1:]
		next := filepath.Join(at, part)
		target, err := os.Readlink(next)
		if err != nil { // not a symlink, or it does not exist
			at = next
			continue
		}
		if links++; links > maxLinks {
			break
		}
		if filepath.IsAbs(target) {
			top = filepath.VolumeName(target) + string(filepath.Separator)
			at, target = top, target[len(top):]
		}
		todo = append(splitHost(target), todo...)
	}
	return place{}, false
}

func splitHost(p string) []string { return strings.Split(filepath.ToSlash(p), "/") }

// known returns the directory of the set that is the same as at.
func (n *Nesting) known(at string) (string, bool) {
	identities := false
	for m := n; m != nil; m = m.base {
		if dir, ok := m.byPath[at]; ok {
			return dir, true
		}
		identities = identities || len(m.byID) > 0
	}
	if !identities {
		return "", false
	}
	id := identity(at)
	for m := n; m != nil; m = m.base {
		if dir, ok := m.byID[id]; ok {
			return dir, true
		}
	}
	return "", false
}

// maxNested is the limit for the depth to which directories of the set are nested.
const maxNested = 16

// Open opens the directory dir like OpenRoot. If dir is inside a directory of the set, it opens dir
// through the Root of that directory, so that symlinks in there cannot lead out of it.
func (n *Nesting) Open(dir string) (*Root, error) { return n.open(dir, 0) }

func (n *Nesting) open(dir string, depth int) (*Root, error) {
	outer, rest, ok := n.Outer(dir)
	if !ok {
		return OpenRoot(dir)
	}
	if depth == maxNested {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fmt.Errorf("more than %d served directories are nested in each other", maxNested)}
	}
	r, err := n.open(outer, depth+1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	sub, err := r.Sub(rest)
	if err != nil {
		err = cause(err)
		if err == fs.ErrPermission { //nolint:errorlint // not EACCES of the host, which errors.Is would match too
			err = fmt.Errorf("it is in %s, where users may write, and is a link that leads out of it", outer)
		}
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return sub, nil
}
