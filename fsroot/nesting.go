package fsroot

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Nesting knows a set of directories of the host, and which paths lead through one of
// them. Whoever may write in a directory decides what the paths through it lead to, so
// Open opens what lies in one of the set through it. Directories are recognized by what
// the host says of their identity, whatever they are called, and by their names where
// they are missing.
//
// A Nesting does not change after NewNesting, and may be used by several goroutines.
type Nesting struct {
	byID   map[any]string
	byPath map[string]string
	inner  map[place]string // the directories of the set that lie in another one
}

// place is a path below a directory of the set.
type place struct{ dir, rest string }

// NewNesting returns the Nesting of a set of directories.
func NewNesting(dirs []string) *Nesting {
	n := &Nesting{byID: map[any]string{}, byPath: map[string]string{}, inner: map[place]string{}}
	for _, dir := range dirs {
		if abs, err := filepath.Abs(dir); err == nil {
			n.byPath[abs] = dir
		}
		if id := identity(dir); id != nil {
			n.byID[id] = dir
		}
	}
	for _, dir := range dirs {
		if p, ok := n.first(dir); ok {
			n.inner[p] = dir
		}
	}
	return n
}

// identity is what tells a directory from every other one, or nil if it is missing.
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

// Outer returns the innermost directory of the set that the path leads through on the
// way to its end, and the rest of the path. The end itself does not count.
func (n *Nesting) Outer(name string) (dir, rest string, ok bool) {
	p, ok := n.first(name)
	if !ok {
		return "", "", false
	}
	parts := strings.Split(p.rest, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if dir, ok := n.inner[place{p.dir, path.Join(parts[:i]...)}]; ok {
			return dir, path.Join(parts[i:]...), true
		}
	}
	return p.dir, p.rest, true
}

// first returns the first directory of the set that a path leads through. What comes
// behind it is not looked at: symlinks there are made by those who may write in it.
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
		if err != nil { // no link, or it is missing
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

// known returns the directory of the set that at is.
func (n *Nesting) known(at string) (string, bool) {
	if dir, ok := n.byPath[at]; ok {
		return dir, true
	}
	if len(n.byID) == 0 {
		return "", false
	}
	dir, ok := n.byID[identity(at)]
	return dir, ok
}

// maxNested bounds how many directories of the set lie in each other.
const maxNested = 16

// Open opens the directory dir as OpenRoot does or, if it lies in a directory of the
// set, through that one: symlinks in there lead to nothing outside of it.
func (n *Nesting) Open(dir string) (*Root, error) { return n.open(dir, 0) }

func (n *Nesting) open(dir string, depth int) (*Root, error) {
	outer, rest, ok := n.Outer(dir)
	if !ok {
		return OpenRoot(dir)
	}
	if depth == maxNested {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fmt.Errorf("more than %d directories that are served lie in each other", maxNested)}
	}
	r, err := n.open(outer, depth+1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	sub, err := r.Sub(rest)
	if err != nil {
		err = cause(err)
		if err == fs.ErrPermission { //nolint:errorlint // the host's own refusal, EACCES, is not meant
			err = fmt.Errorf("it lies in %s, where users may write, and is a link that leads out of that", outer)
		}
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return sub, nil
}
