// Package mirror makes one directory tree hold the same files as another. Each of the two may be on this host
// or on a server. It uses only the public API of package client.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/kept"
)

// mirror is one Run in progress. Its parts, each in a file of its own:
//
//	walk, visit   list both sides, one directory after the other, and decide what to do with each name
//	compare       decide whether a file has to be copied; coarse handles rounded times
//	move          copy files, in several workers
//	guard         decide what may be deleted
//	side, remote  the two kinds of trees
type mirror struct {
	o        Plan
	src, dst side
	cancel   context.CancelCauseFunc
	tasks    chan *task
	parallel int
	walked   atomic.Bool // no more tasks will be queued

	seed      maphash.Seed
	root      *kept.List // the root of the source, if Delete is set
	rootNames []uint64   // hashes of its names, sorted
	rootDirs  []string   // the first directories in both roots
	dstRoot   *kept.List // the root of the destination

	mu      sync.Mutex // guards the fields below, and serializes Observe
	res     Result
	errs    []error
	budget  *kept.Budget // of all listings in memory
	deletes int
	capped  bool // MaxDelete was reached
	ahead   int  // listings that are read in advance
}

// maxMirror is how many bytes of listings a mirror keeps in memory. maxErrors is how many errors it
// returns.
const (
	maxMirror = 16 << 20
	maxErrors = 20
)

// Run makes the tree To hold the same files as From. It creates missing directories, and copies files that are
// missing or differ. A file that is copied has another name (".NAME.part") until it is whole; a part left by
// an interrupted run is resumed. A failure does not stop the rest, except if the destination is full or a
// server is gone: then Run returns that error. Otherwise it returns the first errors, joined. Each is an
// *Error.
func Run(ctx context.Context, plan Plan) (Result, error) {
	began := time.Now()
	m := &mirror{o: plan, parallel: max(plan.Parallel, 1), budget: &kept.Budget{Entries: kept.MaxEntries, Room: maxMirror, Disk: kept.MaxDisk}}
	outer := ctx
	ctx, m.cancel = context.WithCancelCause(ctx)
	defer m.cancel(nil)
	var err error
	if m.src, err = m.side(ctx, plan.From); err != nil {
		return Result{}, m.failed(ListDir, "", err)
	}
	if m.dst, err = m.side(ctx, plan.To); err != nil {
		return Result{}, m.failed(MakeDir, "", err)
	}
	a, isRemote := m.src.(*remoteSide)
	if b, alsoRemote := m.dst.(*remoteSide); isRemote && alsoRemote && a.pool == b.pool {
		return Result{}, errors.New("each side of a mirror needs its own Pool")
	}
	const waiting = 1024 // files: more than a fast server takes while a directory is listed
	m.tasks = make(chan *task, waiting)
	var workers sync.WaitGroup
	for range m.workers(ctx) {
		workers.Go(func() { m.work(ctx) })
	}
	m.walk(ctx)
	m.walked.Store(true)
	close(m.tasks)
	workers.Wait()
	m.res.Took = time.Since(began)
	if outer.Err() != nil {
		return m.res, context.Cause(outer)
	}
	if cause := context.Cause(ctx); cause != nil { // it stopped the mirror, and matters more than the other errors
		return m.res, cause
	}
	if n := m.res.Failed - int64(len(m.errs)); n > 0 && len(m.errs) == maxErrors {
		m.errs = append(m.errs, fmt.Errorf("and %d more", n))
	}
	return m.res, errors.Join(m.errs...)
}

// side returns the side for a Tree.
func (m *mirror) side(ctx context.Context, t Tree) (side, error) {
	root := t.Root
	if t.Pool == nil {
		if root == "" {
			root = "."
		}
		if t.FS == nil {
			t.FS = afero.NewOsFs()
		}
		return &plainSide{fsys: t.FS, root: root}, nil
	}
	s := &remoteSide{m: m, pool: t.Pool, root: path.Join("/", root)}
	if strings.HasPrefix(root, "/") {
		return s, nil
	}
	return s, m.retry(ctx, ListDir, "", func(int) error {
		return t.Pool.Do(ctx, func(c *client.Client) error {
			home, err := c.Pwd(ctx)
			s.root = path.Join("/", home, root)
			return err
		})
	})
}

// retry runs f until it succeeds or Retry gives up. kind and rel describe f in errors.
func (m *mirror) retry(ctx context.Context, kind Kind, rel string, f func(try int) error) error {
	return m.retryOf(kind, rel).Do(ctx, f)
}

func (m *mirror) retryOf(kind Kind, rel string) client.Retry {
	r := m.o.Retry
	if told := r.Notify; told != nil {
		r.Notify = func(err error, wait time.Duration) { told(m.failed(kind, rel, err), wait) }
	}
	return r
}

// do runs f, one change of the destination, unless this is a dry run, and reports the Action.
func (m *mirror) do(ctx context.Context, a Action, f func() error) error {
	if !m.o.DryRun {
		a.Err = m.retry(ctx, a.Kind, a.Path, func(int) error { return f() })
	}
	m.report(ctx, a)
	return a.Err
}

// hopeless reports whether everything else would fail in the same way.
func hopeless(err error) bool {
	const windowsDiskFull = syscall.Errno(112)
	var reply *ftp.Error
	var connect *client.ConnectError
	var noTLS *client.TLSError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EROFS):
		return true
	case runtime.GOOS == "windows" && errors.Is(err, windowsDiskFull):
		return true
	case errors.As(err, &connect), errors.Is(err, client.ErrClosed):
		return true
	case errors.As(err, &noTLS): // after a reset during a handshake the next file may succeed
		return !client.Temporary(err)
	case errors.As(err, &reply):
		switch reply.Verb {
		case "USER", "PASS", "ACCT":
			return true
		}
		return reply.Code == 452 || reply.Code == 552
	}
	return false
}

// below joins a path below a root. The names in rel have been checked.
func below(root, rel string) string { return path.Join(root, rel) }

// isMissing reports whether err means that the name does not exist.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
