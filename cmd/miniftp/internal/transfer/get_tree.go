package transfer

import (
	"cmp"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// tree fetches a directory, like cp -r: into the target if that exists, otherwise as the target.
// --links decides what happens to links in it.
func (f *fetcher) tree(k *connect.Link, r *target.Remote, dir connect.Found) error {
	root := cmp.Or(f.local, ".")
	if name := target.Base(dir.Path); f.intoDir && filepath.IsLocal(name) && name != "." {
		root = local.Join(root, name)
	}
	t := &tree{fetcher: f, k: k, r: r, remaining: maxInTree, root: root}
	return t.dir(treeDir{path: dir.Path, local: root, real: path.Clean("/" + dir.Path)})
}

// tree is a directory that get -r fetches. It holds one listing for each level at a time.
type tree struct {
	*fetcher
	k         *connect.Link
	r         *target.Remote
	remaining int // how many more entries the server may list
	root      string
	made      []string // the first directories made in root, at most mostMade
}

// Limits on what a server may list.
const (
	maxInTree = 10_000_000
	maxDepth  = 100
)

// treeDir is a directory of the tree.
type treeDir struct {
	path  string   // on the server
	local string   // the local directory
	rel   string   // its path below the root, with slashes
	real  string   // path with the links followed so far resolved
	above []string // the real paths and unique facts of this directory and its parents
	depth int
	links int // how many links were followed to get here
}

// dir fetches the contents of a directory.
func (t *tree) dir(here treeDir) error {
	if err := t.makeDir(here); err != nil {
		return err
	}
	if here.depth == maxDepth {
		return verb.At(t.r.Join(here.path), client.ErrTooDeep)
	}
	here.above = append(here.above[:len(here.above):len(here.above)], here.real)
	entries, first := t.list(here.path)
	if entries == nil {
		return first
	}
	defer entries.Close()
	if t.isTarget(here, entries) {
		return verb.FirstError(first, verb.At(t.r.Join(here.path), errors.New("left out: it is the directory that the tree is fetched to")))
	}
	for e, err := range entries.All() {
		if err == nil {
			err = t.entry(here, e)
		}
		if err == nil {
			continue
		}
		t.e.SayError(err)
		first = verb.FirstError(first, verb.Reported{Err: err})
		if verb.Fatal(err) || t.e.Ctx.Err() != nil {
			break
		}
	}
	return first
}

// mostMade limits the length of tree.made.
const mostMade = 100

// isTarget reports whether a directory on the server is the one that the tree is fetched to: the
// server may run on this host. Without this check, fetched files would be fetched again, without
// end. If the directory holds the directories made so far, isTarget creates a file locally and
// looks for it on the server.
func (t *tree) isTarget(here treeDir, entries *client.Listing) bool {
	if here.depth == 0 {
		return false
	}
	found := 0
	for e, err := range entries.All() {
		if err == nil && e.IsDir() && slices.Contains(t.made, e.Name) {
			found++
		}
	}
	if found < len(t.made) {
		return false
	}
	probe := "miniftp-probe-" + strings.ToLower(rand.Text()[:12])
	name := local.Join(t.root, probe)
	f, err := t.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return false
	}
	_ = f.Close()
	defer func() { _ = t.fs.Remove(name) }()
	_, err = t.k.Stat(target.Join(here.path, probe))
	return err == nil
}

// makeDir makes the local directory. With --links copy it does not follow a link in its place,
// because the link may come from the server.
func (t *tree) makeDir(p treeDir) error {
	if t.links == copyLinks && p.depth > 0 {
		if info, err := os.Lstat(p.local); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return verb.LocalProblem(p.local, errors.New("there is a link where a directory should be"))
		}
	}
	if err := t.fs.MkdirAll(p.local, 0o777); err != nil {
		return verb.LocalProblem(p.local, err)
	}
	return nil
}

// list reads a directory. Entries that can't be read are reported and left out; list returns the
// first such error.
func (t *tree) list(dir string) (all *client.Listing, err error) {
	err = t.k.Do(func(cl *client.Client) (err error) {
		all, err = cl.ReadDir(t.k.Ctx, dir)
		return err
	})
	if err != nil {
		return nil, verb.At(t.r.Join(dir), err)
	}
	if t.remaining -= all.Len(); t.remaining < 0 {
		all.Close()
		return nil, verb.At(t.r.Join(dir), client.ErrTooMany)
	}
	for e, err := range all.All() {
		if err == nil && e.Type == ftp.FileEntry {
			t.meter.Expect(e.Size)
		}
	}
	return all, verb.Each(t.e, all.Odd, func(err error) error { return verb.At(t.r.Join(dir), err) })
}

// entry fetches one entry of a directory. Only its name is taken from the server.
func (t *tree) entry(in treeDir, e ftp.Entry) error {
	below := treeDir{
		path: target.Join(in.path, e.Name), local: local.Join(in.local, e.Name), rel: path.Join(in.rel, e.Name),
		real: path.Join(in.real, e.Name), above: in.above, depth: in.depth + 1, links: in.links,
	}
	url := t.r.Join(below.path)
	if !filepath.IsLocal(e.Name) {
		return verb.At(url, &client.LocalError{Err: errors.New("its name is not allowed for a local file")})
	}
	if e.Type == ftp.LinkEntry && t.links == followLinks {
		var err error
		if e, below, err = t.follow(in, below, e); err != nil {
			return verb.At(url, err)
		}
	}
	switch e.Type {
	case ftp.DirEntry:
		if e.Unique != "" {
			// The fact unique (RFC 3659, section 7.5.2) identifies a directory under all its names.
			if slices.Contains(in.above, "unique "+e.Unique) {
				return verb.At(url, client.ErrTooDeep)
			}
			below.above = append(in.above[:len(in.above):len(in.above)], "unique "+e.Unique)
		}
		if in.depth == 0 && len(t.made) < mostMade {
			t.made = append(t.made, e.Name)
		}
		return t.dir(below)
	case ftp.LinkEntry:
		return t.link(in, below, e)
	case ftp.OtherEntry:
		t.left.Add(url, "it is not a regular file")
		return nil
	}
	e.Modified = e.Modified.Truncate(time.Second)
	file := connect.Found{Path: below.path, Entry: e}
	t.announce(t.k, file)
	return t.workers.Do(func() error { return t.file(t.k, t.r, file, below.local) })
}

// maxFollowed is how many links get -r follows on one path. Without a limit, links to each other's
// parents would make an endless tree.
const maxFollowed = 8

var errLeadsBack = errors.New("the link points to a directory that contains it")

// follow returns the target of a link as an entry with the name of the link.
//
// A link to a directory above it would make the tree endless. FTP has no command that resolves a link, so
// follow resolves the target textually and rejects it if it is, or contains, a directory on the way here.
// That misses loops through links in the target itself; maxFollowed bounds those.
func (t *tree) follow(in, below treeDir, link ftp.Entry) (ftp.Entry, treeDir, error) {
	var to ftp.Entry
	err := t.k.Do(func(cl *client.Client) (err error) {
		dir, err := cl.IsDir(t.k.Ctx, below.path)
		if dir || err != nil {
			to = ftp.Entry{Type: ftp.DirEntry, Size: -1}
			return err
		}
		to, err = cl.Stat(t.k.Ctx, below.path)
		return err
	})
	if err != nil {
		return link, below, err
	}
	if !to.IsDir() {
		t.meter.Expect(-1)
		return ftp.Entry{Name: link.Name, Type: ftp.FileEntry, Size: -1}, below, nil
	}
	below.links++
	switch {
	case link.Target == "":
		below.links += maxFollowed / 2 // it may point to a parent: follow only one such link
	case path.IsAbs(link.Target):
		below.real = path.Clean(link.Target)
	default:
		below.real = path.Join(in.real, link.Target)
	}
	// The target may contain the top of the tree without being on the way here.
	holdsTop := strings.HasPrefix(in.above[0]+"/", strings.TrimSuffix(below.real, "/")+"/")
	if below.links > maxFollowed || holdsTop || slices.Contains(in.above, below.real) {
		return link, below, errLeadsBack
	}
	return ftp.Entry{Name: link.Name, Type: ftp.DirEntry, Size: -1}, below, nil
}

// link handles a link that is not followed.
func (t *tree) link(in, below treeDir, e ftp.Entry) error {
	url := t.r.Join(below.path)
	switch {
	case t.links != copyLinks:
		t.left.Add(url, verb.LeftLink)
		return nil
	case e.Target == "":
		t.left.Add(url, "it is a link, and the server does not report its target")
		return nil
	case !client.LinkStaysInside(in.rel, e.Target):
		t.left.Add(url, leftOutside)
		return nil
	}
	target := filepath.FromSlash(e.Target)
	if has, err := os.Readlink(below.local); err == nil {
		if has == target {
			return nil
		}
		if t.noClobber {
			t.meter.Keep(0)
			return nil
		}
		if err := os.Remove(below.local); err != nil {
			return verb.LocalProblem(below.local, err)
		}
	}
	if err := os.Symlink(target, below.local); err != nil {
		return verb.LocalProblem(below.local, err)
	}
	return nil
}
