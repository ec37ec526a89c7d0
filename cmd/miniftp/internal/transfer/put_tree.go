package transfer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// tree sends a directory, like cp -r: into the target if that exists, otherwise as the target.
// --links decides what happens to links in it; local itself may be a link.
func (s *sender) tree(local string) error {
	top := strings.TrimRight(s.remote.Path, "/")
	if s.intoDir && filepath.Base(local) != "." {
		abs, err := filepath.Abs(local)
		if err != nil {
			return verb.LocalProblem(local, err)
		}
		top = path.Join(s.remote.Path, filepath.Base(abs))
	}
	w := &putWalk{sender: s, root: local + string(os.PathSeparator), top: top} // the separator makes Stat follow a link
	info, err := s.fs.Stat(w.root)
	if err == nil {
		w.dir(w.root, top, []fs.FileInfo{info})
	} else {
		w.fail(verb.LocalProblem(local, err))
	}
	w.make()
	if w.stop != nil {
		return w.stop
	}
	return verb.FirstError(w.first, verb.Each(s.e, w.files, func(f treeFile) error {
		s.announce(f.info.Size())
		return s.workers.Do(func() error { return s.file(f.localFile, f.to, true) })
	}))
}

// putWalk lists a tree and then makes its directories and links on the server. It lists the whole
// tree before it makes anything: the server may serve the same tree, and the walk would not end if it
// found the directories that it makes.
type putWalk struct {
	*sender
	root   string
	top    string // its remote path
	toMake []treeMake
	files  []treeFile
	first  error // the first error of a single name
	stop   error // an error that ends the run
}

// treeMake is a directory to make or, if local is not empty, a link.
type treeMake struct{ local, to string }

// treeFile is a file to send.
type treeFile struct {
	localFile
	to string
}

// make makes the directories and links. If a directory can't be made, its contents are left out.
func (w *putWalk) make() {
	without := map[string]bool{}
	for _, m := range w.toMake {
		if w.e.Ctx.Err() != nil {
			w.stop = context.Cause(w.e.Ctx)
			return
		}
		var err error
		switch {
		case without[path.Dir(m.to)]:
			without[m.to] = true
		case m.local != "":
			err = w.link(m.local, m.to)
		default:
			err = w.makeDir(m.to)
			without[m.to] = err != nil
		}
		if err != nil && (verb.Fatal(err) || w.e.Ctx.Err() != nil) {
			w.stop = err
			return
		}
		if err != nil {
			w.fail(err)
		}
	}
	w.files = slices.DeleteFunc(w.files, func(f treeFile) bool { return without[path.Dir(f.to)] })
	for _, f := range w.files {
		w.meter.Expect(f.info.Size())
	}
}

// fail reports an error about one name; the run continues.
func (w *putWalk) fail(err error) {
	w.e.SayError(err)
	w.first = verb.FirstError(w.first, verb.Reported{Err: err})
}

// dir lists a directory. above holds the directory and its parents.
func (w *putWalk) dir(local, to string, above []fs.FileInfo) {
	w.toMake = append(w.toMake, treeMake{to: to})
	if len(above) > maxDepth {
		w.fail(verb.LocalProblem(local, client.ErrTooDeep))
		return
	}
	infos, err := afero.ReadDir(w.fs, local)
	if err != nil {
		w.fail(verb.LocalProblem(local, err))
	}
	for _, info := range infos {
		if w.e.Ctx.Err() != nil {
			return
		}
		w.entry(filepath.Join(local, info.Name()), path.Join(to, info.Name()), info, above)
	}
}

// entry records one name of a directory.
func (w *putWalk) entry(local, to string, info fs.FileInfo, above []fs.FileInfo) {
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
			w.toMake = append(w.toMake, treeMake{local, to})
			return
		default:
			w.left.Add(local, verb.LeftLink)
			return
		}
	}
	switch {
	case info.IsDir():
		w.dir(local, to, append(above[:len(above):len(above)], info))
	case !info.Mode().IsRegular():
		w.left.Add(local, "it is not a regular file")
	default:
		w.files = append(w.files, treeFile{localFile{local, info}, to})
	}
}

// link makes a link on the server with the target of the local one.
func (w *putWalk) link(local, to string) error {
	target, err := os.Readlink(local)
	if err != nil {
		return verb.LocalProblem(local, err)
	}
	target = filepath.ToSlash(target)
	rel := strings.TrimPrefix(strings.TrimPrefix(to, w.top), "/")
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
