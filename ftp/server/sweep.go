package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"
)

// A server that is killed leaves its partial uploads under the names of running ones.
// Whether such a file is still written to is known, of this server's own, from memory; of
// those of other servers on this host, from the lock that they hold; of any other, from
// its size and time, which have to stay the same between two sweeps that are far enough
// apart: the clock of the storage may be wrong.

// deadFactor is after how many timeouts without a write an upload is taken for abandoned.
const deadFactor = 15

// Bounds on one sweep.
const (
	sweepEntries = 5_000_000
	sweepAtOnce  = 10_000 // partial uploads in one directory; the next sweep takes the rest
	maxSightings = 10_000
)

// errSweepBound is returned for a tree that is larger than a sweep looks at.
var errSweepBound = fmt.Errorf("it holds more than %d entries: not all were looked at", sweepEntries)

// deadAfter returns how long a running upload may go without a write. Rates that many
// sessions share make them wait for each other, which no timeout counts: hence the large
// factor.
func (s *settings) deadAfter() time.Duration {
	timeout := max(s.StallTimeout, s.DataTimeout, time.Minute)
	return deadFactor * min(timeout, keptFor/deadFactor)
}

// Swept is what a sweep did.
type Swept struct {
	Kept    int // uploads that can be resumed now
	Removed int // leftovers of no use
}

// KeepSwept looks after what servers that were killed left of uploads below the
// roots (see Sweep): now, once more when what a server left just before is old enough
// (seconds where it can be locked, else a quarter of an hour), and then every six hours. It returns when ctx ends or the server does. roots returns,
// each time, those that uploads may go to; with Options.UploadInPlace nothing is done.
func (s *Server) KeepSwept(ctx context.Context, roots func() []afero.Fs) {
	again, later := true, true // there is a second look within seconds, and one within a quarter of an hour
	for {
		set := s.set.Load()
		young := false
		if !set.UploadInPlace {
			for _, root := range roots() {
				young = s.sweep(ctx, set, root) || young
			}
		}
		wait := sweepEvery
		switch {
		case again && young:
			wait, again = 2*lockedBy, false
		case later:
			wait, later = min(wait, set.deadAfter()+time.Minute), false
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

// sweep is Sweep for this server's own tree. It logs what it did, and reports whether
// there is something that is only too young.
func (s *Server) sweep(ctx context.Context, set *settings, root afero.Fs) (young bool) {
	w := &sweeper{ctx: ctx, fs: root, now: time.Now(), idle: set.deadAfter(), left: sweepEntries, uploads: s.uploads}
	w.walk()
	if w.did != (Swept{}) {
		set.Log.Info("removed or kept partial uploads", "resumable", w.did.Kept, "removed", w.did.Removed)
	}
	if w.err != nil && ctx.Err() == nil {
		set.Log.Warn("can't look after partial uploads", "err", w.err)
	}
	return w.young
}

// Sweep walks a tree and puts in order what servers that were killed left of uploads: a
// partial upload that nobody writes to, for idle, is kept as one that REST or APPE resume.
// It is removed if it is empty, if a later one was kept, if the file has changed for a day
// since, so that it can't be resumed, or if nobody resumed it for 30 days. It touches no
// file whose name this server did not make.
//
// The walk follows no symlink, is bounded in depth and entries, and asks the storage
// for no more than names and kinds of what is not such a file. What can't be read is
// left out; the first such error is returned at the end, and ctx's if that ends it.
func Sweep(ctx context.Context, fsys afero.Fs, idle time.Duration) (Swept, error) {
	w := &sweeper{ctx: ctx, fs: fsys, now: time.Now(), idle: idle, left: sweepEntries, once: true}
	w.walk()
	return w.did, w.err
}

type sweeper struct {
	ctx     context.Context
	fs      afero.Fs
	now     time.Time
	idle    time.Duration
	left    int      // entries that may still be looked at
	uploads *uploads // of the server; nil: it is not known which uploads run
	young   bool     // nobody writes to a partial upload, but it is younger than lockedBy
	once    bool     // there is no other sweep to compare with: the age decides
	did     Swept
	err     error // the first
}

func (w *sweeper) walk() {
	dirs := []subdir{{path: "/"}}
	for len(dirs) > 0 && w.ctx.Err() == nil && w.left > 0 {
		d := dirs[len(dirs)-1]
		inside, found := w.look(d, dirs[:len(dirs)-1])
		for _, name := range found {
			w.judge(path.Join(d.path, name))
		}
		dirs = inside
	}
	if w.left <= 0 {
		w.note(errSweepBound)
	}
	w.note(w.ctx.Err())
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
			case e.kind.IsRegular() && isPartial(e.name) && len(found) < sweepAtOnce:
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

// judge does with one partial upload what its age and state ask for.
func (w *sweeper) judge(p string) {
	n, _ := parsePartial(path.Base(p))
	fi, err := lstat(w.fs, p)
	if err != nil || !fi.Mode().IsRegular() {
		w.note(err)
		return
	}
	if n.random != 0 {
		free, ok := w.take(p, fi)
		if !ok {
			return
		}
		defer free()
	} else if w.uploads != nil {
		w.uploads.parts.Store(true)
	}
	age := w.now.Sub(fi.ModTime())
	switch kept := n.interrupted().sibling(p); {
	case age >= keptFor, fi.Size() == 0, age >= staleFor && w.isStale(p, n):
		w.remove(p)
	case n.random == 0:
	case w.isLater(kept, fi), w.isFinal(p, n, fi):
		w.remove(p)
	default:
		if err := w.fs.Rename(p, kept); err != nil {
			w.note(err)
			return
		}
		w.did.Kept++
	}
}

// take reports whether nobody writes to the partial upload. Until free is called no other
// server on this host takes it either.
func (w *sweeper) take(p string, fi fs.FileInfo) (free func(), ok bool) {
	age := w.now.Sub(fi.ModTime())
	if w.uploads != nil && w.uploads.runs(path.Base(p)) {
		return nil, false
	}
	f, err := w.fs.Open(p)
	if err != nil {
		w.note(err)
		return nil, false
	}
	free = func() { _ = f.Close() }
	locked, err := lock(w.fs, f)
	switch {
	case err == nil:
		ok = locked && age >= min(lockedBy, w.idle)
		w.young = w.young || locked && !ok
	case w.once:
		ok = age >= w.idle
	default: // whatever its age, of which the clock of the storage may be wrong
		ok = w.uploads.seenLongAgo(p, fi, w.idle)
	}
	if !ok {
		free()
	}
	return free, ok
}

// isStale reports whether the file is not the one that the upload was to replace any
// more. That can't be told where the final name had to be shortened.
func (w *sweeper) isStale(p string, n partialName) bool {
	fi, err := lstat(w.fs, path.Join(path.Dir(p), n.base))
	switch {
	case err == nil:
		return n.target != fingerprint(fi)
	case errors.Is(err, fs.ErrNotExist):
		return n.target != 0
	}
	return false
}

// isFinal reports whether the partial upload has its final name already: a server was
// killed between the two steps of a rename by a hard link.
func (w *sweeper) isFinal(p string, n partialName, fi fs.FileInfo) bool {
	_, known := fileID(fi)
	final, err := lstat(w.fs, path.Join(path.Dir(p), n.base))
	return known && err == nil && sameFile(final, fi)
}

// isLater reports whether another interrupted upload is there and later. The later one
// counts, even if it is shorter: what its client sends next must not be put after bytes of
// another version.
func (w *sweeper) isLater(kept string, fi fs.FileInfo) bool {
	other, err := lstat(w.fs, kept)
	return err == nil && other.Mode().IsRegular() && other.ModTime().After(fi.ModTime())
}

func (w *sweeper) remove(p string) {
	if err := w.fs.Remove(p); err != nil {
		w.note(err)
		return
	}
	w.did.Removed++
}

// sightings are the running uploads of others that a sweep has seen, by path.
type sightings map[string]sighting

type sighting struct {
	fi fs.FileInfo
	at time.Time // with its monotonic clock
}

// seenLongAgo reports whether the file was seen for so long without a change. It notes
// that it was seen now.
func (u *uploads) seenLongAgo(p string, fi fs.FileInfo, idle time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, ok := u.seen[p]
	if ok && sameFile(before.fi, fi) && before.fi.Size() == fi.Size() && before.fi.ModTime().Equal(fi.ModTime()) {
		if time.Since(before.at) < idle {
			return false
		}
		delete(u.seen, p)
		return true
	}
	if !ok && len(u.seen) >= maxSightings {
		clear(u.seen) // the next sweeps see them again
	}
	u.seen[p] = sighting{fi, time.Now()}
	return false
}

// abandoned reports whether nobody writes to a partial upload, which is to be removed with
// its directory.
func (s *session) abandoned(p string, fi fs.FileInfo) bool {
	if n, _ := parsePartial(path.Base(p)); n.random == 0 {
		return true
	}
	w := &sweeper{fs: s.account.FS, now: time.Now(), idle: s.set.deadAfter(), uploads: s.srv.uploads, once: true}
	free, ok := w.take(p, fi)
	if ok {
		free()
	}
	return ok
}
