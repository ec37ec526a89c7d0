package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"miniftp/ftp"
)

// Account.MaxSessions counts the sessions of a user at all servers that share Options.State. Each server that has
// sessions of a user leases them: it writes their number to the user's value, with a time until which that is true,
// and renews it before that time. If a server dies, its leases end by themselves.
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
}

// leaseKey returns the key of a user's sessions.
func leaseKey(user string) string { return stateKey("sessions", user) }

// acquire leases a session of the user. If the servers together have most already, the error is a *refusal.
func (l *leases) acquire(ctx context.Context, user string, most int) error {
	_, err := updateState(ctx, l.srv.set.Load().State, leaseKey(user), func(all *sessionLeases) error {
		return l.add(all, 1, most)
	})
	if err != nil {
		return err
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
	if n > 0 && sum+n > most {
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

// release gives up a session of the user.
func (l *leases) release(user string) {
	l.mu.Lock()
	if l.own[user]--; l.own[user] <= 0 {
		delete(l.own, user)
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.srv.ctx), stateWait)
	defer cancel()
	_, err := updateState(ctx, l.srv.set.Load().State, leaseKey(user), func(all *sessionLeases) error { return l.add(all, -1, 0) })
	if err != nil {
		l.srv.set.Load().Log.Warn("can't give up the lease of a session: it ends by itself", "err", err)
	}
}

// renew renews all leases.
func (l *leases) renew(ctx context.Context) {
	l.mu.Lock()
	users := make(map[string]int, len(l.own))
	for user, n := range l.own {
		users[user] = n
	}
	l.mu.Unlock()
	for user := range users {
		_, err := updateState(ctx, l.srv.set.Load().State, leaseKey(user), func(all *sessionLeases) error {
			l.mu.Lock()
			n := l.own[user]
			l.mu.Unlock()
			if n == 0 {
				return errUnchanged // ended meanwhile
			}
			had := (*all)[l.srv.id].N
			return l.add(all, n-had, n+1<<20)
		})
		if err != nil && ctx.Err() == nil {
			l.srv.set.Load().Log.Warn("can't renew the lease of a user's sessions", "err", err)
		}
	}
}

// leasedSession is a session that was leased. Close gives it up, in the background, because that takes a round trip.
type leasedSession struct {
	leases *leases
	user   string
}

func (s *leasedSession) Close() error {
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
		ctx, cancel := context.WithTimeout(s.ctx, stateWait)
		if err := s.takeBans(ctx, lifted); err != nil && s.ctx.Err() == nil {
			s.set.Load().Log.Warn("can't read the bans of other servers", "err", err)
		}
		if time.Since(lastRenewed) > leaseTime/3 {
			s.leases.renew(ctx)
			lastRenewed = time.Now()
		}
		cancel()
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
	}
}
