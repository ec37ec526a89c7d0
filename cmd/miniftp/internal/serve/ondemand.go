package serve

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/fsroot"
)

// of returns a tree of a user.
func (r *roots) of(of settings.Tree) *servedTree {
	t := r.get(of.Spec())
	base, below, ok := of.OnDemand()
	outer := of.Outer()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onDemand, t.mode, t.base, t.below, t.outer = ok, of.NewDirMode(), "", "", outer
	if ok && !isDirectory(t.spec) {
		t.base, t.below = base, below
	}
	return t
}

// maxExternal is how many trees of users who are not in the configuration are remembered while no session uses them.
const maxExternal = 10_000

// ofExternal returns a tree of an external user. A tree that is not in the configuration is forgotten if there are too many.
func (r *roots) ofExternal(of settings.Tree) *servedTree {
	r.forgetExternal()
	r.mu.Lock()
	_, known := r.trees[of.Spec()]
	r.mu.Unlock()
	t := r.of(of)
	if !known {
		t.mu.Lock()
		t.external = true
		t.mu.Unlock()
	}
	return t
}

// forLogin is like ofExternal, for a login. A directory in which the user may write is then swept. It stays so if another login of
// the user may only read.
func (r *roots) forLogin(of settings.Tree) *servedTree {
	t := r.ofExternal(of)
	if of.Writes() && storage.Sweeps(of.Spec()) {
		t.mu.Lock()
		t.swept = t.swept || t.onDemand // by the sweeper of all trees on demand; roots.keepSwept knows the others
		t.mu.Unlock()
	}
	return t
}

// forgetExternal makes room for a tree, if there are too many. A login that has just got a tree that is forgotten can still
// use it: opening a directory twice does no harm.
func (r *roots) forgetExternal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	looked := 0
	for spec, t := range r.trees { // in random order
		if looked++; len(r.trees) <= maxExternal || looked > 64 {
			return
		}
		t.mu.Lock()
		if t.external && t.onDemand && t.now == nil {
			delete(r.trees, spec)
		}
		t.mu.Unlock()
	}
}

// login returns the files for a session like acquire. It makes the directory of a tree on demand if it does not exist. Its parent has
// to exist. A directory in a bucket need not be made.
func (t *servedTree) login(ctx context.Context) (afero.Fs, io.Closer, error) {
	files, lease, err := t.acquire(ctx)
	if !errors.Is(err, fs.ErrNotExist) || !t.made() {
		return files, lease, err
	}
	if err := t.makeDirectory(); err != nil {
		return nil, nil, err
	}
	return t.acquire(ctx)
}

// nesting returns the directories in which users may write and which may contain the tree.
func (t *servedTree) nesting() *fsroot.Nesting {
	t.mu.Lock()
	outer := t.outer
	t.mu.Unlock()
	all := t.roots.nesting.Load()
	if len(outer) > 0 {
		all = all.With(outer)
	}
	return all
}

// made reports whether the tree is a directory that is made at a login.
func (t *servedTree) made() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.onDemand && t.base == ""
}

// makeDirectory makes the directory of the tree. Mkdir does not follow a link that has its name, and the parent is opened as all
// roots are, so that users can't make it lead elsewhere.
func (t *servedTree) makeDirectory() error {
	parent, err := t.nesting().Open(filepath.Dir(t.spec))
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	t.mu.Lock()
	mode := t.mode
	t.mu.Unlock()
	if err := parent.Mkdir(filepath.Base(t.spec), mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// try checks whether a session could get the files, without making anything. It returns files and a lease, or nil if they do not exist
// yet but can be made, or an error with the root that it is about.
func (t *servedTree) try(ctx context.Context) (files afero.Fs, lease io.Closer, spec string, err error) {
	t.mu.Lock()
	base := t.base
	t.mu.Unlock()
	if base != "" { // one request for all users
		_, shared, err := t.roots.get(base).acquire(ctx)
		if err == nil {
			_ = shared.Close()
		}
		return nil, nil, base, err
	}
	files, lease, err = t.acquire(ctx)
	if !errors.Is(err, fs.ErrNotExist) || !t.made() {
		return files, lease, t.spec, err
	}
	if _, err := os.Lstat(t.spec); err == nil { // a link without a target, in whose place nothing can be made
		return nil, nil, t.spec, &fs.PathError{Op: "open", Path: t.spec, Err: errors.New("it is a link to nothing")}
	}
	dir := filepath.Dir(t.spec)
	parent, err := t.nesting().Open(dir)
	if err == nil {
		_ = parent.Close()
	}
	return nil, nil, dir, err
}

// openBelow opens a directory of a bucket. It shares the connections and the memory of the bucket, which is open once for all users.
func (r *roots) openBelow(ctx context.Context, base, below string) (afero.Fs, io.Closer, error) {
	files, lease, err := r.get(base).acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	sub, closer, err := storage.Sub(files, below)
	if err != nil {
		_ = lease.Close()
		return nil, nil, err
	}
	return sub, closers{closer, lease}, nil
}

// closers closes all of them that are not nil.
type closers []io.Closer

func (all closers) Close() (err error) {
	for _, c := range all {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

// toSweep returns those trees on demand to which users may upload, one after the other. Each is open only while it is swept.
func (r *roots) toSweep() iter.Seq[afero.Fs] {
	return func(yield func(afero.Fs) bool) {
		r.mu.Lock()
		var all []*servedTree
		for _, t := range r.trees {
			if t.sweptOnDemand() {
				all = append(all, t)
			}
		}
		r.mu.Unlock()
		for _, t := range all {
			files, lease, err := t.acquire(r.ctx)
			if err != nil {
				continue // not made yet
			}
			more := yield(files)
			_ = lease.Close()
			if !more {
				return
			}
		}
	}
}

// sweptOnDemand reports whether the tree is one on demand to which users may upload.
func (t *servedTree) sweptOnDemand() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.onDemand && t.swept
}

// isExternal reports whether the tree was made for an external user.
func (t *servedTree) isExternal() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.external
}

// bases returns the buckets that contain roots on demand.
func bases(cf *config) map[string]bool {
	all := map[string]bool{}
	for _, t := range cf.AllTrees() {
		if base, _, ok := t.OnDemand(); ok && storage.HasDirectories(base) && !isDirectory(base) {
			all[base] = true
		}
	}
	return all
}
