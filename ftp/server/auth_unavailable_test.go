package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// A login that could not be checked is refused for now: the client gets a 421 without the reason, the Observer gets the
// reason, and however many there are, nobody is banned.
func TestAuthUnavailable(t *testing.T) {
	down := fmt.Errorf("%w: ldap.example.org: connection refused", server.ErrAuthUnavailable)
	var seen []ftp.Reason
	var why reasons
	s := serve(t, nil, func(o *server.Options) {
		o.MaxLoginFailures, o.FailureDelay = 2, server.NoDelay
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			why.Observe(e)
			if r, ok := e.What.(ftp.Refused); ok {
				seen = append(seen, r.Reason) // the sessions of this test run one after the other
			}
		})
		o.Auth = server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) {
			if down != nil {
				return nil, down
			}
			return &server.Account{FS: fsroot.NewMem(), Perm: server.ReadOnly}, nil
		})
	})
	for range 10 {
		c := s.connect(t)
		c.cmd("USER alice", 331)
		if r := c.cmd("PASS x", 421); r.Text() != "Logins can't be checked now. Try again later." {
			t.Errorf("the reply is %q", r.Text())
		}
		c.closed()
	}
	if all := why.String(); !strings.Contains(all, "alice: the login could not be checked: ldap.example.org: connection refused") {
		t.Errorf("the Observer did not get the reason:\n%s", all)
	}
	for _, r := range seen {
		if r != ftp.ReasonLoginUnchecked {
			t.Errorf("the reason is %v", r)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d refusals", len(seen))
	}
	down = nil
	c := s.connect(t)
	c.cmd("USER alice", 331)
	c.cmd("PASS x", 230)
}

// A LoginQueue passes its slots on, and ends the wait with the context.
func TestLoginQueue(t *testing.T) {
	q := server.NewLoginQueue(1)
	if err := q.Acquire(t.Context(), server.Login{User: "a"}); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := q.Acquire(ctx, server.Login{User: "b"}); !errors.Is(err, gone) {
		t.Errorf("Acquire returned %v", err)
	}
	got := make(chan error)
	go func() { got <- q.Acquire(t.Context(), server.Login{User: "c"}) }()
	q.Release()
	if err := <-got; err != nil {
		t.Error(err)
	}
	q.Release()
}
