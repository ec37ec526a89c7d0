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

// tree sends a directory, as cp -r does: into the target if that exists, else as the
// target. --links decides about the links in it; the argument itself may be one.
func (s *sender) tree(local string) error {
	top := strings.TrimRight(s.remote.Path, "/")
	if s.intoDir && filepath.Base(local) != "." {
		abs, err := filepath.Abs(local)
		if err != nil {
			return verb.LocalProblem(local, err)
		}
		top = path.Join(s.remote.Path, filepath.Base(abs))
	}
	w := &putWalk{sender: s, root: local + string(os.PathSeparator), top: top} // behind a link
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
		s.comes(f.info.Size())
		return s.crew.Do(func() error { return s.file(f.localFile, f.to, true) })
	}))
}

// putWalk finds what is in a tree, and then makes its directories and links on the server.
// All of it is found before anything is made: the server may serve the same tree, and a walk
// that met the directories that it makes would not end.
type putWalk struct {
	*sender
	root  string
	top   string // its remote path
	makes []treeMake
	files []treeFile
	first error // of what could not be read
	stop  error // nothing more can be done
}

// treeMake is a directory, or a link if local is not "".
type treeMake struct{ local, to string }

type treeFile struct {
	localFile
	to string
}

// make makes the directories and links. What is in a directory that can't be made is left
// out.
func (w *putWalk) make() {
	without := map[string]bool{}
	for _, m := range w.makes {
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

// fail tells an error about one name; the others follow.
func (w *putWalk) fail(err error) {
	w.e.SayError(err)
	w.first = verb.FirstError(w.first, verb.Reported{Err: err})
}

// dir goes through a directory; above are the directories that lead here, and itself.
func (w *putWalk) dir(local, to string, above []fs.FileInfo) {
	w.makes = append(w.makes, treeMake{to: to})
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

// entry deals with one name.
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
				w.fail(verb.LocalProblem(local, errors.New("the link leads back to a directory that it is in")))
				return
			}
			info = at
		case copyLinks:
			w.makes = append(w.makes, treeMake{local, to})
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
		w.left.Add(local, "it is no regular file")
	default:
		w.files = append(w.files, treeFile{localFile{local, info}, to})
	}
}

// link makes a link on the server as the local one is.
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

// leftOutside is the reason for leaving out a link with --links copy.
const leftOutside = "it is a link that may lead out of the tree"

func (s *sender) makeDir(to string) error {
	if to == "" {
		return nil
	}
	k := s.k.On(s.remote.Join(to))
	return verb.At(k.At, k.Do(func(cl *client.Client) error { return cl.MakeDirAll(s.k.Ctx, to) }))
}
