package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
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

// quota is the quota of one session's account.
type quota struct {
	srv   *Server
	files afero.Fs
	key   string
	limit Quota
}

// tally is the value that the servers share:
//
//	quota/USER = {"bytes": 5, "files": 1, "pending": {"ID": {…}}}
//
// A change is entered before it is made, as pending, and confirmed afterwards. If a server is killed in between,
// the next one that looks finds out from the file whether the change was made.
type tally struct {
	Bytes   int64                    `json:"bytes"`
	Files   int64                    `json:"files"`
	Pending map[string]pendingChange `json:"pending,omitempty"`
}

// pendingChange is a change of the file at Path: once it is made, the file has Size bytes, or does not exist if Size
// is negative.
type pendingChange struct {
	Path  string    `json:"path"`
	Size  int64     `json:"size"`
	Bytes int64     `json:"bytes"` // what it adds
	Files int64     `json:"files"`
	At    time.Time `json:"at"`
}

// Bounds on a count.
const (
	maxCounted = 5_000_000 // entries
	maxPending = 1000      // changes of one tree at once
)

// openQuota returns the quota of an account, and counts its tree if there is no count yet. It returns nil if the
// account has no quota.
func (s *Server) openQuota(ctx context.Context, a *Account, user string) (*quota, error) {
	if a.Quota == (Quota{}) {
		return nil, nil
	}
	q := &quota{srv: s, files: a.FS, key: stateKey("quota", user), limit: a.Quota}
	_, version, err := readState[tally](ctx, q.state(), q.key)
	if err != nil || version != "" {
		return q, err
	}
	var counted tally
	if err := q.count(ctx, &counted); err != nil {
		return nil, fmt.Errorf("its files can't be counted for the quota: %w", err)
	}
	_, err = updateState(ctx, q.state(), q.key, func(t *tally) error {
		if t.Files != 0 || t.Bytes != 0 || t.Pending != nil {
			return errUnchanged // another session has counted
		}
		*t = counted
		return nil
	})
	return q, err
}

func (q *quota) state() State { return q.srv.set.Load().State }

// count counts the files of the tree. It follows no links.
func (q *quota) count(ctx context.Context, t *tally) error {
	l := &describer{fs: q.files}
	dirs := []string{"/"}
	for seen := 0; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		r, err := l.dir(dir)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				continue
			}
			return err
		}
		for err == nil && ctx.Err() == nil {
			var e ftp.Entry
			if _, err = r.next(&e); err != nil {
				break
			}
			if seen++; seen > maxCounted {
				err = fmt.Errorf("there are more than %d", maxCounted)
			}
			switch {
			case isPartial(e.Name):
			case e.Type == ftp.DirEntry:
				dirs = append(dirs, path.Join(dir, e.Name))
			case e.Type == ftp.FileEntry:
				t.Files++
				t.Bytes += max(0, e.Size)
			}
		}
		_ = r.Close()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// used returns what the tree contains, pending changes included.
func (q *quota) used(ctx context.Context) (tally, error) {
	t, _, err := readState[tally](ctx, q.state(), q.key)
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

// change makes a change of a file from old to size bytes, where a negative number means that there is no file. do
// makes it; if it fails, nothing has changed. A change that would exceed the quota is not made, and the error is
// errQuota.
func (q *quota) change(ctx context.Context, name string, old, size int64, do func() error) error {
	if q == nil || old == size {
		return do()
	}
	c := pendingChange{Path: name, Size: size, Bytes: max(0, size) - max(0, old)}
	switch {
	case old < 0:
		c.Files = 1
	case size < 0:
		c.Files = -1
	}
	return q.make(ctx, c, do)
}

// make enters a change, makes it by calling do, and confirms it.
func (q *quota) make(ctx context.Context, c pendingChange, do func() error) error {
	id := rand.Text()
	c.At = time.Now().UTC()
	_, err := updateState(ctx, q.state(), q.key, func(t *tally) error {
		q.resolve(t)
		switch {
		case c.Bytes > 0 && q.limit.Bytes > 0 && t.Bytes+c.Bytes > q.limit.Bytes, c.Files > 0 && q.limit.Files > 0 && t.Files+c.Files > q.limit.Files:
			return errQuota
		case len(t.Pending) >= maxPending:
			return errBusy
		}
		t.Bytes += c.Bytes
		t.Files += c.Files
		if t.Pending == nil {
			t.Pending = map[string]pendingChange{}
		}
		t.Pending[id] = c
		return nil
	})
	if err != nil {
		return err
	}
	done := do()
	// The change is made: what follows must be recorded even if the session is ended meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stateWait)
	defer cancel()
	_, err = updateState(ctx, q.state(), q.key, func(t *tally) error {
		if _, ok := t.Pending[id]; !ok {
			return errUnchanged // it took so long that another session has resolved it
		}
		delete(t.Pending, id)
		if done != nil {
			t.undo(c)
		}
		return nil
	})
	if err != nil {
		q.srv.set.Load().Log.Warn("can't record what is used of a quota: it is found out later", "err", err)
	}
	return done
}

// replace makes a rename that replaces a file of old bytes by one of size bytes of the same tree.
func (q *quota) replace(ctx context.Context, name string, old, size int64, do func() error) error {
	if q == nil || old < 0 {
		return do()
	}
	return q.make(ctx, pendingChange{Path: name, Size: size, Bytes: -old, Files: -1}, do)
}

// note records a change that was made already.
func (q *quota) note(ctx context.Context, name string, old, size int64) {
	if q == nil {
		return
	}
	free := *q
	free.limit = Quota{}
	_ = free.change(ctx, name, old, size, func() error { return nil })
}

func (t *tally) undo(c pendingChange) {
	t.Bytes = max(0, t.Bytes-c.Bytes)
	t.Files = max(0, t.Files-c.Files)
}

// resolve finds out about changes that were begun so long ago that their server must have died.
func (q *quota) resolve(t *tally) {
	for id, c := range t.Pending {
		if time.Since(c.At) < pendingTime {
			continue
		}
		fi, err := lstat(q.files, c.Path)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && fi.Size() != c.Size, err != nil && c.Size >= 0:
			t.undo(c)
		}
		delete(t.Pending, id)
	}
}

// sizeIn returns the size of a file, or -1 if there is none.
func sizeIn(fi fs.FileInfo) int64 {
	if fi == nil || !fi.Mode().IsRegular() {
		return -1
	}
	return fi.Size()
}

// siteQuota shows the quota and what is used of it.
func (s *session) siteQuota(string) ftp.Reply {
	if s.quota == nil {
		return ftp.NewReply(200, "You have no quota.")
	}
	t, err := s.quota.used(s.ctx())
	if err != nil {
		return ftp.NewReply(451, "What is used of the quota can't be found out now. Try again in a moment.")
	}
	part := func(used, limit int64, what string) string {
		if limit <= 0 {
			return fmt.Sprintf(" %d %s used, no limit", used, what)
		}
		return fmt.Sprintf(" %d of %d %s used", used, limit, what)
	}
	return ftp.NewReply(200, "Your quota:", part(t.Bytes, s.quota.limit.Bytes, "bytes"), part(t.Files, s.quota.limit.Files, "files"), "End")
}
