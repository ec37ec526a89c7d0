package transfer

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// maxFollowed is how many links get -r follows on one path: trees behind links that lead to
// each other grow without end.
const maxFollowed = 8

var errLeadsBack = errors.New("the link leads back to a directory that it is in")

// follow returns what a link leads to, in its place.
func (t *tree) follow(in, below place, b branch) (branch, place, error) {
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
		return b, below, err
	}
	if !to.IsDir() {
		file := branch{name: b.name, kind: ftp.FileEntry, size: -1}
		t.meter.Expect(-1)
		return file, below, nil
	}
	below.links++
	switch {
	case b.target == "":
		below.links += maxFollowed / 2 // nothing tells whether it leads back
	case path.IsAbs(b.target):
		below.real = path.Clean(b.target)
	default:
		below.real = path.Join(in.real, b.target)
	}
	holdsTop := strings.HasPrefix(in.above[0]+"/", strings.TrimSuffix(below.real, "/")+"/")
	if below.links > maxFollowed || holdsTop || slices.Contains(in.above, below.real) {
		return b, below, errLeadsBack
	}
	return branch{name: b.name, kind: ftp.DirEntry, size: -1}, below, nil
}

// link deals with a link that is not followed.
func (t *tree) link(in, below place, b branch) error {
	url := t.r.Join(below.path)
	switch {
	case t.links != copyLinks:
		t.left.Add(url, verb.LeftLink)
		return nil
	case b.target == "":
		t.left.Add(url, "it is a link, and the server does not tell where it leads to")
		return nil
	case !client.LinkStaysInside(in.rel, b.target):
		t.left.Add(url, leftOutside)
		return nil
	}
	target := filepath.FromSlash(b.target)
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
