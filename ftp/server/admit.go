package server

import (
	"container/list"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/server/internal/guard"
)

// Bounds on connections that are turned away, and on sessions that make room for others.
const (
	maxLookedAt   = 64   // waiting sessions that makeRoom considers
	maxDropped    = 64   // dropped sessions that have not ended yet
	maxHeaders    = 1024 // connections of balancers whose header is awaited
	maxTurnedAway = 64   // connections that are sent a 421 at once; beyond, they are only closed
	bannedText    = "You are banned from this server for now."
	shutOutText   = "Too many failed logins from your address. Try again later."
)

// population counts the current sessions, in total, by address and by user. It is guarded by Server.mu.
//
// A session is in one of three states, and in waiting exactly while it is in the first:
//
//	waiting     not logged in: since admit, or after USER, REIN or AUTH (removeLogin)
//	in          logged in (addLogin)
//	dropped     asked to end because another session needs the place (makeRoom)
type population struct {
	sessions map[uint64]*session // by ftp.Control.ID
	origins  map[netip.Addr]*counts
	users    map[string]int // logged-in sessions, by Account.Name
	waiting  *list.List     // sessions that are not logged in, the oldest first
	dropped  int            // sessions that were dropped and have not ended yet
}

// counts are the sessions of one origin.
type counts struct{ all, waiting int }

// place is the state of one session in the population. It is guarded by Server.mu.
type place struct {
	waiting *list.Element // nil: logged in or dropped
	since   time.Time     // when it began to wait
	user    string        // in population.users, if in
	in      bool
	dropped bool
}

func newPopulation() population {
	return population{sessions: map[uint64]*session{}, origins: map[netip.Addr]*counts{}, users: map[string]int{}, waiting: list.New()}
}

// refusal says why a connection or a login is not admitted: the text of the reply, the words for the log, and
// the rule.
type refusal struct {
	text, why string
	reason    ftp.Reason
}

// noDescriptors is the refusal if the process runs out of descriptors. Its connection must be closed at once,
// because the admitted sessions need the descriptor.
var noDescriptors = &refusal{"Too many sessions. Try again in a moment.", "the process has too few free descriptors: raise its limit on open files", ftp.ReasonSessions}

// admit adds a new session to the population, or returns why it may not. Networks and bans are checked first,
// because a client that can't log in must not displace a session. The limits follow, then the descriptors.
func (s *Server) admit(sess *session) *refusal {
	ip := sess.control.Remote.Addr()
	from := guard.Origin(ip)
	set := sess.set
	switch {
	case in(set.Deny, ip):
		return &refusal{notAllowed, "the address is in a network that is denied", ftp.ReasonDenied}
	case !within(set.Allow, ip):
		return &refusal{notAllowed, "the address is in no network that is allowed", ftp.ReasonNotAllowed}
	case s.guard.Decreed(from):
		return &refusal{bannedText, "the administrator has banned the address", ftp.ReasonOther}
	case s.guard.ShutOut(from):
		return &refusal{shutOutText, "the address is banned after too many failed logins", ftp.ReasonBanned}
	}
	// Outside the lock, because it makes system calls.
	scarce := descriptorsScarce(sess.raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	pop := &s.population
	n := pop.origins[from]
	if n == nil {
		n = &counts{}
	}
	switch {
	case s.closing:
		return &refusal{"The server is shutting down.", "the server is shutting down", ftp.ReasonOther}
	case set.MaxSessionsPerIP > 0 && n.all >= set.MaxSessionsPerIP:
		return &refusal{
			fmt.Sprintf("Too many sessions from your address: the limit is %d.", set.MaxSessionsPerIP),
			fmt.Sprintf("there are %d sessions from this address", n.all), ftp.ReasonSessionsPerAddress,
		}
	// A dropped session has given up its place already.
	case set.MaxSessions > 0 && len(pop.sessions)-pop.dropped >= set.MaxSessions && !pop.makeRoom(n.waiting):
		return &refusal{
			fmt.Sprintf("Too many sessions: the limit is %d. Try again later.", set.MaxSessions),
			fmt.Sprintf("there are %d sessions", len(pop.sessions)), ftp.ReasonSessions,
		}
	case pop.waiting.Len() >= set.MaxWaiting && !pop.makeRoom(n.waiting):
		return &refusal{
			"Too many sessions are waiting to log in. Try again in a moment.",
			fmt.Sprintf("%d sessions are not logged in", pop.waiting.Len()), ftp.ReasonWaiting,
		}
	}
	if scarce {
		pop.makeRoom(n.waiting) // for the next connection; this one's descriptor is needed by the sessions
		return noDescriptors
	}
	pop.origins[from] = n
	pop.sessions[sess.control.ID] = sess
	n.all++
	pop.addWaiting(sess, n)
	return nil
}

const notAllowed = "You may not use this server from your address."

// addWaiting adds a session to those that are not logged in.
func (pop *population) addWaiting(sess *session, n *counts) {
	sess.place.waiting = pop.waiting.PushBack(sess)
	sess.place.since = time.Now()
	n.waiting++
}

func (pop *population) removeWaiting(sess *session) {
	if e := sess.place.waiting; e != nil {
		pop.waiting.Remove(e)
		sess.place.waiting = nil
		pop.origins[guard.Origin(sess.control.Remote.Addr())].waiting--
	}
}

// makeRoom drops a waiting session to make room for a new one, and reports whether it has found one to drop. others
// is the number of waiting sessions from the origin of the new session. Among the maxLookedAt oldest waiting
// sessions, makeRoom drops one from the origin with the most waiting sessions. That origin must have more of them
// than others: at least two more, or one more if the dropped session has already had timeToLogIn.
//
// So a flood from one address displaces only its own sessions and can't keep out other addresses. In a flood
// from many addresses each session gets some time to log in.
func (pop *population) makeRoom(others int) bool {
	if pop.dropped >= maxDropped {
		return false
	}
	var found *session
	most, looked := others, 0
	for e := pop.waiting.Front(); e != nil && looked < maxLookedAt; e = e.Next() {
		looked++
		sess, _ := e.Value.(*session)
		n := pop.origins[guard.Origin(sess.control.Remote.Addr())].waiting
		if n > most && (n > others+1 || time.Since(sess.place.since) >= timeToLogIn) {
			found, most = sess, n
		}
	}
	if found == nil {
		return false
	}
	pop.removeWaiting(found)
	found.place.dropped = true
	pop.dropped++
	found.drop()
	return true
}

// drop ends a session that is not logged in. It gets a 421, but is closed after rejectTime whether the client
// has read that or not.
func (s *session) drop() {
	s.dropped.Store(true)
	s.stop()
	time.AfterFunc(rejectTime, func() { _ = s.raw.Close() })
}

// stopText returns the text of the 421 for a session that was stopped.
func (s *session) stopText() string {
	switch {
	case s.kicked.Load():
		return "The administrator has ended this session. Goodbye."
	case s.dropped.Load():
		return "Another session needs the place: log in sooner. Goodbye."
	}
	return "The server is shutting down."
}

// addLogin counts a login, or returns why the limits do not permit it. most is the account's MaxSessions.
func (s *Server) addLogin(sess *session, user string, most int) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	pop := &s.population
	switch {
	case sess.place.dropped:
		return &refusal{sess.stopText(), "the session was ended to make room for another", ftp.ReasonSessions}
	case most > 0 && pop.users[user] >= most:
		return &refusal{
			fmt.Sprintf("Too many sessions of this user: the limit is %d. Try again later.", most),
			fmt.Sprintf("the user has %d sessions", pop.users[user]), ftp.ReasonSessionsPerUser,
		}
	}
	pop.removeWaiting(sess)
	pop.users[user]++
	sess.place.in, sess.place.user = true, user
	return nil
}

// removeLogin undoes addLogin: the session waits for a login again.
func (s *Server) removeLogin(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.population.dropLogin(sess) {
		return
	}
	if n := s.population.origins[guard.Origin(sess.control.Remote.Addr())]; n != nil {
		s.population.addWaiting(sess, n)
	}
}

// dropLogin undoes the counts of addLogin. It reports whether the session was logged in.
func (pop *population) dropLogin(sess *session) bool {
	p := &sess.place
	if !p.in {
		return false
	}
	if pop.users[p.user]--; pop.users[p.user] <= 0 {
		delete(pop.users, p.user)
	}
	p.in, p.user = false, ""
	return true
}

// removeSession removes an ended session from the population.
func (s *Server) removeSession(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pop := &s.population
	if _, admitted := pop.sessions[sess.control.ID]; !admitted {
		return
	}
	delete(pop.sessions, sess.control.ID)
	pop.dropLogin(sess)
	pop.removeWaiting(sess)
	if sess.place.dropped {
		pop.dropped--
	}
	from := guard.Origin(sess.control.Remote.Addr())
	if n := pop.origins[from]; n.all > 1 {
		n.all--
	} else {
		delete(pop.origins, from)
	}
	s.checkEmpty()
}

// turnAway sends a 421 and closes the connection, without delaying the goroutine that accepts connections. If
// too many such replies are under way, it only closes the connection.
func (s *Server) turnAway(sess *session, no *refusal) {
	sess.emitRefused(no.why, no.reason)
	if sess.implicit { // the client expects TLS and could not read it
		_ = sess.raw.Close()
		return
	}
	if no == noDescriptors {
		_ = sess.raw.SetWriteDeadline(time.Now().Add(rejectTimeShort))
		_, _ = sess.raw.Write(ftp.NewReply(421, no.text).Append(nil))
		_ = sess.raw.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.turnedAway) == cap(s.turnedAway) {
		_ = sess.raw.Close()
		return
	}
	s.turnedAway <- struct{}{} // does not block: there is room, and only this function sends
	s.background.Go(func() {
		defer func() { <-s.turnedAway }()
		sendRejection(s.ctx, sess.raw, ftp.NewReply(421, no.text).Append(nil))
	})
}

// sendRejection writes words and closes the connection. Before it closes, it reads a little of what the peer
// has sent: closing with unread bytes is a reset, which may discard the words before the peer has read them.
func sendRejection(ctx context.Context, conn net.Conn, words []byte) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(rejectTime))
	if _, err := conn.Write(words); err != nil {
		return
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, 4<<10)
	}
}
