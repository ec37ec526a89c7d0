package server

import (
	"strings"
	"testing"

	"miniftp/ftp"
)

// holdAll lets a session hold lines of that length until the bound is reached.
func (s *session) holdAll(length int) (bytes int) {
	for !s.heldFull() {
		s.hold(ftp.Command{Verb: "NOOP", Arg: strings.Repeat("x", length)})
	}
	for _, c := range s.held {
		bytes += len(c.Arg)
	}
	return bytes
}

// What one session can make the server hold is bounded, much lower before the login, and so is the sum over all
// sessions whose login is being judged.
func TestHeldCommandsAreBounded(t *testing.T) {
	srv, err := New(Options{Auth: Static{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{0, 10, 1000, maxLine} {
		if n := (&session{srv: srv}).holdAll(length); n > maxAhead+maxLine {
			t.Errorf("lines of length %d: %d bytes are held during a transfer", length, n)
		}
	}
	var all []*session
	sum := 0
	for range 3000 {
		s := &session{srv: srv}
		s.setLogin(&task{login: true})
		n := s.holdAll(maxLine / 4)
		if n > maxAheadLogin+maxLine {
			t.Fatalf("%d bytes are held while a login is being judged", n)
		}
		all, sum = append(all, s), sum+n
	}
	if most := maxAheadAll + 3000*maxLine/4; sum > most {
		t.Errorf("%d bytes are held in all, want %d at most", sum, most)
	}
	for _, s := range all {
		s.setLogin(nil)
		for len(s.held) > 0 {
			s.nextHeld()
		}
		if s.ahead != 0 {
			t.Fatalf("%d bytes are counted although no command is held", s.ahead)
		}
	}
	if n := srv.ahead.Load(); n != 0 {
		t.Errorf("%d bytes are still counted for all sessions", n)
	}
}
