package server_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// idOf returns the ID of the session that a server has begun last.
func idOf(events *controls) uint64 {
	events.mu.Lock()
	defer events.mu.Unlock()
	return events.last
}

type controls struct {
	story
	last uint64
}

func (c *controls) Observe(e ftp.Event) {
	c.story.Observe(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = e.Control.ID
}

// Kick ends a session, whatever it does, and no other.
func TestKick(t *testing.T) {
	events := &controls{}
	s := serve(t, newBucket(), func(o *server.Options) { o.Observer = events })
	other := s.login(t, "rw")
	c := s.login(t, "rw")
	id := idOf(events)
	if s.Kick(id + 100) {
		t.Error("a session that does not exist was ended")
	}
	if !s.Kick(id) {
		t.Error("the session was not found")
	}
	if r := c.want(421); r.Text() != "The administrator has ended this session. Goodbye." {
		t.Errorf("the reply is %v", r)
	}
	c.closed()

	c = s.login(t, "rw")
	c.cmd("TYPE I", 200)
	id = idOf(events)
	if _, _, ok := s.Progress(id); ok {
		t.Error("an idle session has progress")
	}
	d := c.starts("STOR f")
	_, err := d.Write(make([]byte, 300_000))
	check(t, err)
	awaitTrue(t, "progress", func() bool { moved, total, ok := s.Progress(id); return ok && moved > 200_000 && total == 0 })
	s.Kick(id)
	c.want(426)
	c.want(421)
	check(t, d.Close())
	other.cmd("NOOP", 200)
	awaitTrue(t, "the end of the session", func() bool { return !s.Kick(id) })
}

// Drain admits nobody, and waits for the sessions that are there.
func TestDrain(t *testing.T) {
	s := serve(t, newBucket())
	c := s.login(t, "rw")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while a session is there: %v", err)
	}
	ended := make(chan error)
	go func() { ended <- s.Drain(t.Context()) }()
	c.cmd("TYPE I", 200)
	c.put("STOR f", []byte("content"))
	c.cmd("QUIT", 221)
	check(t, <-ended)
}

// An administrator can ban and lift bans, at all servers that share a state.
func TestBans(t *testing.T) {
	t.Cleanup(server.SetSharing(time.Minute, 20*time.Millisecond))
	all := nodes(t, 2, func(o *server.Options) { o.MaxLoginFailures = 5 })
	login := func(s *site, user string) ftp.Code {
		c := s.connect(t)
		c.cmd("USER "+user, 331)
		return c.cmd("PASS " + user).Code
	}
	for _, bad := range []string{"", "host", "127.0.0.1:21"} {
		if err := all[0].Ban(bad, time.Minute); err == nil {
			t.Errorf("%q was banned", bad)
		}
	}
	login(all[0], "rw") // one who has logged in there is banned, too
	check(t, all[0].Ban("127.0.0.1 rw", time.Minute))
	if bans := all[0].Bans(); len(bans) != 1 || bans[0].Name != "127.0.0.1 rw" || time.Until(bans[0].Until) < 50*time.Second {
		t.Errorf("bans: %v", bans)
	}
	for i, s := range all {
		awaitTrue(t, "the ban", func() bool { return login(s, "rw") == 421 })
		if code := login(s, "ro"); code != 230 {
			t.Errorf("server %d: another user: %d", i, code)
		}
	}
	if all[1].Unban("127.0.0.1") || !all[1].Unban("127.0.0.1 rw") {
		t.Error("the wrong ban was lifted")
	}
	for _, s := range all {
		awaitTrue(t, "the end of the ban", func() bool { return login(s, "rw") == 230 })
	}
	check(t, all[0].Ban("127.0.0.1", time.Minute))
	for _, s := range all {
		awaitTrue(t, "the ban of the address", func() bool { return s.connect421(t) })
	}
	if !all[0].Unban("127.0.0.1") {
		t.Error("the ban of the address was not lifted")
	}
	for _, s := range all {
		awaitTrue(t, "the end of the ban of the address", func() bool { return !s.connect421(t) })
	}
	check(t, server.ShareBan(t.Context(), all[0].State(), "127.0.0.1 rw", time.Minute))
	awaitTrue(t, "a ban that no server has made", func() bool { return login(all[1], "rw") == 421 })
	check(t, server.LiftSharedBan(t.Context(), all[0].State(), "127.0.0.1 rw"))
	awaitTrue(t, "its end", func() bool { return login(all[1], "rw") == 230 })
}

// connect421 reports whether a connection is refused.
func (s *site) connect421(t *testing.T) bool {
	conn, err := net.Dial("tcp", s.addr)
	check(t, err)
	c := newCtl(t, conn)
	defer c.Close()
	return c.reply().Code == 421
}
