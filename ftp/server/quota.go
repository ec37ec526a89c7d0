package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"math"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Quota limits what the tree of an account may contain. The zero value is no limit.
//
// What the tree contains is counted once, at the first login, and then kept up with each change that a session makes.
// The count is a value of Options.State, so all servers that share it have the same. Changes by other programs are
// not seen until the next count, which is at the first login after the server was started if the state is its own.
// Accounts with the same Name share a count. Interrupted uploads are not counted, but none can be larger than what
// was left when it began.
type Quota struct {
	Bytes int64 // of all files; 0: no limit
	Files int64 // 0: no limit
}

// errQuota is returned for a change that would exceed the quota.
var errQuota = errors.New("exceeds the quota")

// errTally is returned if the quota can't be counted in time, because too many sessions of the user change files at once
// or because the shared state does not answer.
var errTally = errors.New("the quota can't be counted in time")

// quota is the quota of one session's account for the directory top, without the mounts below it.
type quota struct {
	srv   *Server
	files afero.Fs
	top   string
	apart []Mount // of the account
	user  string
	key   string
	limit Quota
	err   error // why it could not be counted at the login; see isCounted
}

// tally is the value that the servers share:
//
//	quota/USER = {"bytes": 5, "files": 1, "pending": {"ID": {…}}}
//
// A change is entered before it is made, as pending, and confirmed afterwards. If a server is killed in between,
// the next one that looks finds out from the file whether the change was made. As long as a change is pending, no
// other one of the same files is made, so no two can both count what only one of them has replaced.
type tally struct {
	Bytes   int64                    `json:"bytes"`
	Files   int64                    `json:"files"`
	Pending map[string]pendingChange `json:"pending,omitempty"`
}

// pendingChange is a change of the file at Path, or a move of From to Path.
type pendingChange struct {
	Path string    `json:"path"`
	From string    `json:"from,omitempty"`
	Was  space     `json:"was"`  // what the files at Path and From took before
	Adds space     `json:"adds"` // what the change adds
	At   time.Time `json:"at"`
}

// space is what files take.
type space struct {
	Bytes int64 `json:"bytes"`
	Files int64 `json:"files"`
}

// spaceOf returns what a file of that size takes; a negative size is that of no file.
func spaceOf(size int64) space {
	if size < 0 {
		return space{}
	}
	return space{size, 1}
}

func (a space) plus(b space) space  { return space{a.Bytes + b.Bytes, a.Files + b.Files} }
func (a space) minus(b space) space { return space{a.Bytes - b.Bytes, a.Files - b.Files} }

// Bounds on a count.
const (
	maxCounted = 5_000_000 // entries
	maxPending = 1000      // changes of one tree at once
)

// used returns what the tree contains, pending changes included.
func (q *quota) used(ctx context.Context) (tally, error) {
	ctx, cancel := context.WithTimeout(ctx, stateWait)
	defer cancel()
	t, version, err := readState[tally](ctx, q.state(), q.key)
	switch {
	case err != nil:
	case version == "" && q.err != nil:
		err = q.err
	default:
		q.saw(t)
	}
	return t, err
}

// room returns how many bytes an upload may bring that begins at offset of a file of old bytes; old is negative if the
// file is new. If the quota is used up, the error is errQuota.
func (q *quota) room(ctx context.Context, old, offset int64) (int64, error) {
	if q == nil {
		return math.MaxInt64, nil
	}
	t, err := q.used(ctx)
	switch {
	case err != nil:
		return 0, err
	case q.limit.Files > 0 && old < 0 && t.Files >= q.limit.Files:
		return 0, errQuota
	case q.limit.Bytes <= 0:
		return math.MaxInt64, nil
	}
	if room := q.limit.Bytes - t.Bytes + max(0, old) - offset; room > 0 {
		return room, nil
	}
	return 0, errQuota
}

// change makes a change of the file at name from old to size bytes, where a negative number means that there is no
// file. do makes it; if it fails, nothing has changed. A change that would exceed the quota is not made, and the error
// is errQuota.
func (q *quota) change(ctx context.Context, name string, old, size int64, do func() error) error {
	if q == nil || old == size {
		return do()
	}
	was := spaceOf(old)
	return q.make(ctx, pendingChange{Path: name, Was: was, Adds: spaceOf(size).minus(was)}, nil, do)
}

// put makes a change of the file at name to size bytes, whatever is there when the change begins. do may fail after it
// has made the change. A negative size only frees space, so it needs no count.
func (q *quota) put(ctx context.Context, name string, size int64, do func() error) error {
	if q == nil || size < 0 && !q.isCounted(ctx) {
		return do()
	}
	return q.make(ctx, pendingChange{Path: name}, func(at, _ space) space { return spaceOf(size).minus(at) }, do)
}

// move makes a rename, which may replace a file. As put, it looks what is there. It adds nothing, so it needs no count.
func (q *quota) move(ctx context.Context, from, to string, do func() error) error {
	if q == nil || !q.isCounted(ctx) {
		return do()
	}
	return q.make(ctx, pendingChange{Path: to, From: from}, func(at, _ space) space { return space{}.minus(at) }, do)
}

// make enters a change, makes it by calling do, and confirms it. If adds is not nil, make looks at the files first, and
// adds returns what the change adds to what they take.
func (q *quota) make(ctx context.Context, c pendingChange, adds func(at, from space) space, do func() error) error {
	if !q.isCounted(ctx) {
		return q.err
	}
	id := rand.Text()
	if err := q.enter(ctx, id, &c, adds); err != nil {
		return err
	}
	renewed := q.keepPending(ctx, id)
	done := do()
	renewed()
	// The change is made: what follows must be recorded even if the session is ended meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stateWait)
	defer cancel()
	now := c.Was.plus(c.Adds)
	switch {
	case done != nil && (adds == nil || isRefusal(done)):
		now = c.Was
	case adds != nil && (done != nil || c.From == ""): // the storage decides how large a file becomes
		at, from, err := q.look(c)
		if err != nil && done != nil {
			return done // it stays pending, until it can be found out
		}
		if err == nil {
			now = at.plus(from)
		}
	}
	tried := false
	t, err := updateState(ctx, q.state(), q.key, func(t *tally) error {
		if _, ok := t.Pending[id]; ok {
			tried = true
			delete(t.Pending, id)
			t.settle(c, now)
			return nil
		}
		if done != nil || tried { // tried: it was stored, although its reply was lost
			return errUnchanged
		}
		t.add(now.minus(c.Was)) // it took so long that another session has looked, and not found it
		return nil
	})
	if err != nil {
		q.srv.set.Load().Log.Warn("can't record what is used of a quota: it is found out later", "err", err)
	} else {
		q.saw(t)
	}
	return done
}

// keepPending renews a pending change, so that nobody takes this server for dead, until done is called.
func (q *quota) keepPending(ctx context.Context, id string) (done func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		every := time.NewTicker(max(pendingTime/4, 10*time.Millisecond))
		defer every.Stop()
		for {
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
			// If it fails, the next one may succeed.
			_, _ = updateState(ctx, q.state(), q.key, func(t *tally) error {
				c, ok := t.Pending[id]
				if !ok {
					return errUnchanged
				}
				c.At = time.Now().UTC()
				t.Pending[id] = c
				return nil
			})
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// isRefusal reports whether an error means that the storage has changed nothing. Other errors may be those of a reply
// that was lost.
func isRefusal(err error) bool {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrPermission):
		return true
	case errors.As(err, &errno):
		return errno != syscall.ESTALE && errno != syscall.EIO // a move may have copied the file
	}
	return false
}

// enter makes a change pending. While another one of the same files is, it waits.
func (q *quota) enter(ctx context.Context, id string, c *pendingChange, adds func(at, from space) space) error {
	ctx, cancel := context.WithTimeout(ctx, stateWait)
	defer cancel()
	for wait := 2 * updatePause; ; wait = min(2*wait, time.Second) {
		_, err := updateState(ctx, q.state(), q.key, func(t *tally) error {
			if _, ok := t.Pending[id]; ok {
				return errUnchanged // an earlier try was stored, although its reply was lost
			}
			q.resolve(t)
			if len(t.Pending) >= maxPending || t.isChanging(*c) {
				return errBusy
			}
			c.At = time.Now().UTC()
			if adds != nil {
				at, from, err := q.look(*c)
				if err != nil {
					return err
				}
				c.Was, c.Adds = at.plus(from), adds(at, from)
			}
			if a := c.Adds; a.Bytes > 0 && q.limit.Bytes > 0 && t.Bytes+a.Bytes > q.limit.Bytes || a.Files > 0 && q.limit.Files > 0 && t.Files+a.Files > q.limit.Files {
				return errQuota
			}
			t.add(c.Adds)
			if t.Pending == nil {
				t.Pending = map[string]pendingChange{}
			}
			t.Pending[id] = *c
			return nil
		})
		switch {
		case err != nil && ctx.Err() != nil:
			return errTally
		case !errors.Is(err, errBusy):
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errBusy
		}
	}
}

// note records a change that was made already.
func (q *quota) note(ctx context.Context, old, size int64) {
	if q == nil || old == size {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stateWait)
	defer cancel()
	if !q.isCounted(ctx) {
		return
	}
	t, err := updateState(ctx, q.state(), q.key, func(t *tally) error {
		t.add(spaceOf(size).minus(spaceOf(old)))
		return nil
	})
	if err != nil {
		q.srv.set.Load().Log.Warn("can't record what is used of a quota", "err", err)
	} else {
		q.saw(t)
	}
}

// look returns what the files of a change take now.
func (q *quota) look(c pendingChange) (at, from space, err error) {
	at, err = q.spaceAt(c.Path)
	if err == nil && c.From != "" {
		from, err = q.spaceAt(c.From)
	}
	return at, from, err
}

func (q *quota) spaceAt(name string) (space, error) {
	fi, err := lstat(q.files, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return space{}, nil
	}
	if err != nil {
		return space{}, err
	}
	return spaceOf(sizeIn(fi)), nil
}

func (t *tally) add(a space) {
	t.Bytes = max(0, t.Bytes+a.Bytes)
	t.Files = max(0, t.Files+a.Files)
}

// settle corrects the count by what the files of a change take now, when the change has ended.
func (t *tally) settle(c pendingChange, now space) { t.add(now.minus(c.Was).minus(c.Adds)) }

// isChanging reports whether a pending change concerns the same files, or a directory of them.
func (t *tally) isChanging(c pendingChange) bool {
	for _, p := range t.Pending {
		for _, a := range []string{p.Path, p.From} {
			for _, b := range []string{c.Path, c.From} {
				if a != "" && b != "" && (a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")) {
					return true
				}
			}
		}
	}
	return false
}

// resolve finds out about changes that were not renewed for so long that their server must have died.
func (q *quota) resolve(t *tally) {
	for id, c := range t.Pending {
		if time.Since(c.At) < pendingTime {
			continue
		}
		if at, from, err := q.look(c); err == nil {
			t.settle(c, at.plus(from))
			delete(t.Pending, id)
		}
	}
}

// sizeIn returns the size of a file, or -1 if there is none.
func sizeIn(fi fs.FileInfo) int64 {
	if fi == nil || !fi.Mode().IsRegular() {
		return -1
	}
	return fi.Size()
}
