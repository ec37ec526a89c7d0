package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"miniftp/ftp"
)

// Account.MaxSessions counts the sessions of a user at all servers that share Options.State. Each server that has
// sessions of a user leases them: it writes their number to the user's value, with the time at which the lease ends, and
// renews it before that time. If a server dies, its leases end by themselves.
//
//	sessions/USER = {"SERVER": {"n": 2, "until": "…"}, …}

// sessionLeases maps servers to their leases of one user's sessions.
type sessionLeases map[string]sessionLease

type sessionLease struct {
	N     int       `json:"n"`
	Until time.Time `json:"until"`
}

// leases are the leases of one Server.
type leases struct {
	srv *Server
	mu  sync.Mutex
	own map[string]int // sessions by user

	leaving map[string]int // sessions by user that have ended, but still count for the other servers

	over map[string]bool // users whose lease had too many sessions at the last renewal; only renew uses it
}

// leaseKey returns the key of a user's sessions.
func leaseKey(user string) string { return stateKey("sessions", user) }

// acquire leases a session of the user. If the servers together have most already, the error is a *refusal.
func (l *leases) acquire(ctx context.Context, user string, most int) error {
	for {
		l.mu.Lock()
		leaving := l.leaving[user]
		l.mu.Unlock()
		_, err := updateState(ctx, l.srv.set.Load().State, leaseKey(user), func(all *sessionLeases) error {
			return l.add(all, 1, most)
		})
		if err == nil {
			break
		}
		if _, full := errors.AsType[*refusal](err); !full || leaving == 0 {
			return err
		}
		// It may be the client of a session that has just ended here.
		select {
		case <-time.After(leavingPause):
		case <-ctx.Done():
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own[user]++
	return nil
}

// add changes the lease of this server by n sessions and drops those of dead servers.
func (l *leases) add(all *sessionLeases, n, most int) error {
	now := time.Now()
	if *all == nil {
		*all = sessionLeases{}
	}
	sum := 0
	for server, lease := range *all {
		if server != l.srv.id && now.After(lease.Until) {
			delete(*all, server)
			continue
		}
		sum += lease.N
	}
	if n > 0 && sum > most-n {
		return &refusal{
			fmt.Sprintf("Too many sessions of this user: the limit is %d. Try again later.", most),
			fmt.Sprintf("the user has %d sessions at all servers", sum), ftp.ReasonSessionsPerUser,
		}
	}
	own := (*all)[l.srv.id]
	own.N, own.Until = max(0, own.N+n), now.Add(leaseTime)
	if (*all)[l.srv.id] = own; own.N == 0 {
		delete(*all, l.srv.id)
	}
	return nil
}

// release gives up a session of the user, after leave.
func (l *leases) release(user string) {
	defer l.left(user)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.srv.ctx), stateWait)
	defer cancel()
	_, err := updateState(ctx, l.srv.set.Load().State, leaseKey(user), func(all *sessionLeases) error { return l.add(all, -1, 0) })
	if err != nil {
		l.srv.set.Load().Log.Warn("can't give up the lease of a session: it ends by itself", "err", err)
	}
}

// leave notes that a session of the user has ended, and left that release has given it up.
func (l *leases) leave(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving[user]++
	if l.own[user]--; l.own[user] <= 0 {
		delete(l.own, user)
	}
}

func (l *leases) left(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving[user]--; l.leaving[user] <= 0 {
		delete(l.leaving, user)
	}
}

// renew renews all leases. One with too few sessions is corrected at once: another server has dropped it, because this one
// was late. One with too many may be that of a session that is just beginning or ending, so it is corrected the next time.
func (l *leases) renew(ctx context.Context) {
	l.mu.Lock()
	users := slices.Collect(maps.Keys(l.own))
	l.mu.Unlock()
	before := l.over
	l.over = map[string]bool{}
	for _, user := range users {
		over := false
		_, err := updateState(ctx, l.srv.set.Load().State, leaseKey(user), func(all *sessionLeases) error {
			l.mu.Lock()
			n := l.own[user]
			l.mu.Unlock()
			if n == 0 {
				return errUnchanged // ended meanwhile
			}
			had := (*all)[l.srv.id].N
			if over = had > n; over && !before[user] {
				n = had
			}
			return l.add(all, n-had, math.MaxInt)
		})
		l.over[user] = over
		if err != nil && l.srv.ctx.Err() == nil {
			l.srv.set.Load().Log.Warn("can't renew the lease of a user's sessions", "err", err)
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// leasedSession is a session that was leased. Close gives it up, in the background, because that takes a round trip.
type leasedSession struct {
	leases *leases
	user   string
}

func (s *leasedSession) Close() error {
	s.leases.leave(s.user)
	if !s.leases.srv.goBackground(func() { s.leases.release(s.user) }) {
		s.leases.release(s.user) // the server is stopping and waits for its sessions
	}
	return nil
}

// lease leases a session for an account, if the server shares its state and the account has a limit.
func (s *Server) lease(ctx context.Context, a *Account, user string) (*leasedSession, error) {
	if !s.shares() || a.MaxSessions <= 0 {
		return nil, nil
	}
	if err := s.leases.acquire(ctx, user, a.MaxSessions); err != nil {
		if _, ok := errors.AsType[*refusal](err); !ok {
			err = &filesError{fmt.Errorf("the sessions of the user can't be counted: %w", err)}
		}
		return nil, err
	}
	return &leasedSession{s.leases, user}, nil
}

// Error makes a refusal an error, which a task can return.
func (r *refusal) Error() string { return r.why }

// shares reports whether the state of the server is shared with others.
func (s *Server) shares() bool {
	_, alone := s.set.Load().State.(*memState)
	return !alone
}

// keepShared renews leases and takes over the bans of other servers, until the server closes.
func (s *Server) keepShared() {
	lastRenewed := time.Now()
	lifted := map[string]string{}
	tick := time.NewTicker(bansEvery)
	defer tick.Stop()
	for {
		if time.Since(lastRenewed) > leaseTime/3 {
			lastRenewed = time.Now()
			ctx, cancel := context.WithTimeout(s.ctx, stateWait)
			s.leases.renew(ctx)
			cancel()
		}
		ctx, cancel := context.WithTimeout(s.ctx, stateWait)
		if err := s.takeBans(ctx, lifted); err != nil && s.ctx.Err() == nil {
			s.set.Load().Log.Warn("can't read the bans of other servers", "err", err)
		}
		cancel()
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
	}
}
