package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// tree sends a directory, like cp -r: into the target if that exists, otherwise as the target.
// --links decides what happens to links in it; the directory itself may be a link.
func (s *sender) tree(dir string) error {
	top := strings.TrimRight(s.remote.Path, "/")
	if s.intoDir && filepath.Base(dir) != "." {
		abs, err := local.Abs(dir)
		if err != nil {
			return verb.LocalProblem(dir, err)
		}
		top = path.Join(s.remote.Path, filepath.Base(abs))
	}
	w := &putWalk{sender: s, root: dir, top: top}
	defer w.found.Close()
	info, err := s.fs.Stat(dir) // follows a link
	if err == nil {
		w.dir("", []fs.FileInfo{info})
	} else {
		w.fail(verb.LocalProblem(dir, err))
	}
	if w.stop == nil {
		w.make()
	}
	if w.stop != nil {
		return w.stop
	}
	return verb.FirstError(w.first, w.send())
}

// putWalk lists a tree and then makes its directories and links on the server. It lists the whole
// tree before it makes anything: the server may serve the same tree, and the walk would not end if it
// found the directories that it makes.
type putWalk struct {
	*sender
	root    string
	top     string          // its remote path
	found   client.Paths    // what is to be sent, by its path below root
	without map[string]bool // directories that can't be made
	first   error           // the first error of a single name
	stop    error           // an error that ends the run
}

// local and to return the local and the remote path of what has the path rel below the root.
func (w *putWalk) local(rel string) string { return local.Join(w.root, rel) }

func (w *putWalk) to(rel string) string {
	if rel == "" {
		return w.top
	}
	return path.Join(w.top, rel)
}

// make makes the directories and links. If a directory can't be made, its contents are left out.
func (w *putWalk) make() {
	w.without = map[string]bool{}
	for f, err := range w.found.All() {
		if err == nil {
			err = context.Cause(w.e.Ctx)
		}
		if err != nil {
			w.stop = err
			return
		}
		switch without := f.Path != "" && w.without[above(f.Path)]; {
		case without && f.Type == ftp.DirEntry:
			w.without[f.Path] = true
		case without: // neither files nor links
		case f.Type == ftp.FileEntry:
			w.meter.Expect(f.Size)
		case f.Type == ftp.LinkEntry:
			err = w.link(f.Path)
		default:
			if err = w.makeDir(w.to(f.Path)); err != nil {
				w.without[f.Path] = true
			}
		}
		if err != nil && (verb.Fatal(err) || w.e.Ctx.Err() != nil) {
			w.stop = err
			return
		}
		if err != nil {
			w.fail(err)
		}
	}
}

// above returns the path below the root of the directory of what has the path rel.
func above(rel string) string {
	dir, _ := path.Split(rel)
	return strings.TrimSuffix(dir, "/")
}

// send sends the files whose directories could be made.
func (w *putWalk) send() error {
	return connect.EachPath(w.e, &w.found, func(f client.WalkEntry) error {
		if f.Type != ftp.FileEntry || w.without[above(f.Path)] {
			return nil
		}
		w.announce(f.Size)
		local := localFile{w.local(f.Path), f.Size, f.Modified}
		return w.workers.Do(func() error { return w.file(local, w.to(f.Path), true) })
	})
}

// fail reports an error about one name; the run continues.
func (w *putWalk) fail(err error) {
	w.e.SayError(err)
	w.first = verb.FirstError(w.first, verb.Reported{Err: err})
}

// namesAtOnce is how many names of a directory are read at once.
const namesAtOnce = 1000

// dir lists the directory with the path rel below the root. above holds the directory and its parents.
func (w *putWalk) dir(rel string, above []fs.FileInfo) {
	w.add(rel, ftp.Entry{Type: ftp.DirEntry})
	local := w.local(rel)
	if len(above) > maxDepth {
		w.fail(verb.LocalProblem(local, client.ErrTooDeep))
		return
	}
	d, err := w.fs.Open(local)
	if err != nil {
		w.fail(verb.LocalProblem(local, err))
		return
	}
	defer d.Close()
	for err == nil && w.stop == nil {
		var infos []fs.FileInfo
		infos, err = d.Readdir(namesAtOnce)
		slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
		for _, info := range infos {
			if w.e.Ctx.Err() != nil || w.stop != nil {
				return
			}
			w.entry(path.Join(rel, info.Name()), info, above)
		}
		if len(infos) == 0 && err == nil {
			return // some storages have no io.EOF
		}
	}
	if !errors.Is(err, io.EOF) && w.stop == nil {
		w.fail(verb.LocalProblem(local, err))
	}
}

// add adds a name to what is to be sent.
func (w *putWalk) add(rel string, e ftp.Entry) {
	if err := w.found.Add(client.WalkEntry{Path: rel, Entry: e}); err != nil && w.stop == nil {
		w.stop = verb.At(w.root, err)
	}
}

// entry records one name of a directory.
func (w *putWalk) entry(rel string, info fs.FileInfo, above []fs.FileInfo) {
	local := w.local(rel)
	if why := client.Unsendable(info.Name(), w.k.Opts.Charset); why != "" {
		w.left.Add(local, why)
		return
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		switch w.links {
		case followLinks:
			at, err := w.fs.Stat(local)
			if err != nil {
				w.fail(verb.LocalProblem(local, err))
				return
			}
			if slices.ContainsFunc(above, func(dir fs.FileInfo) bool { return os.SameFile(dir, at) }) {
				w.fail(verb.LocalProblem(local, errors.New("the link points to a directory that contains it")))
				return
			}
			info = at
		case copyLinks:
			w.add(rel, ftp.Entry{Type: ftp.LinkEntry})
			return
		default:
			w.left.Add(local, verb.LeftLink)
			return
		}
	}
	switch {
	case info.IsDir():
		w.dir(rel, append(above[:len(above):len(above)], info))
	case !info.Mode().IsRegular():
		w.left.Add(local, "it is not a regular file")
	default:
		w.add(rel, ftp.Entry{Type: ftp.FileEntry, Size: info.Size(), Modified: info.ModTime()})
	}
}

// link makes a link on the server with the target of the local one.
func (w *putWalk) link(rel string) error {
	local, to := w.local(rel), w.to(rel)
	target, err := os.Readlink(local)
	if err != nil {
		return verb.LocalProblem(local, err)
	}
	target = filepath.ToSlash(target)
	if !client.LinkStaysInside(path.Dir(rel), target) {
		w.left.Add(local, leftOutside)
		return nil
	}
	k := w.k.On(w.remote.Join(to))
	err = k.Do(func(cl *client.Client) error {
		if e, err := cl.Stat(w.k.Ctx, to); err == nil && e.Type == ftp.LinkEntry && e.Target == target {
			return nil
		}
		return cl.Symlink(w.k.Ctx, target, to)
	})
	return verb.At(k.At, err)
}

// leftOutside is the reason for leaving out a link in spite of --links copy.
const leftOutside = "it is a link that may point outside the tree"

func (s *sender) makeDir(to string) error {
	if to == "" {
		return nil
	}
	k := s.k.On(s.remote.Join(to))
	return verb.At(k.At, k.Do(func(cl *client.Client) error { return cl.MakeDirAll(s.k.Ctx, to) }))
}
