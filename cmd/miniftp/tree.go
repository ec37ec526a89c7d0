package main

import (
	"cmp"
	"errors"
	"path/filepath"
	"strings"

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
	if err := f.fs.MkdirAll(root, 0o777); err != nil {
		return localProblem(root, err)
	}
	all, err := f.walk(k, r, dir.path)
	return firstError(err, each(f.e, all, func(entry client.WalkEntry) error { return f.entry(k, r, dir.path, root, entry) }))
}

// walk lists a tree. What can't be read of it is reported and left out; the
// first such error is returned.
func (f *fetcher) walk(k *link, r *remote, dir string) ([]client.WalkEntry, error) {
	var all []client.WalkEntry
	var bad []error
	err := k.do(func(cl *client.Client, _ int) error {
		all, bad = all[:0], bad[:0]
		for entry, err := range cl.Walk(k.ctx, dir) {
			switch {
			case err == nil:
				all = append(all, entry)
			case k.again(err) || k.ctx.Err() != nil:
				return err
			default:
				bad = append(bad, at(r.join(entry.Path), err))
			}
		}
		return nil
	})
	if err != nil {
		return nil, at(r.join(dir), err)
	}
	return all, each(f.e, bad, func(err error) error { return err })
}

// entry fetches one entry of a tree.
func (f *fetcher) entry(k *link, r *remote, top, root string, entry client.WalkEntry) error {
	url := r.join(entry.Path)
	below := filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(entry.Path, strings.TrimRight(top, "/")), "/"))
	if !filepath.IsLocal(below) {
		return at(url, &client.LocalError{Err: errors.New("its name can't be a local file's name")})
	}
	local := filepath.Join(root, below)
	switch {
	case entry.IsDir():
		if err := f.fs.MkdirAll(local, 0o777); err != nil {
			return localProblem(local, err)
		}
		return nil
	case entry.Type == ftp.LinkEntry, entry.Type == ftp.OtherEntry:
		f.leaveOut(url, entry.Entry)
		return nil
	}
	return f.file(k, r, found{entry.Path, entry.Entry}, local)
}

func (f *fetcher) leaveOut(url string, entry ftp.Entry) {
	what := "no regular file"
	if entry.Type == ftp.LinkEntry {
		what = "a link"
	}
	f.e.note("%s: left out: it is %s", url, what)
}
