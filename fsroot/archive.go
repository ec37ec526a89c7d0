package fsroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// archive is the tree of an archive, which never changes. It is not made of zipfs and tarfs of afero, because
// their Readdir(n) returns the first n entries again and again, they lack directories that have no entry
// of their own, zipfs holds in memory what it has read of a file, and tarfs panics if an archive is damaged.
//
// An archive is safe for concurrent use.
type archive struct {
	refusing
	kind string // "Zip" or "Tar"
	top  *node
}

var _ afero.Symlinker = (*archive)(nil)

// node is a file, a directory or a symlink.
type node struct {
	name     string
	mode     fs.FileMode
	size     int64
	modTime  time.Time
	link     string                       // the target of a symlink
	open     func(name string) afero.File // of a file; name is the path for errors
	inside   map[string]*node             // of a directory, else nil
	implicit bool                         // a directory without an entry of its own
}

// The limits of an archive.
const (
	maxNodes     = 500_000
	maxDirectory = 64 << 20  // bytes of the directory of a zip archive
	maxInMemory  = 256 << 20 // bytes of a compressed tar archive when decompressed
)

var errManyNodes = fmt.Errorf("it has more than %d files and directories", maxNodes)

// tree builds the tree of an archive.
type tree struct {
	top   *node
	nodes int
}

func newTree(at time.Time) *tree {
	return &tree{top: &node{name: "/", mode: fs.ModeDir | 0o755, modTime: at, inside: map[string]*node{}}}
}

// parts splits the name of an entry. ok is false if the entry has to be left out.
func parts(name string) (all []string, ok bool) {
	if len(name) > maxPath || strings.IndexByte(name, 0) >= 0 {
		return nil, false
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return nil, false
		default:
			all = append(all, part)
		}
	}
	return all, len(all) <= maxLevels
}

// add adds n under the name of its entry. It leaves out what parts rejects, and a file that has the
// name of a directory, or the other way round. A later file replaces an earlier one.
func (t *tree) add(name string, n *node) error {
	all, ok := parts(name)
	if !ok {
		return nil
	}
	if len(all) == 0 {
		if n.inside != nil {
			t.top.mode, t.top.modTime = n.mode, n.modTime
		}
		return nil
	}
	dir := t.top
	for _, part := range all[:len(all)-1] {
		next := dir.inside[part]
		if next == nil {
			next = &node{name: part, mode: fs.ModeDir | 0o755, modTime: t.top.modTime, inside: map[string]*node{}, implicit: true}
			if err := t.put(dir, next); err != nil {
				return err
			}
		}
		if next.inside == nil {
			return nil
		}
		dir = next
	}
	n.name = all[len(all)-1]
	switch old := dir.inside[n.name]; {
	case old == nil:
		return t.put(dir, n)
	case old.inside != nil && n.inside != nil:
		old.mode, old.modTime, old.implicit = n.mode, n.modTime, false
	case old.inside == nil && n.inside == nil:
		dir.inside[n.name] = n
	}
	return nil
}

func (t *tree) put(dir, n *node) error {
	if t.nodes++; t.nodes > maxNodes {
		return errManyNodes
	}
	dir.inside[n.name] = n
	return nil
}

// find returns the node of a path. It follows symlinks in the path, and at its end if follow is set.
func (a *archive) find(name string, follow bool) (*node, error) {
	rel, err := local(name)
	if err != nil {
		return nil, err
	}
	at := []*node{a.top} // the directories from the top on
	links := 0
	for todo := strings.Split(rel, "/"); len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		dir := at[len(at)-1]
		switch {
		case part == "" || part == ".":
			continue
		case dir.inside == nil:
			return nil, syscall.ENOTDIR
		case part == "..": // only in targets of symlinks
			at = at[:max(1, len(at)-1)]
			continue
		}
		next := dir.inside[part]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		if next.mode&fs.ModeSymlink == 0 || !follow && len(todo) == 0 {
			at = append(at, next)
			continue
		}
		if links++; links > maxLinks {
			return nil, syscall.ELOOP
		}
		if strings.HasPrefix(next.link, "/") {
			at = at[:1]
		}
		todo = append(strings.Split(next.link, "/"), todo...)
	}
	return at[len(at)-1], nil
}

func (a *archive) Name() string { return a.kind }

func (a *archive) Open(name string) (afero.File, error) { return a.OpenFile(name, os.O_RDONLY, 0) }

func (a *archive) OpenFile(name string, flag int, _ fs.FileMode) (afero.File, error) {
	if flag&writeFlags != 0 {
		return nil, refuse("open", name)
	}
	n, err := a.find(name, true)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	if n.inside != nil {
		return &archiveDir{archiveFile: archiveFile{name: virtual(name), info: n.info()}, rest: n.list()}, nil
	}
	return n.open(virtual(name)), nil
}

func (a *archive) Stat(name string) (fs.FileInfo, error) {
	n, err := a.find(name, true)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	fi := n.info()
	if fi.name != "/" && virtual(name) != "/" {
		fi.name = virtual(name)[strings.LastIndexByte(virtual(name), '/')+1:] // not that of a link's target
	}
	return fi, nil
}

func (a *archive) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	n, err := a.find(name, false)
	if err != nil {
		return nil, true, pathError("lstat", name, err)
	}
	return n.info(), true, nil
}

func (a *archive) ReadlinkIfPossible(name string) (string, error) {
	n, err := a.find(name, false)
	if err == nil && n.mode&fs.ModeSymlink == 0 {
		err = syscall.EINVAL
	}
	if err != nil {
		return "", pathError("readlink", name, err)
	}
	return n.link, nil
}

// list returns the entries of a directory, sorted by name.
func (n *node) list() []fs.FileInfo {
	all := make([]fs.FileInfo, 0, len(n.inside))
	for _, child := range n.inside {
		all = append(all, child.info())
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return all
}

func (n *node) info() archiveInfo { return archiveInfo{n.name, n.size, n.mode, n.modTime} }

type archiveInfo struct {
	name    string
	size    int64
	mode    fs.FileMode
	modTime time.Time
}

func (i archiveInfo) Name() string       { return i.name }
func (i archiveInfo) Size() int64        { return i.size }
func (i archiveInfo) Mode() fs.FileMode  { return i.mode }
func (i archiveInfo) ModTime() time.Time { return i.modTime }
func (i archiveInfo) IsDir() bool        { return i.mode.IsDir() }
func (i archiveInfo) Sys() any           { return nil }

// openArchive opens the file of an archive and returns its size.
func openArchive(kind, name string) (*os.File, fs.FileInfo, error) {
	if name == "" || strings.HasPrefix(name, "//") {
		return nil, nil, fmt.Errorf("%s: needs the name of a file: %s:FILE", kind, kind)
	}
	fi, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !fi.Mode().IsRegular() { // the open of a FIFO could block
		return nil, nil, fmt.Errorf("%s is not a file, so it is no %s archive", name, kind)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if fi, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, fi, nil
}

// badArchive returns the error for an archive that can't be read. seen is how many entries could be read.
func badArchive(kind, name string, seen int, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("%s is damaged: it ends too early", name)
	case errors.Is(err, errNoDirectory):
		return fmt.Errorf("%s is damaged: the directory at its end is missing or wrong", name)
	case errors.Is(err, errFormat) && seen == 0:
		return fmt.Errorf("%s is not a %s archive", name, kind)
	case errors.Is(err, errFormat):
		return fmt.Errorf("%s is damaged after %d entries", name, seen)
	}
	return fmt.Errorf("%s can't be used: %w", name, err)
}

// errFormat is the error for a file that is not in the format of an archive, and errNoDirectory for one that
// begins as a zip archive, but does not end as one.
var (
	errFormat      = errors.New("unknown format")
	errNoDirectory = errors.New("no directory")
)
