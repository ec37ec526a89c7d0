package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// roots are the trees of files that are served. They are opened for each login, so that
// a directory is what its name means then: a filesystem that was mounted since, or
// another directory that took the place of the old one, is seen by the next session.
type roots struct {
	ctx    context.Context
	stop   context.CancelFunc
	sweeps sync.WaitGroup
	// life is the context of remote roots: transfers may finish after ctx has ended.
	life context.Context
	cut  context.CancelFunc

	mu      sync.Mutex
	trees   map[string]*servedTree
	nesting *fsroot.Nesting // of the directories in which users may write
}

func newRoots(ctx context.Context) *roots {
	r := &roots{trees: map[string]*servedTree{}, nesting: fsroot.NewNesting(nil)}
	r.ctx, r.stop = context.WithCancel(ctx)
	r.life, r.cut = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// get returns the tree that spec names.
func (r *roots) get(spec string) *servedTree {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.trees[spec]
	if !ok {
		t = &servedTree{spec: spec, roots: r}
		r.trees[spec] = t
	}
	return t
}

// nest has directories that lie in one of those in which users may write opened through
// it. It returns what takes that back.
func (r *roots) nest(n *fsroot.Nesting) (undo func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.nesting
	r.nesting = n
	return func() { r.nest(old) }
}

func (r *roots) open(spec string) (afero.Fs, io.Closer, error) {
	switch {
	case isRemote(spec):
		return openRemote(r.life, r.ctx, spec)
	case !isDirectory(spec):
		return fsroot.Open(spec)
	}
	r.mu.Lock()
	nesting := r.nesting
	r.mu.Unlock()
	root, err := nesting.Open(spec)
	if err != nil {
		return nil, nil, err
	}
	return root, root, nil
}

// keepSwept lets the server look after what killed servers left of uploads, wherever
// anyone may upload. Trees that cf does not name are left alone from then on.
func (r *roots) keepSwept(srv *server.Server, cf *config) {
	writable := map[string]bool{}
	for _, a := range cf.users {
		if spec := cf.rootOf(a); a.writes() && !isRemote(spec) { // the server behind looks after itself
			writable[spec] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for spec, t := range r.trees {
		if t.sweep(writable[spec]) {
			r.sweeps.Go(func() { srv.KeepSwept(r.ctx, t.toSweep) })
		}
	}
}

// retire closes the directories that cf does not name, as soon as no session uses them.
// A memory is kept: a later reload may name it again.
func (r *roots) retire(cf *config) {
	used := map[string]bool{}
	for _, a := range cf.users {
		used[cf.rootOf(a)] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for spec, t := range r.trees {
		if !used[spec] && isDirectory(spec) {
			t.replace(nil)
		}
	}
}

// end closes them all.
func (r *roots) end() {
	r.stop()
	r.cut()
	r.sweeps.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.trees {
		t.replace(nil)
	}
}

// servedTree is what one root is now. Users of the same root see the same tree, also one in
// memory or on another server, which is opened once.
type servedTree struct {
	spec  string
	roots *roots

	mu       sync.Mutex
	now      *generation // nil: not open
	swept    bool        // somebody may upload to it
	sweeping bool        // and it is looked after
}

// generation is one opening of a tree. It is closed when another one has taken its
// place and the last session that uses it is over.
type generation struct {
	files  afero.Fs
	closer io.Closer
	dir    fs.FileInfo // nil: it is opened once and for all
	users  int
}

// acquire returns the files as they are now, for one session, which closes the lease.
func (t *servedTree) acquire() (afero.Fs, io.Closer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.renew(); err != nil {
		return nil, nil, err
	}
	t.now.users++
	return t.now.files, &lease{t: t, g: t.now}, nil
}

// renew opens the tree, and keeps the one that is open if it is the same directory.
func (t *servedTree) renew() error {
	if t.now != nil && t.now.dir == nil {
		return nil
	}
	files, closer, err := t.roots.open(t.spec)
	if err != nil {
		return err
	}
	g := &generation{files: files, closer: closer}
	if isDirectory(t.spec) {
		if g.dir, err = files.Stat("/"); err != nil {
			_ = closer.Close()
			return err
		}
		if t.now != nil && os.SameFile(g.dir, t.now.dir) {
			return closer.Close()
		}
	}
	t.swap(g)
	return nil
}

// replace is swap for callers that do not hold the lock.
func (t *servedTree) replace(g *generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swap(g)
}

func (t *servedTree) swap(g *generation) {
	old := t.now
	t.now = g
	if old != nil && old.users == 0 {
		_ = old.closer.Close()
	}
}

// lease is one session's use of a generation.
type lease struct {
	t    *servedTree
	g    *generation
	once sync.Once
}

func (l *lease) Close() error {
	l.once.Do(func() {
		l.t.mu.Lock()
		defer l.t.mu.Unlock()
		if l.g.users--; l.g.users == 0 && l.t.now != l.g {
			_ = l.g.closer.Close()
		}
	})
	return nil
}

// sweep sets whether the tree is looked after, and reports whether that has to begin.
func (t *servedTree) sweep(on bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swept = on
	begin := on && !t.sweeping
	t.sweeping = t.sweeping || on
	return begin
}

// toSweep returns the files as they are now, if they are still to be looked after.
func (t *servedTree) toSweep() []afero.Fs {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.swept || t.renew() != nil {
		return nil
	}
	return []afero.Fs{t.now.files}
}

// isDirectory reports whether a root is a directory of this host.
func isDirectory(spec string) bool {
	return !isRemote(spec) && !fsroot.IsURL(spec)
}

func readOnly(files afero.Fs) afero.Fs { return fsroot.ReadOnly(files) }
