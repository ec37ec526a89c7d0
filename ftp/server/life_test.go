package server

import (
	"errors"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// The next step of a session for every combination of reasons. Of several reasons the first one in this table
// decides.
func TestNextStep(t *testing.T) {
	srv, err := New(Options{Auth: Static{}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	news := func() *task {
		j := &task{opened: make(chan ftp.Reply, 1), done: make(chan dtp.Result, 1)}
		j.opened <- ftp.NewReply(150, "")
		return j
	}
	quiet := func() *task { return &task{opened: make(chan ftp.Reply, 1), done: make(chan dtp.Result, 1)} }
	held := []ftp.Command{{Verb: "NOOP"}}
	reasons := []struct {
		name string
		set  func(s *session)
		want step
	}{
		{"a connection that broke", func(s *session) { s.dead = errors.New("broken") }, stepEnd},
		{"QUIT", func(s *session) { s.machine.Login = ftp.Closing }, stepEnd},
		{"a task with news", func(s *session) { s.task = news() }, stepNews},
		{"AUTH", func(s *session) { s.tlsNext = tlsBegins }, stepTLS},
		{"CCC", func(s *session) { s.tlsNext = tlsEnds }, stepTLS},
		{"a command that was held", func(s *session) { s.held = held }, stepHeld},
		{"the end of input", func(s *session) { s.inputEnded = true }, stepLast},
		{"nothing", func(*session) {}, stepRead},
	}
	for i, first := range reasons {
		for _, second := range reasons[i:] {
			s := newSession(srv, nowhere{}, false)
			s.machine.Login = ftp.LoggedIn
			second.set(s)
			first.set(s)
			if got := s.nextStep(); got != first.want {
				t.Errorf("%s, and %s: step %d, want %d", first.name, second.name, got, first.want)
			}
		}
	}
	// A held command waits for the task before it, and is not run if the server stops meanwhile.
	for name, set := range map[string]func(s *session){
		"a task": func(s *session) { s.task = quiet() }, "a stop": func(s *session) { s.stopping.Store(true) },
	} {
		s := newSession(srv, nowhere{}, false)
		s.machine.Login, s.held = ftp.LoggedIn, held
		set(s)
		if got := s.nextStep(); got != stepRead {
			t.Errorf("a held command with %s: step %d", name, got)
		}
	}
}
