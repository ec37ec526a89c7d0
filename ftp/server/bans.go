package server

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Servers that share their state share their bans. A ban is a value that says until when it lasts, by its name for
// guard.Logins.Ban. To lift a ban means to remove that value, and to leave another one for a while so that the servers
// that know of the ban see it:
//
//	bans/NAME    = {"until": "…", "decreed": true}
//	lifted/NAME  = {"at": "…"}

type sharedBan struct {
	Until   time.Time `json:"until"`
	Decreed bool      `json:"decreed,omitempty"` // by the administrator
}

type liftedBan struct {
	At time.Time `json:"at"`
}

// liftedTime is how long a lifted ban is remembered: much longer than the time between two reads (bansEvery).
const liftedTime = time.Minute

// maxSharedBans is the number of shared bans that a server reads.
const maxSharedBans = 10_000

// ShareBan bans an address, or an address, a space and the name of a user, for d, at all servers that share the state.
// They take over the ban within seconds.
func ShareBan(ctx context.Context, state State, name string, d time.Duration) error {
	name, err := banName(name)
	if err != nil {
		return err
	}
	return shareBan(ctx, state, name, sharedBan{time.Now().Add(d), true})
}

func shareBan(ctx context.Context, state State, name string, ban sharedBan) error {
	if err := deleteState(ctx, state, stateKey("lifted", name)); err != nil {
		return err
	}
	_, err := updateState(ctx, state, stateKey("bans", name), func(b *sharedBan) error {
		if !ban.Until.After(b.Until) && b.Decreed == ban.Decreed {
			return errUnchanged
		}
		*b = ban
		return nil
	})
	return err
}

// LiftSharedBan lifts a ban at all servers that share the state, within seconds.
func LiftSharedBan(ctx context.Context, state State, name string) error {
	name, err := banName(name)
	if err != nil {
		return err
	}
	return liftBan(ctx, state, name)
}

func liftBan(ctx context.Context, state State, name string) error {
	_, err := updateState(ctx, state, stateKey("lifted", name), func(l *liftedBan) error {
		l.At = time.Now()
		return nil
	})
	if err != nil {
		return err
	}
	return deleteState(ctx, state, stateKey("bans", name))
}

// deleteState removes a value, whatever its version is.
func deleteState(ctx context.Context, state State, key string) error {
	for range maxUpdates {
		_, version, err := readState[any](ctx, state, key)
		if err != nil || version == "" {
			return err
		}
		if err := state.Delete(ctx, key, version); !errors.Is(err, syscall.ESTALE) {
			return err
		}
	}
	return fmt.Errorf("%s: changed by others each time", key)
}

// publish changes the shared bans in the background, because that takes round trips.
func (s *Server) publish(change func(ctx context.Context, state State) error) {
	s.goBackground(func() {
		ctx, cancel := context.WithTimeout(s.ctx, stateWait)
		defer cancel()
		if err := change(ctx, s.set.Load().State); err != nil && s.ctx.Err() == nil {
			s.set.Load().Log.Warn("can't share a ban with other servers", "err", err)
		}
	})
}

// publishBan shares a ban. It is called with the lock of the login guard held.
func (s *Server) publishBan(name string, until time.Time) {
	s.publish(func(ctx context.Context, state State) error {
		return shareBan(ctx, state, name, sharedBan{Until: until})
	})
}

// takeBans takes over what other servers have banned, and lifts what they have lifted. It removes values that have
// served their time. seen has the versions of the lifted bans that were handled.
func (s *Server) takeBans(ctx context.Context, seen map[string]string) error {
	state := s.set.Load().State
	for key, err := range state.Keys(ctx, "lifted/") {
		if err != nil {
			return err
		}
		l, version, err := readState[liftedBan](ctx, state, key)
		name, ok := nameOfKey(key)
		switch {
		case err != nil:
			return err
		case version == "":
		case time.Since(l.At) > liftedTime || !ok:
			delete(seen, key)
			if err := state.Delete(ctx, key, version); err != nil && !errors.Is(err, syscall.ESTALE) {
				return err
			}
		case seen[key] != version:
			seen[key] = version
			s.guard.Unban(name)
		}
	}
	n := 0
	for key, err := range state.Keys(ctx, "bans/") {
		if err != nil {
			return err
		}
		name, ok := nameOfKey(key)
		if n++; n > maxSharedBans {
			return fmt.Errorf("there are more than %d", maxSharedBans)
		}
		if !ok || s.guard.Knows(name) {
			continue
		}
		ban, version, err := readState[sharedBan](ctx, state, key)
		switch {
		case err != nil:
			return err
		case version == "":
		case time.Now().Before(ban.Until):
			if ban.Decreed {
				s.guard.Decree(name, ban.Until)
			} else {
				s.guard.Ban(name, ban.Until)
			}
		default:
			if err := state.Delete(ctx, key, version); err != nil && !errors.Is(err, syscall.ESTALE) {
				return err
			}
		}
	}
	return nil
}
