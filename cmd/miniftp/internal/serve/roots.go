package serve

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/connect"
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

	nesting atomic.Pointer[fsroot.Nesting] // of the directories in which users may write

	mu    sync.Mutex // a tree's lock may be taken after it, never before it
	trees map[string]*servedTree
}

func newRoots(ctx context.Context) *roots {
	r := &roots{trees: map[string]*servedTree{}}
	r.nesting.Store(fsroot.NewNesting(nil))
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
		t = &servedTree{spec: spec, roots: r, turn: make(chan struct{}, 1)}
		r.trees[spec] = t
	}
	return t
}

// nest has directories that lie in one of those in which users may write opened through
// it.
func (r *roots) nest(n *fsroot.Nesting) { r.nesting.Store(n) }

// open opens a tree anew. It takes no lock of r, and ends with ctx if the tree is on
// another server.
func (r *roots) open(ctx context.Context, spec string) (afero.Fs, io.Closer, error) {
	switch {
	case connect.IsRemote(spec):
		return connect.OpenRemote(ctx, r.life, r.ctx, spec)
	case !isDirectory(spec):
		return fsroot.Open(spec)
	}
	root, err := r.nesting.Load().Open(spec)
	if err != nil {
		return nil, nil, err
	}
	return root, root, nil
}

// keepSwept lets the server look after what killed servers left of uploads, wherever
// anyone may upload. Trees that cf does not name are left alone from then on.
func (r *roots) keepSwept(srv *server.Server, cf *config) {
	writable := map[string]bool{}
	for _, a := range cf.Users {
		if spec := cf.RootOf(a); a.Writes() && !connect.IsRemote(spec) { // that server sweeps its own
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
	for _, a := range cf.Users {
		used[cf.RootOf(a)] = true
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
	turn  chan struct{} // held while the tree is opened, which may take long

	mu       sync.Mutex  // never held while a file or a server is asked for anything
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
// The wait for another login that opens them ends with ctx.
func (t *servedTree) acquire(ctx context.Context) (afero.Fs, io.Closer, error) {
	g, err := t.renew(ctx, 1)
	if err != nil {
		return nil, nil, err
	}
	return g.files, &lease{t: t, g: g}, nil
}

// renew opens the tree, or keeps the one that is open if it is the same directory. It
// counts so many users more.
func (t *servedTree) renew(ctx context.Context, users int) (*generation, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if g := t.forAll(users); g != nil {
		return g, nil
	}
	files, closer, err := t.roots.open(ctx, t.spec)
	if err != nil {
		return nil, err
	}
	g := &generation{files: files, closer: closer}
	if isDirectory(t.spec) {
		if g.dir, err = files.Stat("/"); err != nil {
			_ = closer.Close()
			return nil, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now != nil && g.dir != nil && os.SameFile(g.dir, t.now.dir) {
		_ = closer.Close()
	} else {
		t.swap(g)
	}
	t.now.users += users
	return t.now, nil
}

// forAll returns the tree if it is open and is opened once and for all.
func (t *servedTree) forAll(users int) *generation {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil || t.now.dir != nil {
		return nil
	}
	t.now.users += users
	return t.now
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
	swept := t.swept
	t.mu.Unlock()
	if !swept {
		return nil
	}
	g, err := t.renew(t.roots.ctx, 0)
	if err != nil {
		return nil
	}
	return []afero.Fs{g.files}
}

// isDirectory reports whether a root is a directory of this host.
func isDirectory(spec string) bool {
	return !connect.IsRemote(spec) && !fsroot.IsURL(spec)
}
