// Package mirror makes one tree hold what another one holds: a directory of this host, or of a
// server, from or to another one. It stands on the public face of client.
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

// mirror is one Run under way.
type mirror struct {
	o        Plan
	src, dst side
	cancel   context.CancelCauseFunc
	tasks    chan *task
	parallel int
	walked   atomic.Bool // there will be no more tasks

	seed      maphash.Seed
	root      *kept.List // what is in the root of the source, if Delete is set
	rootNames []uint64   // hashes of its names, sorted
	rootDirs  []string   // the first directories in both roots
	dstRoot   *kept.List // what is in the root of the destination

	mu      sync.Mutex // guards what follows, and orders Observe
	res     Result
	errs    []error
	budget  *kept.Budget // of all listings that are held
	deletes int
	capped  bool // MaxDelete was reached
	ahead   int  // listings that were begun before their turn
}

// maxMirror is how many bytes of listings a mirror holds in memory, and maxErrors how many
// errors it returns.
const (
	maxMirror = 16 << 20
	maxErrors = 20
)

// Run makes the tree To hold what From holds: directories that are missing, and files that
// are missing or differ. A file that is copied has another name (".NAME.part") until it is
// whole; one that is left by an interrupted run is resumed. What fails does not stop the
// rest, except for a destination that is full and a server that is gone: the error is that
// failure then. Otherwise it joins the first ones. Each is an *Error.
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
	a, isFs := m.src.(*remoteSide)
	if b, alsoFs := m.dst.(*remoteSide); isFs && alsoFs && a.pool == b.pool {
		return Result{}, errors.New("the two sides of a mirror need a Pool each")
	}
	const waiting = 4096
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
	if cause := context.Cause(ctx); cause != nil { // the others failed before, or because of it
		return m.res, cause
	}
	if n := m.res.Failed - int64(len(m.errs)); n > 0 && len(m.errs) == maxErrors {
		m.errs = append(m.errs, fmt.Errorf("and %d more", n))
	}
	return m.res, errors.Join(m.errs...)
}

// side makes a side of a Tree.
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

// retry runs f until it works or there is no hope, and names what it is about.
func (m *mirror) retry(ctx context.Context, kind Kind, rel string, f func(try int) error) error {
	return m.retryOf(kind, rel).Do(ctx, f)
}

func (m *mirror) retryOf(kind Kind, rel string) client.Retry {
	r := m.o.Retry
	if told := r.Told; told != nil {
		r.Told = func(err error, wait time.Duration) { told(m.failed(kind, rel, err), wait) }
	}
	return r
}

// do runs one thing that changes the destination, unless this is a dry run, and tells
// how it went.
func (m *mirror) do(ctx context.Context, a Action, f func() error) error {
	if !m.o.DryRun {
		a.Err = m.retry(ctx, a.Kind, a.Path, func(int) error { return f() })
	}
	m.tell(ctx, a)
	return a.Err
}

// hopeless: everything else would fail in the same way.
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
	case errors.As(err, &noTLS): // the next file may fare better than one whose handshake was reset
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

// below is a path below a root, for names that were checked.
func below(root, rel string) string { return path.Join(root, rel) }

// isMissing reports whether err means that there is nothing of that name.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
