package fsroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The limits for the resolution of one path. They bound the number of system calls for
// symlinks that a client has created.
const (
	maxLinks = 40   // symlinks, as on Linux
	maxSteps = 4096 // components of paths in system calls
)

// resolve resolves the symlinks in rel, component by component, and returns a path
// relative to the directory. An absolute target inside the directory is followed; for a
// target outside, the error is fs.ErrPermission. Components that do not exist are kept.
// The result may be outdated at once, so callers use it only through os.Root, which
// checks it again.
func (r *Root) resolve(rel string, followLast bool) (string, error) {
	w := walk{root: r, missing: -1}
	defer w.close()
	return w.resolve(rel, followLast)
}

// walk is the state of one resolution. It keeps the directory it has reached open. Without that,
// a component deep in the tree would cost more, because os.Root opens every path from its start.
type walk struct {
	root    *Root
	done    []string // the resolved components
	missing int      // the number of components of done that exist; -1 if all do
	at      *os.Root // the open directory done; nil if it is not open, or is the root itself
	steps   int      // the number of components in system calls so far; see maxSteps
	links   int      // the number of symlinks so far
}

func (w *walk) resolve(rel string, followLast bool) (string, error) {
	todo := strings.Split(rel, "/")
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if err := w.spend(1); err != nil {
			return "", err
		}
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			if len(w.done) == 0 {
				return "", fs.ErrPermission
			}
			w.backTo(len(w.done) - 1)
			continue
		case len(todo) == 0 && !followLast, w.missing >= 0:
			w.done = append(w.done, part)
			continue
		}
		target, isLink, err := w.enter(part, len(todo) > 0)
		if err != nil {
			return "", err
		}
		if !isLink {
			continue
		}
		if w.links++; w.links > maxLinks {
			return "", syscall.ELOOP
		}
		if filepath.IsAbs(target) {
			var ok bool
			if target, ok = w.root.inside(target); !ok {
				return "", fs.ErrPermission
			}
			w.backTo(0)
		}
		todo = append(strings.Split(filepath.ToSlash(target), "/"), todo...)
	}
	if len(w.done) == 0 {
		return ".", nil
	}
	return strings.Join(w.done, "/"), nil
}

// enter returns the target of part if it is a symlink. Else it appends part to done, and opens it
// if more is true. A part that does not exist is not a symlink.
func (w *walk) enter(part string, more bool) (target string, isLink bool, err error) {
	dir, err := w.dir()
	if err != nil {
		return "", false, err
	}
	fi, err := dir.Lstat(part)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.missing = len(w.done)
		w.done = append(w.done, part)
		return "", false, nil
	case err != nil:
		return "", false, err
	case fi.Mode()&fs.ModeSymlink != 0:
		if err := w.spend(1); err != nil {
			return "", false, err
		}
		target, err = dir.Readlink(part)
		return target, err == nil, err
	}
	if more {
		next, err := openDir(dir, part)
		if err != nil {
			return "", false, err
		}
		w.close()
		w.at = next
	}
	w.done = append(w.done, part)
	return "", false, w.spend(1)
}

// dir returns the directory done, and opens it if necessary.
func (w *walk) dir() (*os.Root, error) {
	if w.at != nil {
		return w.at, nil
	}
	if len(w.done) == 0 {
		return w.root.root, nil
	}
	if err := w.spend(len(w.done)); err != nil {
		return nil, err
	}
	var err error
	w.at, err = openDir(w.root.root, strings.Join(w.done, "/"))
	return w.at, err
}

// openDir opens the directory rel in root. The slash makes the system fail for anything else;
// without it, the open of a FIFO would wait for a writer.
func openDir(root *os.Root, rel string) (*os.Root, error) { return root.OpenRoot(rel + "/") }

// backTo shortens done to its first n components.
func (w *walk) backTo(n int) {
	w.close()
	w.done = w.done[:n]
	if w.missing >= n {
		w.missing = -1
	}
}

func (w *walk) close() {
	if w.at != nil {
		_ = w.at.Close()
		w.at = nil
	}
}

// spend counts n steps. It returns an error if there are more than maxSteps.
func (w *walk) spend(n int) error {
	if w.steps += n; w.steps > maxSteps {
		return syscall.ENAMETOOLONG
	}
	return nil
}
