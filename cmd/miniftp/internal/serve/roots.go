package serve

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// roots holds the trees of files that are served. A directory is opened again for each login, so that a
// new session sees what is now at its path: a filesystem that was mounted since, or another directory
// that has replaced the old one.
type roots struct {
	ctx    context.Context // ends when the server begins to stop
	stop   context.CancelFunc
	sweeps sync.WaitGroup
	// life is the context of remote roots. It ends after ctx, because transfers may still finish.
	life context.Context
	cut  context.CancelFunc

	nesting atomic.Pointer[fsroot.Nesting] // of the directories in which users may write

	shared   server.State // of --shared-state; nil until openState
	sharedBy io.Closer

	mu       sync.Mutex             // taken before a tree's mu, never while holding one
	trees    map[string]*servedTree // by the root of a user
	sweeping bool                   // a sweeper of the trees on demand has been started
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

// nest sets the directories in which users may write. A root below one of them is opened through it, so
// that a link which a user puts in its place can't lead out of it.
func (r *roots) nest(n *fsroot.Nesting) { r.nesting.Store(n) }

// openState opens the state that --shared-state names. It is opened once, because a reload does not change it.
func (r *roots) openState(spec string) (server.State, error) {
	if r.shared != nil {
		return r.shared, nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, stateTime)
	defer cancel()
	state, closer, err := storage.OpenState(ctx, spec)
	if err != nil {
		return nil, err
	}
	r.shared, r.sharedBy = state, closer
	return state, nil
}

// stateTime limits the opening of a shared state.
const stateTime = 30 * time.Second

// keepSwept makes the server remove partial uploads that killed servers left, in all trees to which users
// may upload. Trees that cf does not name are no longer swept, except those that external users can still have.
func (r *roots) keepSwept(srv *server.Server, cf *config) {
	writable := map[string]bool{}
	for _, t := range cf.AllTrees() {
		if spec := t.Spec(); t.Writes() && !connect.IsRemote(spec) && storage.Sweeps(spec) { // another server sweeps its own files
			writable[spec] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for spec, t := range r.trees {
		if !writable[spec] && t.isExternal() {
			if _, ok := cf.ExternalRoot(spec); ok {
				continue // the last login knows
			}
		}
		switch begin := t.sweep(writable[spec]); {
		case begin:
			r.sweeps.Go(func() { srv.KeepSwept(r.ctx, t.toSweep()) })
		case t.sweptOnDemand():
			r.sweepOnDemand(srv)
		}
	}
	if cf.AsksOthers() { // whose trees come later
		r.sweepOnDemand(srv)
	}
}

// sweepOnDemand starts the sweeper of the trees on demand, unless it runs. roots.mu must be held.
func (r *roots) sweepOnDemand(srv *server.Server) {
	if !r.sweeping {
		r.sweeping = true
		r.sweeps.Go(func() { srv.KeepSwept(r.ctx, r.toSweep()) })
	}
}

// retire closes the directories and storages that cf does not name, as soon as no session uses them. Roots in
// memory keep their files, because a later reload may name them again.
func (r *roots) retire(cf *config) {
	used := bases(cf)
	for _, t := range cf.AllTrees() {
		used[t.Spec()] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for spec, t := range r.trees {
		if !used[spec] && !connect.IsRemote(spec) && storage.Lasts(spec) {
			t.replace(nil)
		}
	}
}

// forget closes the directories, so that they are opened again as the user that the process has become. No session may
// use them yet.
func (r *roots) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for spec, t := range r.trees {
		if isDirectory(spec) {
			t.replace(nil)
		}
	}
}

// end ends the sweeps and closes all trees.
func (r *roots) end() {
	r.stop()
	r.cut()
	r.sweeps.Wait()
	if r.sharedBy != nil {
		_ = r.sharedBy.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.trees {
		t.replace(nil)
	}
}

// servedTree is the tree of one root. Users with the same root share it. A storage with a scheme, such as a
// bucket, and a tree on another server are opened only once; a directory is opened at each login, and if that finds
// another directory than before, the tree has a new generation. A tree on demand is closed when no session uses it.
type servedTree struct {
	spec  string
	roots *roots
	turn  chan struct{} // a semaphore held while the tree is opened, which may take long

	mu       sync.Mutex  // guards what follows and the users of generations; never held during file or network access
	now      *generation // the current one, nil if the tree is not open
	swept    bool        // users may upload to it, so it is to be swept
	sweeping bool        // a sweeper for it alone has been started, which runs until the end
	onDemand bool        // the root has a placeholder
	external bool        // it was made for an external user; see roots.ofExternal
	mode     fs.FileMode // for making it, before the umask of the process
	// The directory below of the bucket base, if the tree is on demand and in a bucket.
	base, below string
	outer       []string // directories of external users that may contain it: see settings.Tree.Outer
}

// generation is one opening of a tree. It is closed when it has been replaced and no session uses it.
type generation struct {
	files  afero.Fs
	closer io.Closer
	dir    fs.FileInfo // of the directory, nil if the tree is opened only once
	users  int         // leases that are not closed
}

// acquire returns the current files for a session, which must close the lease. If another login is
// opening the tree, acquire waits for it, but no longer than ctx lasts.
func (t *servedTree) acquire(ctx context.Context) (afero.Fs, io.Closer, error) {
	g, err := t.renew(ctx, 1)
	if err != nil {
		return nil, nil, err
	}
	return g.files, &lease{t: t, g: g}, nil
}

// renew opens the tree, but keeps the current generation if it has the same directory. It returns the
// current generation, with users added to its count.
func (t *servedTree) renew(ctx context.Context, users int) (*generation, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if g := t.openedOnce(users); g != nil {
		return g, nil
	}
	files, closer, err := t.open(ctx)
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

// open opens the files of the tree. It takes no lock of roots. If the tree is on another server, opening ends with ctx.
func (t *servedTree) open(ctx context.Context) (afero.Fs, io.Closer, error) {
	t.mu.Lock()
	base, below := t.base, t.below
	t.mu.Unlock()
	switch {
	case base != "":
		return t.roots.openBelow(ctx, base, below)
	case connect.IsRemote(t.spec):
		return connect.OpenRemote(ctx, t.roots.life, t.roots.ctx, t.spec)
	case !isDirectory(t.spec):
		return storage.Open(ctx, t.spec)
	}
	root, err := t.nesting().Open(t.spec)
	if err != nil {
		return nil, nil, err
	}
	return root, root, nil
}

// openedOnce returns the current generation, with users added, if it is one that is opened only once,
// else nil.
func (t *servedTree) openedOnce(users int) *generation {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil || t.now.dir != nil {
		return nil
	}
	t.now.users += users
	return t.now
}

// replace calls swap with the lock held.
func (t *servedTree) replace(g *generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swap(g)
}

// swap makes g the current generation, and closes the old one if no session uses it. Otherwise the last
// lease closes it.
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
		l.g.users--
		switch {
		case l.g.users > 0:
		case l.t.now != l.g:
			_ = l.g.closer.Close()
		case l.t.onDemand:
			l.t.swap(nil)
		}
	})
	return nil
}

// sweep sets whether the tree is swept, and reports whether the caller must start a sweeper for it alone. One on demand needs none.
func (t *servedTree) sweep(on bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swept = on
	begin := on && !t.sweeping && !t.onDemand
	t.sweeping = t.sweeping || begin
	return begin
}

// toSweep returns a sequence of the current files, which is empty if the tree is no longer to be swept.
func (t *servedTree) toSweep() iter.Seq[afero.Fs] {
	return func(yield func(afero.Fs) bool) {
		t.mu.Lock()
		swept := t.swept
		t.mu.Unlock()
		if !swept {
			return
		}
		if g, err := t.renew(t.roots.ctx, 0); err == nil {
			yield(g.files)
		}
	}
}

// isDirectory reports whether a root is a directory of this host.
func isDirectory(spec string) bool {
	return !connect.IsRemote(spec) && storage.IsDirectory(spec)
}
