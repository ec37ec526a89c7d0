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

// Tree is one side of a mirror: all that is below a directory, of a filesystem or of a server.
type Tree struct {
	FS   afero.Fs     // a filesystem; nil: the files of this host, or
	Pool *client.Pool // a server
	// Root is the directory: as FS names it, "" for "."; on a server a relative one is taken
	// from the login directory.
	Root string
}

// Plan says what a mirror does: it makes To hold what From holds. Beyond that the zero value
// changes and removes nothing, leaves links out, and copies one file at a time.
type Plan struct {
	From, To Tree
	// Delete removes what the source does not have, in directories that both sides
	// listed without an error.
	Delete bool
	// MaxDelete is how many names Delete may remove; 0: any number, NoDeletion: none.
	// At the first one too many no more is removed, and ErrMaxDelete is an error.
	MaxDelete int
	DryRun    bool // change nothing; Observe is told the same as in a run
	// Checksum compares contents, by the hash that a server offers (see Client.Hash),
	// else by reading both; otherwise size and time tell whether files differ.
	Checksum bool
	Newer    bool // copy only files that are missing or older at the destination
	Perms    bool // permission bits, too
	Links    LinkPolicy
	// Select says whether a name is in the mirror; path is the one below the root,
	// with slashes. What is not is neither copied nor deleted. nil: all.
	Select func(path string, dir bool) bool
	// Parallel is how many files are copied at once; 0 is 1. A Pool should have as
	// many connections. The last large files of a download are fetched in segments.
	Parallel int
	Retry    client.Retry // of everything that breaks on the way; copies resume
	// Observe is told what is found to be done, begun and done, one call at a time.
	Observe func(Action)
	// Progress is told how far the copy of a file is, as in Transfer; for several
	// files at once it runs in several goroutines.
	Progress func(path string, done, total int64)
}

// NoDeletion is a MaxDelete of none: that something would be deleted is ErrMaxDelete.
const NoDeletion = -1

// LinkPolicy is what becomes of symbolic links in the source.
type LinkPolicy uint8

// The policies.
const (
	SkipLinks   LinkPolicy = iota // left out, and Observe is told
	FollowLinks                   // what they lead to, as if it were there
	CopyLinks                     // links, if relative and not leading out of the tree
)

// Action is one thing that Run does.
type Action struct {
	Kind   Kind
	Stage  Stage
	Path   string        // below the roots, with slashes; "" is the root itself
	Dir    bool          // of Remove
	Size   int64         // of CopyFile: bytes of the file, -1 if unknown
	Why    string        // "new", "size", "time", "content", "newer" for CopyFile; a reason for LeaveOut
	Target string        // of MakeLink
	Result client.Result // of a CopyFile that is done
	Err    error         // why it failed
}

// Kind is what an Action does.
type Kind uint8

// The kinds.
const (
	CopyFile Kind = iota
	MakeDir
	Remove
	MakeLink
	SetMode
	SetTime
	LeaveOut // what is left out, such as a link
	ListDir  // reading a directory: told only when it fails
)

func (k Kind) String() string {
	names := [...]string{"copy", "mkdir", "delete", "link", "chmod", "time", "skip", "list"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Stage is how far an Action is. Each one is told as done once; a CopyFile also as
// planned and, but for a dry run, as begun.
type Stage uint8

// The stages.
const (
	Done Stage = iota
	Planned
	Begun
)

// Result counts what Run did, or would have done.
type Result struct {
	Files     int64 // copied
	Bytes     int64 // that went over; of a dry run: that are in those files
	Unchanged int64 // files that were the same
	Dirs      int64 // made
	Links     int64 // made
	Changed   int64 // times and modes that were set, beside copies
	Deleted   int64
	Skipped   int64
	Failed    int64
	Took      time.Duration
}

// ErrMaxDelete is returned if more than Plan.MaxDelete names would have been removed.
var ErrMaxDelete = errors.New("more would have been deleted than is allowed; nothing more was")

// errInWay is a directory where a file should be.
var errInWay = errors.New("a directory of that name is in the way")

// Error is an Action that failed.
type Error struct {
	Kind Kind
	Path string
	Dst  bool // it failed at the destination, not at the source
	Err  error
}

func (e *Error) Error() string {
	name := e.Path
	if name == "" {
		name = "."
	}
	return fmt.Sprintf("%s: %v", ftp.Printable(name), e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

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

// failed returns the Error of err.
func (m *mirror) failed(kind Kind, rel string, err error) *Error {
	e := &Error{Kind: kind, Path: rel, Err: err}
	var there *dstError
	var local *client.LocalError
	_, up := m.dst.(*remoteSide)
	_, down := m.src.(*remoteSide)
	switch isLocal := errors.As(err, &local); {
	case kind == MakeDir, kind == Remove, kind == MakeLink, kind == SetMode, kind == SetTime, errors.As(err, &there):
		e.Dst = true
	case up != down && kind == CopyFile:
		e.Dst = isLocal == down
	}
	return e
}

// dstError marks an error of the destination where nothing else tells its side.
type dstError struct{ err error }

func (e *dstError) Error() string { return e.err.Error() }
func (e *dstError) Unwrap() error { return e.err }

func atDst(err error) error {
	if err == nil {
		return nil
	}
	return &dstError{err}
}

// tell passes an Action on, and counts it when it is done.
func (m *mirror) tell(ctx context.Context, a Action) {
	if a.Err != nil && ctx.Err() != nil {
		return // it is what came of stopping
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.Stage == Done {
		m.count(&a)
	}
	if m.o.Observe != nil {
		m.o.Observe(a)
	}
}

func (m *mirror) count(a *Action) {
	if a.Err != nil {
		m.res.Failed++
		a.Err = m.failed(a.Kind, a.Path, a.Err)
		if len(m.errs) < maxErrors {
			m.errs = append(m.errs, a.Err)
		}
		if hopeless(a.Err) {
			m.cancel(a.Err) // what fails from now on fails because of this
		}
		return
	}
	switch a.Kind {
	case CopyFile:
		m.res.Files++
		if m.o.DryRun {
			m.res.Bytes += max(a.Size, 0)
		} else {
			m.res.Bytes += a.Result.Bytes
		}
	case MakeDir:
		m.res.Dirs++
	case Remove:
		m.res.Deleted++
	case MakeLink:
		m.res.Links++
	case SetMode, SetTime:
		m.res.Changed++
	case LeaveOut:
		m.res.Skipped++
	}
}

func (m *mirror) same() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.res.Unchanged++
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
