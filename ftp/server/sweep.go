package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"
)

// A server that is killed leaves its uploads under their hidden names. Nobody else
// can tell them from uploads that run, in this server or in another one on the same
// directory, but by their age: an upload that runs writes to its file, or ends, well
// within the timeouts of its data connection.
const (
	deadFactor = 15                  // so many timeouts without a write: it is dead
	keptFor    = 30 * 24 * time.Hour // a part that nobody went on with for so long goes
	sweepEvery = 6 * time.Hour
)

// Bounds on one sweep.
const (
	sweepEntries = 5_000_000
	sweepAtOnce  = 10_000 // leftovers in one directory; the next sweep takes the rest
)

// errSweepBound is a tree that is larger than a sweep looks at.
var errSweepBound = fmt.Errorf("it holds more than %d entries: not all were looked at", sweepEntries)

// deadAfter is the age from which on a file that comes in is a leftover. Rates that
// many sessions share make them wait for each other, which no timeout counts: hence
// the large factor.
func (s *settings) deadAfter() time.Duration {
	return deadFactor * max(s.StallTimeout, s.DataTimeout, time.Minute)
}

// Swept is what a sweep did.
type Swept struct {
	Kept    int // uploads that can be resumed now
	Removed int // leftovers of no use
}

// KeepSwept looks after what servers that were killed left of uploads below the
// roots (see Sweep): now, once more when what a server left just before is old enough,
// and then every six hours. It returns when ctx ends or the server does. Roots must
// be such that uploads may go to; with Options.UploadInPlace nothing is done.
func (s *Server) KeepSwept(ctx context.Context, roots ...afero.Fs) {
	for first := true; ; first = false {
		set := s.set.Load()
		wait := sweepEvery
		if first {
			wait = min(wait, set.deadAfter()+time.Minute)
		}
		for _, root := range roots {
			if !set.UploadInPlace {
				s.sweep(ctx, set, root)
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// sweep is Sweep with what it did in the log.
func (s *Server) sweep(ctx context.Context, set *settings, root afero.Fs) {
	did, err := Sweep(ctx, root, set.deadAfter())
	if did != (Swept{}) {
		set.Log.Info("swept up after uploads that were cut off", "resumable", did.Kept, "removed", did.Removed)
	}
	if err != nil && ctx.Err() == nil {
		set.Log.Warn("could not sweep up after uploads that were cut off", "err", err)
	}
}

// Sweep walks a tree and puts in order what servers that were killed left of
// uploads: a file under the hidden name of an upload that comes in, not written to
// for idle, becomes the part that REST or APPE go on from. It is removed if it is
// empty, or if since then the file came whole or a later upload of it was cut. Such
// parts go too, when nobody went on with them for 30 days.
//
// The walk follows no symlink, is bounded in depth and entries, and asks the storage
// for no more than names and kinds of what is not such a file. What can't be read is
// left out; the first such error is returned at the end, and ctx's if that ends it.
func Sweep(ctx context.Context, fsys afero.Fs, idle time.Duration) (Swept, error) {
	w := &sweeper{ctx: ctx, fs: fsys, now: time.Now(), idle: idle, left: sweepEntries}
	dirs := []subdir{{path: "/"}}
	for len(dirs) > 0 && ctx.Err() == nil && w.left > 0 {
		d := dirs[len(dirs)-1]
		inside, found := w.look(d, dirs[:len(dirs)-1])
		for _, name := range found {
			w.judge(d.path, name)
		}
		dirs = inside
	}
	if w.left <= 0 {
		w.note(errSweepBound)
	}
	w.note(ctx.Err())
	return w.did, w.err
}

type sweeper struct {
	ctx  context.Context
	fs   afero.Fs
	now  time.Time
	idle time.Duration
	left int // entries that may still be looked at
	did  Swept
	err  error // the first
}

// note keeps the first error. What has vanished meanwhile is none.
func (w *sweeper) note(err error) {
	if w.err == nil && err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.err = err
	}
}

// look reads a directory. It adds the directories in it to dirs and returns the names
// that are uploads; they are judged when it is closed, as that moves them about. A
// directory that is swapped for a symlink on the way leads no further than fs does.
func (w *sweeper) look(d subdir, dirs []subdir) (_ []subdir, found []string) {
	f, err := w.fs.Open(d.path)
	if err != nil {
		w.note(err)
		return dirs, nil
	}
	defer f.Close()
	for w.ctx.Err() == nil && w.left > 0 {
		batch, err := kinds(f)
		for _, e := range batch {
			switch {
			case e.kind.IsDir():
				if d.depth < maxDepth && len(dirs) < maxDirs {
					dirs = append(dirs, subdir{path.Join(d.path, e.name), d.depth + 1})
				}
			case e.kind.IsRegular() && isUpload(e.name) && len(found) < sweepAtOnce:
				found = append(found, e.name)
			}
		}
		w.left -= len(batch)
		if err != nil || len(batch) == 0 {
			if !errors.Is(err, io.EOF) {
				w.note(err)
			}
			break
		}
	}
	return dirs, found
}

// kind is a name and whether it is a file, a directory or something else.
type kind struct {
	name string
	kind fs.FileMode
}

// kinds is the next batch of a directory's entries. A bare directory of the disk
// tells what they are without a look at each.
func kinds(f afero.File) (batch []kind, err error) {
	_, inMemory := f.(*mem.File)
	if d, ok := f.(fs.ReadDirFile); ok && !inMemory {
		entries, err := d.ReadDir(dirBatch)
		for _, e := range entries {
			batch = append(batch, kind{e.Name(), e.Type()})
		}
		return batch, err
	}
	n := dirBatch
	if inMemory {
		n = -1 // as in plainDir
	}
	infos, err := f.Readdir(n)
	for _, fi := range infos {
		batch = append(batch, kind{fi.Name(), fi.Mode()})
	}
	if inMemory && err == nil {
		err = io.EOF
	}
	return batch, err
}

// judge does with one hidden file what its age asks for.
func (w *sweeper) judge(dir, name string) {
	p := path.Join(dir, name)
	fi, err := lstat(w.fs, p)
	if err != nil || !fi.Mode().IsRegular() {
		w.note(err)
		return
	}
	age := w.now.Sub(fi.ModTime())
	switch {
	case age >= keptFor:
		w.remove(p)
	case isKept(name) || age < w.idle:
	case fi.Size() == 0 || w.outdated(p, fi):
		w.remove(p)
	default:
		if err := w.fs.Rename(p, keptOf(p)); err != nil {
			w.note(err)
			return
		}
		w.did.Kept++
	}
}

// outdated reports whether a leftover is of no use: its file came whole later, or a
// later upload of it was cut. The later one counts, even if it is shorter, as it does
// when a connection is cut: what its client sends next must not be put behind bytes of
// another version.
func (w *sweeper) outdated(p string, fi fs.FileInfo) bool {
	for _, name := range []string{keptOf(p), finalOf(p)} {
		other, err := lstat(w.fs, name)
		if err == nil && other.Mode().IsRegular() && other.ModTime().After(fi.ModTime()) {
			return true
		}
	}
	return false
}

func (w *sweeper) remove(p string) {
	if err := w.fs.Remove(p); err != nil {
		w.note(err)
		return
	}
	w.did.Removed++
}

// keptOf is the keptName that belongs to a tempName.
func keptOf(temp string) string {
	return temp[:len(temp)-len(".RANDOM--"+uploadSuffix)] + uploadSuffix
}

// finalOf is the final name that belongs to a tempName. Of one with a hash in it that
// can't be told: it names nothing then.
func finalOf(temp string) string {
	dir, base := path.Split(strings.TrimSuffix(keptOf(temp), uploadSuffix))
	return dir + base[len("."):]
}
