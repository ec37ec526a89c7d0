package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// An account that has expired can't be used, with the reply that a wrong password gets. A session that began before ends at its next
// command.
func TestExpires(t *testing.T) {
	var why reasons
	ends := make(chan time.Time, 1)
	s := serve(t, nil, func(o *server.Options) {
		o.Observer = &why
		o.Auth = server.AuthenticatorFunc(func(ctx context.Context, l server.Login) (*server.Account, error) {
			a := &server.Account{FS: fsroot.NewMem(), Perm: server.ReadWrite, Expires: time.Now().Add(-time.Second)}
			switch l.User {
			case "soon":
				a.Expires = time.Now().Add(2 * time.Second) // longer than the server takes from here to its check
				ends <- a.Expires
			case "later":
				a.Expires = time.Now().Add(time.Hour)
			}
			return a, nil
		})
	})
	c := s.connect(t)
	c.cmd("USER late", 331)
	if r := c.cmd("PASS x", 530); r.Text() != "Login incorrect." {
		t.Errorf("the reply is %q", r.Text())
	}
	if all := why.String(); !strings.Contains(all, "expired") {
		t.Errorf("the Observer did not get the reason:\n%s", all)
	}
	c.cmd("USER soon", 331)
	c.cmd("PASS x", 230)
	time.Sleep(time.Until(<-ends))
	c.cmd("NOOP", 421)
	c.closed()
	c = s.connect(t)
	c.cmd("USER later", 331)
	c.cmd("PASS x", 230)
	c.cmd("NOOP", 200)
}
