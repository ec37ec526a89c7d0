package main

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// tree fetches a directory: as cp -r, into the target if that is there, else as
// the target. Links are left out, and said so.
func (f *fetcher) tree(k *link, r *remote, dir found) error {
	root := cmp.Or(f.local, ".")
	if name := base(dir.path); f.intoDir && filepath.IsLocal(name) && name != "." {
		root = filepath.Join(root, name)
	}
	t := &tree{fetcher: f, k: k, r: r, room: maxHeld, left: maxInTree}
	return t.dir(dir.path, root, nil)
}

// tree is a directory that get -r fetches. Of what a server lists it holds one
// directory of each level at a time, and no more than so much: a hostile one lists
// without end.
type tree struct {
	*fetcher
	k    *link
	r    *remote
	room int // bytes that may still be held
	left int // entries that may still be listed
}

// Bounds on what a server may list.
const (
	maxHeld   = 8 << 20 // bytes in memory at once
	maxInTree = 10_000_000
	maxDepth  = 100
)

// branch is what has to be known of an entry to fetch it.
type branch struct {
	name     string
	kind     ftp.EntryType
	size     int64
	modified int64  // Unix time, 0 if not known to the second
	unique   string // of a directory
}

// branchBytes is what a branch takes beside its words, in a slice that grows.
const branchBytes = 160

// dir fetches all that is in a directory; above are the unique facts of those that
// lead to it.
func (t *tree) dir(path, local string, above []string) error {
	if err := t.fs.MkdirAll(local, 0o777); err != nil {
		return localProblem(local, err)
	}
	if len(above) == maxDepth {
		return at(t.r.join(path), client.ErrTooDeep)
	}
	room := t.room
	defer func() { t.room = room }()
	entries, err := t.list(path)
	return firstError(err, each(t.e, entries, func(b branch) error { return t.entry(path, local, b, above) }))
}

// list reads a directory. What can't be read of it is reported and left out; the
// first such error is returned.
func (t *tree) list(dir string) ([]branch, error) {
	const enough = 20
	var all []branch
	var bad []error
	room := t.room
	err := t.k.do(func(cl *client.Client, _ int) error {
		all, bad, t.room = all[:0], bad[:0], room
		for e, err := range cl.List(t.k.ctx, dir) {
			var line *ftp.LineError
			var name *client.NameError
			switch {
			case errors.As(err, &line), errors.As(err, &name), errors.Is(err, client.ErrPartial):
				if len(bad) < enough {
					bad = append(bad, at(t.r.join(dir), err))
				}
				continue
			case err != nil:
				return err
			}
			b := branch{name: strings.Clone(e.Name), kind: e.Type, size: e.Size}
			if e.IsDir() {
				b.unique = strings.Clone(e.Unique)
			}
			if t := modified(e); !t.IsZero() {
				b.modified = t.Unix()
			}
			all = append(all, b)
			t.left--
			if t.room -= branchBytes + len(b.name) + len(b.unique); t.room < 0 || t.left < 0 {
				return client.ErrTooMany
			}
		}
		return nil
	})
	if err != nil {
		return nil, at(t.r.join(dir), err)
	}
	for _, b := range all {
		if b.kind == ftp.FileEntry {
			t.meter.expect(b.size)
		}
	}
	slices.SortFunc(all, func(a, b branch) int { return cmp.Compare(a.name, b.name) })
	return all, each(t.e, bad, func(err error) error { return err })
}

// entry fetches one entry of a directory. Only its name comes from the server.
func (t *tree) entry(dir, into string, b branch, above []string) error {
	path := joinRemote(dir, b.name)
	url := t.r.join(path)
	if !filepath.IsLocal(b.name) {
		return at(url, &client.LocalError{Err: errors.New("its name can't be a local file's name")})
	}
	local := filepath.Join(into, b.name)
	switch b.kind {
	case ftp.DirEntry:
		if b.unique != "" && slices.Contains(above, b.unique) {
			return at(url, client.ErrTooDeep)
		}
		return t.dir(path, local, append(above[:len(above):len(above)], b.unique))
	case ftp.LinkEntry, ftp.OtherEntry:
		t.leaveOut(url, b.kind)
		return nil
	}
	e := ftp.Entry{Name: b.name, Type: b.kind, Size: b.size}
	if b.modified != 0 {
		e.Modified, e.Precise = time.Unix(b.modified, 0), time.Second
	}
	file := found{path, e}
	t.comes(t.k, file)
	return t.crew.do(func() error { return t.file(t.k, t.r, file, local) })
}

func (f *fetcher) leaveOut(url string, kind ftp.EntryType) {
	what := "no regular file"
	if kind == ftp.LinkEntry {
		what = "a link"
	}
	f.e.note("%s: left out: it is %s", url, what)
}
