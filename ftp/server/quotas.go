package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"miniftp/ftp"
)

// quotas holds the quotas of one session's account: for its files outside of mounts, and by the path of a mount.
type quotas struct {
	home   *quota
	mounts map[string]*quota
}

// quotaAt returns the quota for a path, or nil.
func (s *session) quotaAt(name string) *quota {
	if s.quotas == nil {
		return nil
	}
	if m := mountOf(s.account.Mounts, name); m != nil {
		return s.quotas.mounts[m.Path]
	}
	return s.quotas.home
}

// openQuotas returns the quotas of an account, and counts what there is no count of yet. It returns nil if the account
// has none. A mount that can't be counted does not refuse the login; mountErr says which, and which storages are
// missing.
func (s *Server) openQuotas(ctx context.Context, a *Account, user string) (all *quotas, mountErr, err error) {
	if tree, ok := a.FS.(MountFs); ok {
		mountErr = tree.Missing()
	}
	if a.Quota != (Quota{}) {
		all = &quotas{home: &quota{user: user, files: a.FS, top: "/", apart: a.Mounts, key: stateKey("quota", user), limit: a.Quota}}
		if err := s.openQuota(ctx, all.home); err != nil {
			return nil, nil, err
		}
	}
	var mounts []*quota
	for _, m := range a.Mounts {
		if m.Quota == (Quota{}) {
			continue
		}
		mounts = append(mounts, &quota{user: user, files: a.FS, top: m.Path, apart: a.Mounts, key: stateKey("quota", user+"\x00"+m.Path), limit: m.Quota})
	}
	if len(mounts) == 0 {
		return all, mountErr, nil
	}
	if all == nil {
		all = &quotas{}
	}
	all.mounts = map[string]*quota{}
	for i, err := range s.openMountQuotas(ctx, mounts) {
		q := mounts[i]
		if all.mounts[q.top] = q; err == nil {
			continue
		}
		if !errors.Is(err, syscall.ENODEV) { // else it is missing
			mountErr = errors.Join(mountErr, fmt.Errorf("%s: %w", q.top, err))
		}
		q.err = errUncounted
	}
	return all, mountErr, nil
}

// errUncounted is returned for changes that may add something to what could not be counted at the login.
var errUncounted = fmt.Errorf("there is no count since the login: %w", errTally)

// isCounted reports whether there is a count, by which changes can go: that of the login, or one that another session has made
// since. Without a count only those changes are made that add nothing, and none is recorded, because a value in the state
// would pass for a count.
func (q *quota) isCounted(ctx context.Context) bool {
	if q.err == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, stateWait)
	defer cancel()
	_, version, err := readState[tally](ctx, q.state(), q.key)
	return err != nil || version != "" // after an error the change finds out the same
}

// openMountQuotas calls openQuota for mounts, for all at once, and returns the errors. It leaves half of the time for the rest
// of the login.
func (s *Server) openMountQuotas(ctx context.Context, mounts []*quota) []error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	errs := make([]error, len(mounts))
	var wg sync.WaitGroup
	for i, q := range mounts {
		wg.Go(func() {
			defer func() { // as in the task of the login, which this goroutine belongs to
				if p := recover(); p != nil {
					s.set.Load().Log.Error("a storage panicked", "mount", q.top, "panic", p, "stack", string(debug.Stack()))
					errs[i] = errPanicked
				}
			}()
			errs[i] = s.openQuota(ctx, q)
		})
	}
	wg.Wait()
	return errs
}

// openQuota prepares q. It counts the files if there is no count yet.
func (s *Server) openQuota(ctx context.Context, q *quota) error {
	q.srv = s
	known, version, err := readState[tally](ctx, q.state(), q.key)
	if err == nil && version != "" {
		q.saw(known)
		return nil
	}
	if err != nil {
		return &filesError{fmt.Errorf("what is used of the quota can't be read: %w", err)}
	}
	var now tally
	if err := q.count(ctx, &now); err != nil {
		return &filesError{fmt.Errorf("they can't be counted for the quota: %w", err)}
	}
	known, err = updateState(ctx, q.state(), q.key, func(t *tally) error {
		if t.Files != 0 || t.Bytes != 0 || t.Pending != nil {
			return errUnchanged // another session has counted
		}
		*t = now
		return nil
	})
	if err != nil {
		return &filesError{fmt.Errorf("the count for the quota can't be stored: %w", err)}
	}
	q.saw(known)
	return nil
}

func (q *quota) state() State { return q.srv.set.Load().State }

// count counts the files of the tree, without those in mounts. It follows no links.
func (q *quota) count(ctx context.Context, t *tally) error {
	l := &describer{fs: q.files}
	dirs := []string{q.top}
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
				if d := path.Join(dir, e.Name); !q.isApart(d) {
					dirs = append(dirs, d)
				}
			case e.Type == ftp.FileEntry:
				t.Files++
				t.Bytes += max(0, e.Size)
			}
		}
		_ = r.Close()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// A directory may be removed before it is read.
		if !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// isApart reports whether a directory is a mount.
func (q *quota) isApart(dir string) bool {
	return slices.ContainsFunc(q.apart, func(m Mount) bool { return m.Path == dir })
}

// siteQuota shows the quota for the working directory, and what is used of it.
func (s *session) siteQuota(string) ftp.Reply {
	q, in := s.quotaAt(s.cwd), s.inMount(s.cwd)
	if q == nil {
		return ftp.NewReply(200, "You have no quota"+in+".")
	}
	t, err := q.used(s.ctx())
	if errors.Is(err, errUncounted) {
		return ftp.NewReply(451, "What is used of the quota could not be counted at the login. Try again in a new session.")
	}
	if err != nil {
		return ftp.NewReply(451, "What is used of the quota can't be found out now. Try again in a moment.")
	}
	part := func(used, limit int64, what string) string {
		if limit <= 0 {
			return fmt.Sprintf(" %d %s used, no limit", used, what)
		}
		return fmt.Sprintf(" %d of %d %s used", used, limit, what)
	}
	return ftp.NewReply(200, "Your quota"+in+":", part(t.Bytes, q.limit.Bytes, "bytes"), part(t.Files, q.limit.Files, "files"), "End")
}
