package server_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// What the Authenticator gets, and what its results lead to. Its errors are logged; the client always gets the
// same reply.
func TestAuthenticator(t *testing.T) {
	var last server.Login
	var why reasons
	s := serve(t, nil, func(o *server.Options) {
		o.Observer = &why
		o.Hosts = []string{"Files.Example", "192.0.2.7"}
		o.Auth = server.AuthenticatorFunc(func(_ context.Context, l server.Login) (*server.Account, error) {
			last = l
			switch l.User {
			case "good":
				return &server.Account{FS: fsroot.NewMem(), Perm: server.ReadWrite}, nil
			case "nil":
				return nil, nil
			case "empty":
				return &server.Account{}, nil
			case "panic":
				panic("no such database: /the/host/path")
			}
			return nil, errors.New("the database at /the/host/path is down")
		})
	})
	for _, user := range []string{"nil", "empty", "broken"} {
		c := s.connect(t)
		c.cmd("USER "+user, 331)
		if r := c.cmd("PASS x", 530); r.Text() != "Login incorrect." {
			t.Errorf("%s: %q", user, r.Text())
		}
	}
	if all := why.String(); !strings.Contains(all, "is down") || !strings.Contains(all, "no files") {
		t.Errorf("the Observer did not get the reason:\n%s", all)
	}
	c := s.connect(t)
	c.cmd("USER panic", 331)
	c.cmd("PASS x", 421)
	c.closed()

	c = s.connect(t)
	c.cmd("HOST other.example", 504)
	c.cmd("HOST FILES.EXAMPLE.", 220)
	c.cmd("USER good", 331)
	c.cmd("PASS  two  blanks ", 230)
	remote := c.LocalAddr().String()
	if last.User != "good" || last.Password != " two  blanks " || last.Host != "files.example" || last.Remote != netip.MustParseAddrPort(remote) {
		t.Errorf("the Authenticator got %+v", last)
	}
	c.cmd("HOST files.example", 503)
	c.cmd("REIN", 220)
	c.cmd("USER good", 331)
	c.cmd("PASS x", 230)
	if last.Host != "" {
		t.Errorf("REIN kept the host %q", last.Host)
	}
}

// An empty password lets nobody in, and an unknown user gets the same reply as one with a wrong password.
func TestStatic(t *testing.T) {
	users := server.Static{
		"alice": {Password: "secret", Account: server.Account{FS: fsroot.NewMem()}}, "empty": {Account: server.Account{FS: fsroot.NewMem()}},
		"anonymous": {Anyone: true, Account: server.Account{FS: fsroot.NewMem(), Home: "/pub"}},
	}
	for _, tt := range []struct {
		user, password string
		ok             bool
	}{
		{"alice", "secret", true},
		{"alice", "Secret", false},
		{"alice", "", false},
		{"Alice", "secret", false},
		{"empty", "", false},
		{"empty", "x", false},
		{"nobody", "", false},
		{"anonymous", "", true},
		{"ftp", "me@", true},
		{"ANONYMOUS", "me@", true},
		{"ftpx", "", false},
		{"", "", false},
	} {
		account, err := users.Authenticate(t.Context(), server.Login{User: tt.user, Password: tt.password})
		if (err == nil) != tt.ok || tt.ok && account == nil || err != nil && !errors.Is(err, server.ErrLogin) {
			t.Errorf("%q, %q: %v, %v", tt.user, tt.password, account, err)
		}
	}
	delete(users, "anonymous")
	if _, err := users.Authenticate(t.Context(), server.Login{User: "ftp"}); err == nil {
		t.Error("ftp may log in although there is no user anonymous")
	}
}
