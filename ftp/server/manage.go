package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"miniftp/ftp/server/internal/guard"
)

// This file has what an administrator does with a running server. The sessions themselves are in the events that the
// Observer gets; ftp.Control.ID identifies a session there and here.

// Kick ends a session and reports whether there is one with that ID. A running transfer is aborted. The client gets a
// 421, but the connection is closed soon, whether it has read that or not.
func (s *Server) Kick(id uint64) bool {
	sess := s.find(id)
	if sess == nil {
		return false
	}
	sess.kicked.Store(true)
	sess.stop()
	if j := sess.running.Load(); j != nil {
		j.abort(errKicked)
	}
	time.AfterFunc(rejectTime, func() { _ = sess.raw.Close() })
	return true
}

// Progress returns how many bytes the running transfer of a session has moved, and of how many; total is 0 if that is
// not known. ok is false if there is no such session, or if it does not transfer anything.
func (s *Server) Progress(id uint64) (moved, total int64, ok bool) {
	sess := s.find(id)
	if sess == nil {
		return 0, 0, false
	}
	j := sess.running.Load()
	if j == nil || j.forPort {
		return 0, 0, false
	}
	return j.moved.Load(), j.total, true
}

// find returns the session with that ID, or nil.
func (s *Server) find(id uint64) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.population.sessions[id]
}

// Drain admits no new sessions and returns when the last one has ended. Sessions that are logged in can do all that they
// could before. A connection that was already accepted still becomes a session; if another process accepts from the
// same sockets, no client is turned away. If ctx ends first, Drain returns its error, and Shutdown or Close ends the remaining sessions.
func (s *Server) Drain(ctx context.Context) error {
	s.stopAccepting(ctx)
	s.stopListening()
	select {
	case <-s.empty:
		return s.Shutdown(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ban is a ban of an address, or of a user at an address. Clients get it by failed logins, or by Server.Ban.
type Ban struct {
	Name  string // an address (IPv6: of a /64 network), or an address, a space and the name of a user
	Until time.Time
}

// Bans returns the bans in force, those of other servers that share the State included.
func (s *Server) Bans() []Ban {
	var all []Ban
	for name, until := range s.guard.Bans() {
		all = append(all, Ban{name, until})
	}
	return all
}

// Ban bans an address, or an address, a space and the name of a user, for d. Running sessions continue. If the server
// shares its state with others, they take over the ban within seconds.
func (s *Server) Ban(name string, d time.Duration) error {
	name, err := banName(name)
	if err != nil {
		return err
	}
	if d <= 0 {
		return errors.New("a ban needs a time that is more than 0")
	}
	until := time.Now().Add(d)
	s.guard.Decree(name, until)
	if s.shares() {
		s.publish(func(ctx context.Context, state State) error {
			return shareBan(ctx, state, name, sharedBan{until, true})
		})
	}
	return nil
}

// Unban lifts a ban and reports whether there was one. If the server shares its state with others, they lift it within
// seconds.
func (s *Server) Unban(name string) bool {
	name, err := banName(name)
	if err != nil || !s.guard.Unban(name) {
		return false
	}
	if s.shares() {
		s.publish(func(ctx context.Context, state State) error { return liftBan(ctx, state, name) })
	}
	return true
}

// banName returns the name of a ban in the form that the login guard uses.
func banName(name string) (string, error) {
	addr, user, isUser := strings.Cut(name, " ")
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return "", fmt.Errorf("%q is not an IP address", addr)
	}
	name = guard.Origin(ip).String()
	if isUser {
		name += " " + user
	}
	return name, nil
}
