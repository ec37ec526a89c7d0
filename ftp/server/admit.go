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

// Bounds on those who are not let in.
const (
	maxLookedAt = 64 // sessions that are looked at for one to drop
	maxDropped  = 64 // sessions that are on their way out because others need the place
	maxTurned   = 64 // callers who are told 421 at once; more are hung up on
	shutOutText = "Too many failed logins from your address. Try again later."
)

// population counts the current sessions, in total, by address and by user. It is guarded by Server.mu.
type population struct {
	sessions map[*session]struct{}
	origins  map[netip.Addr]*counts
	users    map[string]int // logged in, by Account.Name
	waiting  *list.List     // of sessions that are not logged in, the oldest first
	dropped  int            // sessions that make place for others, and are still here
}

// counts are the sessions from one origin.
type counts struct{ all, waiting int }

// place is what the population knows of one session. It is guarded by Server.mu.
type place struct {
	waiting *list.Element // nil: logged in, or dropped
	since   time.Time
	user    string
	in      bool
	dropped bool
}

func newPopulation() population {
	return population{sessions: map[*session]struct{}{}, origins: map[netip.Addr]*counts{}, users: map[string]int{}, waiting: list.New()}
}

// refusal is why somebody is not let in: the words for him and those for the log,
// and the rule.
type refusal struct {
	text, why string
	reason    ftp.Reason
}

// noDescriptors is a refusal that may not wait until the words are read: sessions need the
// descriptor.
var noDescriptors = &refusal{"Too many sessions. Try again in a moment.", "the process has few descriptors left: raise its limit on open files", ftp.ReasonSessions}

// admit counts the session in, or says why not.
func (s *Server) admit(sess *session) *refusal {
	ip := sess.control.Remote.Addr()
	from := guard.Origin(ip)
	set := sess.set
	switch {
	case in(set.Deny, ip):
		return &refusal{notAllowed, "the address is in a network that is denied", ftp.ReasonDenied}
	case !within(set.Allow, ip):
		return &refusal{notAllowed, "the address is in no network that is allowed", ftp.ReasonNotAllowed}
	case s.guard.ShutOut(from):
		return &refusal{shutOutText, "the address is shut out after too many failed logins", ftp.ReasonBanned}
	}
	scarce := descriptorsScarce(sess.raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.population
	n := c.origins[from]
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
	case set.MaxSessions > 0 && len(c.sessions)-c.dropped >= set.MaxSessions && !c.makePlace(n.waiting):
		return &refusal{
			fmt.Sprintf("Too many sessions: the limit is %d. Try again later.", set.MaxSessions),
			fmt.Sprintf("there are %d sessions", len(c.sessions)), ftp.ReasonSessions,
		}
	case c.waiting.Len() >= set.MaxWaiting && !c.makePlace(n.waiting):
		return &refusal{
			"Too many sessions wait to log in. Try again in a moment.",
			fmt.Sprintf("%d sessions are not logged in", c.waiting.Len()), ftp.ReasonWaiting,
		}
	}
	if scarce {
		c.makePlace(n.waiting) // for the next one: this descriptor belongs to the sessions
		return noDescriptors
	}
	c.origins[from] = n
	c.sessions[sess] = struct{}{}
	n.all++
	c.wait(sess, n)
	return nil
}

const notAllowed = "You may not use this server from your address."

// wait counts a session among those that are not logged in.
func (c *population) wait(sess *session, n *counts) {
	sess.place.waiting = c.waiting.PushBack(sess)
	sess.place.since = time.Now()
	n.waiting++
}

func (c *population) unwait(sess *session) {
	if e := sess.place.waiting; e != nil {
		c.waiting.Remove(e)
		sess.place.waiting = nil
		c.origins[guard.Origin(sess.control.Remote.Addr())].waiting--
	}
}

// makePlace drops a session that is not logged in for one that comes from where
// others such there are: of the oldest ones that from the busiest origin. So a
// flood from one address displaces itself and lets those from elsewhere in; a flood
// from many finds that each has its while to log in.
func (c *population) makePlace(others int) bool {
	if c.dropped >= maxDropped {
		return false
	}
	var found *session
	most, looked := others, 0
	for e := c.waiting.Front(); e != nil && looked < maxLookedAt; e = e.Next() {
		looked++
		sess, _ := e.Value.(*session)
		n := c.origins[guard.Origin(sess.control.Remote.Addr())].waiting
		if n > most && (n > others+1 || time.Since(sess.place.since) >= timeToLogIn) {
			found, most = sess, n
		}
	}
	if found == nil {
		return false
	}
	c.unwait(found)
	found.place.dropped = true
	c.dropped++
	found.drop()
	return true
}

// drop ends a session that is not logged in: politely, but without waiting for its client.
func (s *session) drop() {
	s.dropped.Store(true)
	s.stop()
	time.AfterFunc(wordsTime, func() { _ = s.raw.Close() })
}

// stopText is why a session that was stopped ends.
func (s *session) stopText() string {
	if s.dropped.Load() {
		return "Others need the place: log in sooner, please. Goodbye."
	}
	return "The server is shutting down."
}

// goIn counts a login, or says why it can't be.
func (s *Server) goIn(sess *session, user string, most int) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.population
	switch {
	case sess.place.dropped:
		return &refusal{sess.stopText(), "the session made place for another", ftp.ReasonSessions}
	case most > 0 && c.users[user] >= most:
		return &refusal{
			fmt.Sprintf("Too many sessions of this user: the limit is %d. Try again later.", most),
			fmt.Sprintf("the user has %d sessions", c.users[user]), ftp.ReasonSessionsPerUser,
		}
	}
	c.unwait(sess)
	c.users[user]++
	sess.place.in, sess.place.user = true, user
	return nil
}

// goOut takes goIn back: the session waits for a login again.
func (s *Server) goOut(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.population.unlog(sess) {
		return
	}
	if n := s.population.origins[guard.Origin(sess.control.Remote.Addr())]; n != nil {
		s.population.wait(sess, n)
	}
}

func (c *population) unlog(sess *session) bool {
	p := &sess.place
	if !p.in {
		return false
	}
	if c.users[p.user]--; c.users[p.user] <= 0 {
		delete(c.users, p.user)
	}
	p.in, p.user = false, ""
	return true
}

// leave counts the session out.
func (s *Server) leave(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.population
	if _, admitted := c.sessions[sess]; !admitted {
		return
	}
	delete(c.sessions, sess)
	c.unlog(sess)
	c.unwait(sess)
	if sess.place.dropped {
		c.dropped--
	}
	from := guard.Origin(sess.control.Remote.Addr())
	if n := c.origins[from]; n.all > 1 {
		n.all--
	} else {
		delete(c.origins, from)
	}
	s.checkEmpty()
}

// turnAway says 421 and hangs up, without keeping whoever accepts: when many are
// being told already, the next are only hung up on.
func (s *Server) turnAway(sess *session, no *refusal) {
	sess.refused(no.why, no.reason)
	if sess.implicit { // words in the clear would be noise to TLS
		_ = sess.raw.Close()
		return
	}
	if no == noDescriptors {
		_ = sess.raw.SetWriteDeadline(time.Now().Add(wordsTimeLeast))
		_, _ = sess.raw.Write(ftp.NewReply(421, no.text).Append(nil))
		_ = sess.raw.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.turned) == cap(s.turned) {
		_ = sess.raw.Close()
		return
	}
	s.turned <- struct{}{} // nobody else fills it: the lock is held
	s.turning.Go(func() {
		defer func() { <-s.turned }()
		sayNo(s.ctx, sess.raw, ftp.NewReply(421, no.text).Append(nil))
	})
}

// sayNo reads a little of what the peer sends: a close that leaves bytes unread is
// a reset, which may take the words away before they are read.
func sayNo(ctx context.Context, conn net.Conn, words []byte) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(wordsTime))
	if _, err := conn.Write(words); err != nil {
		return
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, 4<<10)
	}
}
