package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"time"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"
)

// A killed server leaves its partial uploads under running names. A sweep gives them their interrupted names,
// or removes them. First it has to be certain that no upload writes to them:
//
//   - for uploads of this server, see uploads.isRunning;
//   - those of other servers on this host hold a lock on their file (upload.beside);
//   - any other file must have had the same size and time in an earlier sweep, at least deadAfter ago. Its own age
//     does not count, because the clock of the storage may be wrong.
//
// If files can be locked, a sweep does not touch one with a running name that is younger than lockedBy, because
// a new upload is not locked at once.

// deadFactor is the number of timeouts after which an upload without a write counts as abandoned.
const deadFactor = 15

// Bounds on one sweep.
const (
	sweepEntries = 5_000_000
	sweepAtOnce  = 10_000 // partial uploads of one directory; the next sweep takes the rest
	maxSightings = 10_000
)

// errSweepBound is returned for a tree with more entries than one sweep examines.
var errSweepBound = fmt.Errorf("the tree has more than %d entries: not all were checked", sweepEntries)

// deadAfter returns how long a running upload may go without a write, at most keptFor. The factor is large because
// sessions that share a rate limit wait for each other, which no timeout counts.
func (s *settings) deadAfter() time.Duration {
	timeout := max(s.StallTimeout, s.DataTimeout, time.Minute)
	return deadFactor * min(timeout, keptFor/deadFactor)
}

// Swept counts what a sweep did.
type Swept struct {
	Kept    int // uploads that can be resumed now
	Removed int // files that were removed
}

// KeepSwept sweeps the roots (see Sweep) for the partial uploads that killed servers left. It does so at once,
// and every six hours. In between it sweeps once more when files that were too young at first are old enough:
// after seconds if they can be locked, and after a quarter of an hour. It returns when ctx ends or the server
// closes. For each sweep it ranges over roots, the trees that uploads may go to; one may be closed when the next one is asked for. With
// Options.UploadInPlace it sweeps only those that are an UploadFs.
func (s *Server) KeepSwept(ctx context.Context, roots iter.Seq[afero.Fs]) {
	again, later := true, true // extra sweeps still to come: one after seconds, one after deadAfter
	for {
		set := s.set.Load()
		young := false
		for root := range roots {
			young = s.sweep(ctx, set, root) || young
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

// sweep sweeps one tree and logs what it did. It reports whether it has left something only because that was
// too young.
func (s *Server) sweep(ctx context.Context, set *settings, root afero.Fs) (young bool) {
	if _, ok := root.(UploadFs); ok {
		s.sweepStored(ctx, set, root)
		return false
	}
	if set.UploadInPlace {
		return false
	}
	w := &sweeper{ctx: ctx, fs: root, now: time.Now(), idle: set.deadAfter(), left: sweepEntries, uploads: s.uploads, gated: set.Gate != nil}
	w.walk()
	if w.did != (Swept{}) {
		set.Log.Info("removed or kept partial uploads", "resumable", w.did.Kept, "removed", w.did.Removed)
	}
	if w.err != nil && ctx.Err() == nil {
		set.Log.Warn("can't sweep partial uploads", "err", w.err)
	}
	return w.young
}

// sweepStored makes a storage remove the interrupted uploads that it has kept for too long.
func (s *Server) sweepStored(ctx context.Context, set *settings, root afero.Fs) {
	files, ok := root.(SweepFs)
	if !ok {
		return
	}
	removed, err := files.SweepUploads(ctx, time.Now().Add(-keptFor))
	if removed > 0 {
		set.Log.Info("removed or kept partial uploads", "resumable", 0, "removed", removed)
	}
	if err != nil && ctx.Err() == nil {
		set.Log.Warn("can't sweep partial uploads", "err", err)
	}
}

// Sweep walks a tree and tidies the partial uploads that killed servers left. If none has been written to for
// idle, it becomes an interrupted upload, which REST or APPE can resume. Sweep removes a partial upload
//
//   - that is empty,
//   - if there is a later one to the same file,
//   - if the final file has changed, so that it can't be resumed, and it is a day old,
//   - or if it is 30 days old.
//
// Sweep touches no file whose name this server did not make. It follows no symlinks and is bounded in depth and
// number of entries. It asks the storage only for the names and types of other files. What it can't read it
// skips; it returns the first such error at the end. If ctx ends, Sweep returns its error.
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
	left    int      // how many more entries may be read
	uploads *uploads // of the server; nil: unknown
	young   bool     // found one that is unlocked but younger than lockedBy
	once    bool     // there is no earlier sweep to compare with: the age decides
	did     Swept
	err     error // the first
	gated   bool  // by Options.Gate: a partial upload may be whole (upload.whole)
}

// walk visits the directories depth first, so that the list of those to come stays short.
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

// note keeps the first error. A file that has vanished meanwhile is not an error.
func (w *sweeper) note(err error) {
	if w.err == nil && err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.err = err
	}
}

// look reads a directory. It appends the subdirectories to dirs, and returns the names of partial uploads.
// These are judged only when the directory is closed, because that renames entries. If a directory is replaced
// by a symlink meanwhile, fs decides whether to follow it.
func (w *sweeper) look(d subdir, dirs []subdir) (_ []subdir, found []string) {
	f, err := w.fs.Open(d.path)
	if err != nil {
		w.note(err)
		return dirs, nil
	}
	defer f.Close()
	for w.ctx.Err() == nil && w.left > 0 {
		batch, err := readTyped(f)
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

// typedName is the name of a directory entry, with its type.
type typedName struct {
	name string
	kind fs.FileMode
}

// readTyped returns the next batch of a directory's entries. A directory of the disk knows the types of its
// entries, so that no entry has to be examined by itself.
func readTyped(f afero.File) (batch []typedName, err error) {
	_, inMemory := f.(*mem.File)
	if d, ok := f.(fs.ReadDirFile); ok && !inMemory {
		entries, err := d.ReadDir(dirBatch)
		for _, e := range entries {
			batch = append(batch, typedName{e.Name(), e.Type()})
		}
		return batch, err
	}
	n := dirBatch
	if inMemory {
		n = -1 // all at once, as in plainDir.next
	}
	infos, err := f.Readdir(n)
	for _, fi := range infos {
		batch = append(batch, typedName{fi.Name(), fi.Mode()})
	}
	if inMemory && err == nil {
		err = io.EOF
	}
	return batch, err
}

// judge keeps, renames or removes one partial upload.
func (w *sweeper) judge(p string) {
	n, _ := parsePartial(path.Base(p))
	fi, err := lstat(w.fs, p)
	if err != nil || !fi.Mode().IsRegular() {
		w.note(err)
		return
	}
	if n.random != 0 {
		free, ok := w.claim(p, fi)
		if !ok {
			return
		}
		defer free()
	} else if w.uploads != nil {
		w.uploads.parts.Store(true)
	}
	age := w.now.Sub(fi.ModTime())
	// Old, empty and stale files are removed, whatever their name. One with a running name gets its interrupted
	// name, unless a later upload has that name, or the file has its final name already.
	switch kept := n.interrupted().sibling(p); {
	case age >= keptFor, fi.Size() == 0, age >= staleFor && w.isStale(p, n):
		w.remove(p)
	case n.random == 0:
	case w.isLater(kept, fi), w.isFinal(p, n, fi):
		w.remove(p)
	case w.gated && fi.Size() == 1:
		w.remove(p)
	default:
		if w.gated {
			if err := shorten(w.fs, p, fi); err != nil {
				w.note(err)
				return
			}
		}
		if err := w.fs.Rename(p, kept); err != nil {
			w.note(err)
			return
		}
		w.did.Kept++
	}
}

// claim reports whether nobody writes to the partial upload. Until free is called, no other server on this host
// can take it either.
func (w *sweeper) claim(p string, fi fs.FileInfo) (free func(), ok bool) {
	age := w.now.Sub(fi.ModTime())
	if w.uploads != nil && w.uploads.isRunning(path.Base(p)) {
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
	default: // its age does not decide, because the clock of the storage may be wrong
		ok = w.uploads.seenLongAgo(p, fi, w.idle)
	}
	if !ok {
		free()
	}
	return free, ok
}

// isStale reports whether the final file is no longer the version that the upload was to replace. If the name
// had to be shortened, this is unknown, and isStale reports false.
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

// isFinal reports whether the partial upload has its final name, too: a server that renames with a hard link
// was killed between its two steps.
func (w *sweeper) isFinal(p string, n partialName, fi fs.FileInfo) bool {
	_, known := fileID(fi)
	final, err := lstat(w.fs, path.Join(path.Dir(p), n.base))
	return known && err == nil && sameFile(final, fi)
}

// isLater reports whether a later upload to the same file has the interrupted name already. The later one is
// kept even if it is shorter: what its client sends next must not be appended to bytes of another version.
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

// sightings records, by path, the running uploads of others that a sweep has seen.
type sightings map[string]sighting

type sighting struct {
	fi fs.FileInfo
	at time.Time // by the monotonic clock of this process
}

// seenLongAgo reports whether the file was first seen at least idle ago and has not changed since. Otherwise it
// records that it was seen now.
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

// abandoned reports whether nobody writes to a partial upload, so that it may be removed with its directory.
func (s *session) abandoned(p string, fi fs.FileInfo) bool {
	if n, _ := parsePartial(path.Base(p)); n.random == 0 {
		return true
	}
	storage, inside := s.at(p)
	w := &sweeper{fs: storage, now: time.Now(), idle: s.set.deadAfter(), uploads: s.srv.uploads, once: true}
	free, ok := w.claim(inside, fi)
	if ok {
		free()
	}
	return ok
}
