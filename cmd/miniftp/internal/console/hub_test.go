package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp"
)

// TestThroughput: what is counted is what was moved, also by sessions that end between two samples.
func TestThroughput(t *testing.T) {
	s := setUp(t, "")
	w, stop := s.list.Watch(100)
	defer stop()
	s.emit(1, ftp.ControlOpened{}, ftp.TransferDone{Verb: "RETR", Bytes: 1 << 40}) // before anybody looked
	for range 2 {
		<-w.C
	}
	h := s.newHub()
	check := func(what string, sent, received int64) {
		t.Helper()
		for len(w.C) > 0 {
			h.pass(<-w.C)
		}
		h.sample(h.last.Add(2 * time.Second))
		if got := h.now.sample; got.Sent != sent || got.Received != received {
			t.Errorf("%s: %d sent, %d received, want %d, %d", what, got.Sent, got.Received, sent, received)
		}
	}
	check("nothing", 0, 0)
	s.emit(1, ftp.DataOffered{}, given("RETR /a"), reply("RETR", 150, "go"))
	s.moved.Store(600)
	check("a transfer begins", 300, 0)
	s.moved.Store(400) // it has ended, and its bytes are not in the sum yet
	check("less is known", 0, 0)
	s.emit(1, ftp.TransferDone{Verb: "RETR", Bytes: 1000})
	check("it has ended", 200, 0)
	s.emit(2, ftp.ControlOpened{}, ftp.TransferDone{Verb: "STOR", Direction: ftp.Store, Bytes: 3000}, ftp.ControlClosed{})
	s.emit(1, ftp.TransferDone{Verb: "RETR", Bytes: 5000}, ftp.ControlClosed{})
	check("both sessions have ended", 2500, 1500)
	check("nothing again", 0, 0)
	if len(h.counted) != 0 {
		t.Errorf("%d sessions are remembered", len(h.counted))
	}
}

// TestCrowd: with a thousand busy sessions a viewer is sent some of them, and finds the others with the filter.
func TestCrowd(t *testing.T) {
	s := setUp(t, "")
	for id := uint64(1); id <= 1000; id++ {
		s.emit(id, ftp.ControlOpened{}, ftp.LoggedInAs{User: fmt.Sprintf("user%d", id)}, ftp.DataOffered{Mode: ftp.Passive}, given("RETR /"+strings.Repeat("x", 5000)), reply("RETR", 150, "go"))
	}
	l := s.listen("")
	for range 3 {
		s.moved.Add(1)
		var st state
		size := l.next("state", &st)
		if st.Sessions != 1000 || st.Moving != 1000 || len(st.Rows) > mostRows+mostMoving || size > 150_000 {
			t.Errorf("%d sessions, %d rows, %d bytes", st.Sessions, len(st.Rows), size)
		}
	}
	var st state
	s.listen("?filter=USER123").next("state", &st)
	if st.Matched != 1 || len(st.Rows) != 1 || st.Rows[0].User != "user123" {
		t.Errorf("the filter: %d of %d", st.Matched, st.Sessions)
	}
	for _, query := range []string{"?session=x", "?session=-1", "?filter=" + strings.Repeat("x", maxFilter+1)} {
		if got, _, _ := s.do("GET", "/console/stream"+query, ""); got != 400 {
			t.Errorf("%.30s: %d", query, got)
		}
	}
}

// TestViewers: there are so many viewers at most, and nothing runs when all have left.
func TestViewers(t *testing.T) {
	s := setUp(t, "")
	all := make([]*listener, maxViewers)
	for i := range all {
		all[i] = s.listen("")
		all[i].next("state", new(state))
	}
	var full struct{ Most int }
	s.listen("").next("full", &full)
	if full.Most != maxViewers {
		t.Errorf("%d", full.Most)
	}
	_ = all[0].body.Close()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if h, v, _, _ := s.join(0); v != nil {
			h.leave(v)
			break
		}
		if time.Now().After(end) {
			t.Fatal("the place of a viewer who left stays taken")
		}
	}
	for _, l := range all {
		_ = l.body.Close()
	}
	h := s.hub
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		h.mu.Lock()
		n := len(h.viewers)
		h.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d viewers are left", n)
		}
	}
	if h.idle(time.Now()) || !h.idle(time.Now().Add(lingerTime+time.Second)) || s.hub != nil {
		t.Error("the hub does not end some time after the last viewer")
	}
}

// TestSlowViewer: a viewer that does not keep up loses steps, and is told how many.
func TestSlowViewer(t *testing.T) {
	s := setUp(t, "")
	s.emit(1, ftp.ControlOpened{})
	h, v, _, _ := s.join(1)
	defer h.leave(v)
	for range viewerQueue + 50 {
		h.pass(sessions.Event{Kind: sessions.Commanded, Session: 1, Verb: "NOOP"})
		h.pass(sessions.Event{Kind: sessions.Commanded, Session: 2, Verb: "NOOP"})
	}
	if got := h.steps(&ladder{}, v, <-v.steps); got.Lost != 50 || len(got.Steps) != mostSteps {
		t.Errorf("%d lost, %d steps", got.Lost, len(got.Steps))
	}
	for range 2 * keptEvents {
		h.pass(sessions.Event{Kind: sessions.LoggedIn, Session: 3, User: "x"})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) > keptEvents || len(h.notable) > keptNotable {
		t.Errorf("%d events and %d lines are kept", len(h.events), len(h.notable))
	}
}
