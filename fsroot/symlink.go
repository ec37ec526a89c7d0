package fsroot

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Limits of one path resolution, so that links which a client made can cost it
// only a bounded number of system calls.
const (
	maxLinks = 40   // as Linux
	maxSteps = 4096 // components of the path and of all link targets on the way
)

// LstatIfPossible describes a file without following a symlink at its end. The
// result is always true: Lstat was called.
func (r *Root) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	var fi fs.FileInfo
	err := r.do("lstat", name, false, func(rel string) (err error) {
		fi, err = r.root.Lstat(rel)
		return err
	})
	return fi, true, err
}

// ReadlinkIfPossible returns the target of a symlink as a virtual path: a relative
// one as it is, an absolute one as seen from "/". A target outside is not told
// (fs.ErrPermission).
func (r *Root) ReadlinkIfPossible(name string) (string, error) {
	var target string
	err := r.do("readlink", name, false, func(rel string) error {
		raw, err := r.root.Readlink(rel)
		if err != nil {
			return err
		}
		dir, err := r.resolve(path.Dir(rel), true)
		if err != nil {
			return err
		}
		inner, ok := raw, true
		if filepath.IsAbs(raw) {
			dir = "."
			inner, ok = r.inside(raw)
		}
		inner = filepath.ToSlash(inner)
		joined := path.Join(dir, inner)
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

// SymlinkIfPossible makes newname a symlink to oldname. An absolute oldname is a
// virtual path and becomes a relative link, so that it means the same to the
// host. A link that would lead out is refused with fs.ErrPermission; one to a
// missing file is not.
func (r *Root) SymlinkIfPossible(oldname, newname string) error {
	rel, err := local(newname)
	if err != nil {
		return r.fail("symlink", newname, err)
	}
	// The real directory of the link, not the path to it, is what ".." starts from.
	dir, err := r.resolve(path.Dir(rel), true)
	if err != nil {
		return r.fail("symlink", newname, err)
	}
	target := filepath.ToSlash(oldname)
	if filepath.VolumeName(oldname) != "" { // Windows: a drive is not a virtual path
		return r.fail("symlink", newname, fs.ErrPermission)
	}
	if path.IsAbs(target) {
		if target, err = filepath.Rel("/"+dir, virtual(target)); err != nil {
			return r.fail("symlink", newname, err)
		}
		target = filepath.ToSlash(target)
	}
	if _, err = r.resolve(dir+"/"+target, true); err == nil {
		err = r.root.Symlink(filepath.FromSlash(target), path.Join(dir, path.Base(rel)))
	}
	return r.fail("symlink", newname, err)
}

// resolve walks rel component by component and returns the path without symlinks,
// still relative to the directory. Absolute targets under the directory are taken
// as relative ones; anything that leads out is fs.ErrPermission. Components that
// do not exist are kept. The answer is a hint only: whoever uses it goes through
// os.Root, which checks it again.
func (r *Root) resolve(rel string, followLast bool) (string, error) {
	todo := strings.Split(rel, "/")
	var done []string
	links := 0
	for steps := 0; len(todo) > 0; steps++ {
		if steps > maxSteps {
			return "", syscall.ENAMETOOLONG
		}
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			if len(done) == 0 {
				return "", fs.ErrPermission
			}
			done = done[:len(done)-1]
			continue
		}
		done = append(done, part)
		if len(todo) == 0 && !followLast {
			break
		}
		target, isLink, err := r.linkTarget(strings.Join(done, "/"))
		if err != nil {
			return "", err
		}
		if !isLink {
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		done = done[:len(done)-1]
		if filepath.IsAbs(target) {
			var ok bool
			if target, ok = r.inside(target); !ok {
				return "", fs.ErrPermission
			}
			done = done[:0]
		}
		todo = append(strings.Split(filepath.ToSlash(target), "/"), todo...)
	}
	if len(done) == 0 {
		return ".", nil
	}
	return strings.Join(done, "/"), nil
}

// linkTarget reads the symlink rel. What is missing is no link.
func (r *Root) linkTarget(rel string) (target string, isLink bool, err error) {
	fi, err := r.root.Lstat(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		return "", false, err
	}
	target, err = r.root.Readlink(rel)
	return target, err == nil, err
}

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
