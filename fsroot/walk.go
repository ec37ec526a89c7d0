package fsroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Limits of one path resolution, so that links which a client made can cost it
// only a bounded number of system calls.
const (
	maxLinks = 40   // as Linux
	maxSteps = 4096 // components of paths that are handed to the system
)

// resolve walks rel component by component and returns the path without symlinks,
// still relative to the directory. Absolute targets under the directory are taken
// as relative ones; anything that leads out is fs.ErrPermission. Components that
// do not exist are kept. The answer is a hint only: whoever uses it goes through
// os.Root, which checks it again.
func (r *Root) resolve(rel string, followLast bool) (string, error) {
	w := walk{root: r, missing: -1}
	defer w.close()
	return w.resolve(rel, followLast)
}

// walk is one resolution of a path. It holds the directory that it has reached open, so
// that a component costs the same however deep it is: os.Root walks each path that it
// is given from its start.
type walk struct {
	root    *Root
	done    []string // components that are resolved
	missing int      // how many of done exist; -1: all
	at      *os.Root // the directory done; nil: not open, or the root itself
	steps   int      // what it has cost
	links   int
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
			w.move(len(w.done) - 1)
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
			w.move(0)
		}
		todo = append(strings.Split(filepath.ToSlash(target), "/"), todo...)
	}
	if len(w.done) == 0 {
		return ".", nil
	}
	return strings.Join(w.done, "/"), nil
}

// enter appends part to what is done or, if it is a symlink, returns its target. It
// opens part if more follows. A part that does not exist is no link.
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

// dir returns the directory done, open.
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

// openDir opens a directory in root. With the slash the system is asked first whether it
// is one: the open of a FIFO would wait for a writer.
func openDir(root *os.Root, rel string) (*os.Root, error) { return root.OpenRoot(rel + "/") }

// move takes the walk back to the first n components of what is done.
func (w *walk) move(n int) {
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

func (w *walk) spend(n int) error {
	if w.steps += n; w.steps > maxSteps {
		return syscall.ENAMETOOLONG
	}
	return nil
}
