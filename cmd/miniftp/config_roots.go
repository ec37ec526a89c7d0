package main

import (
	"context"
	"io"
	"sync"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// roots are the trees of files that are served, each opened once: users of the same
// root see the same tree, also one in memory, and a reload goes on with it. They stay
// open to the end, as sessions may use them that began before a reload.
type roots struct {
	open   map[string]afero.Fs
	close  []io.Closer
	swept  map[string]bool
	stop   context.CancelFunc
	ctx    context.Context
	sweeps sync.WaitGroup
	// life is the context of remote roots: transfers may finish after ctx has ended.
	life context.Context
	cut  context.CancelFunc
}

func newRoots(ctx context.Context) *roots {
	r := &roots{open: map[string]afero.Fs{}, swept: map[string]bool{}}
	r.ctx, r.stop = context.WithCancel(ctx)
	r.life, r.cut = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

func (r *roots) get(spec string) (afero.Fs, error) {
	if files, ok := r.open[spec]; ok {
		return files, nil
	}
	var files afero.Fs
	var closer io.Closer
	var err error
	if isRemote(spec) {
		files, closer, err = openRemote(r.life, r.ctx, spec)
	} else {
		files, closer, err = fsroot.Open(spec)
	}
	if err != nil {
		return nil, err
	}
	r.open[spec] = files
	r.close = append(r.close, closer)
	return files, nil
}

// keepSwept lets the server look after what killed servers left of uploads, wherever
// anyone may upload.
func (r *roots) keepSwept(srv *server.Server, cf *config) {
	for _, a := range cf.users {
		spec := cf.rootOf(a)
		files, ok := r.open[spec]
		if !a.writes() || !ok || r.swept[spec] || isRemote(spec) { // the server behind looks after itself
			continue
		}
		r.swept[spec] = true
		r.sweeps.Go(func() { srv.KeepSwept(r.ctx, files) })
	}
}

// end closes them all.
func (r *roots) end() {
	r.stop()
	r.cut()
	r.sweeps.Wait()
	for _, c := range r.close {
		_ = c.Close()
	}
}

func readOnly(files afero.Fs) afero.Fs { return fsroot.ReadOnly(files) }
