package server

import (
	"cmp"
	"slices"
	"sync"
)

// QuotaUse is what a user has used of a quota.
type QuotaUse struct {
	User  string // Account.Name, or the name sent with USER
	Path  string // of the Mount; "/" for the account
	Used  Quota
	Limit Quota
}

// maxQuotaUses limits how many quotas Server.Quotas returns.
const maxQuotaUses = 1000

// quotaUses holds what was last seen of the quotas of users.
type quotaUses struct {
	mu  sync.Mutex
	all map[quotaPlace]QuotaUse
}

type quotaPlace struct{ user, path string }

// Quotas returns what is used of quotas, by user and path, at most 1000 of them: of the users who have logged in since
// the server was started, and as of the last login, upload or change at this server. After Reload those of users who are not in a
// Static any more are left out.
func (s *Server) Quotas() []QuotaUse {
	s.quotaUses.mu.Lock()
	defer s.quotaUses.mu.Unlock()
	all := make([]QuotaUse, 0, len(s.quotaUses.all))
	for _, u := range s.quotaUses.all {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b QuotaUse) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Path, b.Path)) })
	return all
}

// saw records what was seen of a quota.
func (q *quota) saw(t tally) {
	u := &q.srv.quotaUses
	at := quotaPlace{q.user, q.top}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.all[at]; !known && len(u.all) >= maxQuotaUses {
		return
	}
	if u.all == nil {
		u.all = map[quotaPlace]QuotaUse{}
	}
	u.all[at] = QuotaUse{User: q.user, Path: q.top, Used: Quota{Bytes: t.Bytes, Files: t.Files}, Limit: q.limit}
}

// keep forgets the quotas of users who are not in an Authenticator any more.
func (u *quotaUses) keep(auth Authenticator) {
	users, ok := auth.(Static)
	if !ok {
		return
	}
	named := map[string]bool{}
	for name, user := range users {
		named[cmp.Or(user.Account.Name, name)] = true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for at := range u.all {
		if !named[at.user] {
			delete(u.all, at)
		}
	}
}
