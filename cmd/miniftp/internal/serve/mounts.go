package serve

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/fsroot"
	"miniftp/fsroot/mountfs"
	"miniftp/ftp/server"
)

// mountTime limits how long a login waits for the storages of mounts. One that can't be opened in time is unavailable in
// that session.
const mountTime = 5 * time.Second

// acquirer opens a tree: servedTree.login, or servedTree.acquire to make nothing.
type acquirer func(*servedTree, context.Context) (afero.Fs, io.Closer, error)

// openable is a tree of a user, with how to open it.
type openable struct {
	path     string // of the mount; "" for the root
	tree     *servedTree
	acquire  acquirer
	readOnly bool  // a second barrier besides the permissions
	err      error // why it can't be opened, whatever happens
}

// open opens the tree for a session.
func (o openable) open(ctx context.Context) (afero.Fs, io.Closer, error) {
	if o.err != nil {
		return nil, nil, o.err
	}
	files, lease, err := o.acquire(o.tree, ctx)
	if err == nil && o.readOnly {
		files = fsroot.ReadOnly(files)
	}
	return files, lease, err
}

// openMount opens the tree of a mount. If that fails, it returns a storage that is unavailable.
func (o openable) openMount(ctx context.Context) (mountfs.Mount, io.Closer) {
	ctx, cancel := context.WithTimeout(ctx, mountTime)
	defer cancel()
	files, lease, err := o.open(ctx)
	if err != nil {
		return mountfs.Mount{Path: o.path, FS: mountfs.Unavailable(err)}, nil
	}
	return mountfs.Mount{Path: o.path, FS: files, Far: !isDirectory(o.tree.spec)}, lease
}

// opener returns the function that opens the files of a user at a login: the root and, all at once, the mounts.
func opener(root openable, mounts []openable) func(context.Context) (afero.Fs, io.Closer, error) {
	if len(mounts) == 0 {
		return root.open
	}
	return func(ctx context.Context) (afero.Fs, io.Closer, error) {
		home, lease, err := root.open(ctx)
		if err != nil {
			return nil, nil, err
		}
		opened := make([]mountfs.Mount, len(mounts))
		leases := make(closers, len(mounts)+1)
		leases[len(mounts)] = lease
		var wg sync.WaitGroup
		for i, m := range mounts {
			wg.Go(func() { opened[i], leases[i] = m.openMount(ctx) })
		}
		wg.Wait()
		files, err := mountfs.New(home, opened...)
		if err != nil { // not possible: package settings has checked the paths
			_ = leases.Close()
			return nil, nil, err
		}
		return files, leases, nil
	}
}

// mountsOf returns the rules for the mounts of a user.
func mountsOf(a *settings.Account) (all []server.Mount) {
	for _, m := range a.Mounts {
		perms := m.Perms
		if perms == nil {
			perms = a.Perms
		}
		all = append(all, server.Mount{Path: m.Path, Perm: permsOf(perms), Quota: server.Quota{Bytes: m.Quota, Files: m.QuotaFiles}})
	}
	return all
}
