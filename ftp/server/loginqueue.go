package server

import (
	"context"

	"miniftp/ftp/server/internal/guard"
)

// LoginQueue bounds how many logins an Authenticator checks at once, if a check is costly or asks another server. A free
// slot goes to the login whose name, address and network had the fewest slots lately, and names that have logged in from
// their address before come first. So a flood of logins does not keep out those of others.
type LoginQueue struct{ slots *guard.Queue }

// NewLoginQueue returns a LoginQueue with that many slots, but at least one.
func NewLoginQueue(slots int) *LoginQueue { return &LoginQueue{guard.NewQueue(slots)} }

// Acquire waits for a slot until ctx ends. If it returns nil, the caller must call Release.
//
// The keys are only what the client has sent and its address. They do not depend on whether the user exists, because the
// length of the wait would show that.
func (q *LoginQueue) Acquire(ctx context.Context, l Login) error {
	type name string
	ip := l.Remote.Addr()
	return q.slots.Acquire(ctx, l.regular, name(l.User), guard.Origin(ip), guard.Site(ip))
}

// Release gives a slot back.
func (q *LoginQueue) Release() { q.slots.Release() }
