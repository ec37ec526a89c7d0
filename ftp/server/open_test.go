package server_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

type closer func() error

func (c closer) Close() error { return c() }

// reasons is an Observer that records why things were refused.
type reasons struct{ lines }

func (r *reasons) Observe(e ftp.Event) {
	if h, ok := e.What.(ftp.Refused); ok {
		_, _ = r.Write([]byte(h.Why + "\n"))
	}
}

// The files of an account are opened at each login, and closed when the session no longer uses them, however
// that happens. A login whose files can't be opened is refused, but does not count as a failed login.
func TestAccountOpen(t *testing.T) {
	events := make(chan string, 100)
	fails := false
	n := 0
	open := func(context.Context) (afero.Fs, io.Closer, error) {
		if fails {
			return nil, nil, errors.New("/the/host/path is gone")
		}
		fsys := fsroot.NewMem()
		n++
		write(t, fsys, "/generation", strings.Repeat("x", n))
		events <- "open"
		return fsys, closer(func() error { events <- "close"; return nil }), nil
	}
	want := func(events chan string, all ...string) {
		t.Helper()
		for _, e := range all {
			select {
			case got := <-events:
				if got != e {
					t.Fatalf("%s, want %s", got, e)
				}
			case <-time.After(patience):
				t.Fatalf("nothing happened, want %s", e)
			}
		}
	}
	var why reasons
	s := serve(t, nil, func(o *server.Options) {
		o.MaxLoginFailures, o.Observer = 1, &why
		o.Auth = server.Static{
			"u":    {Password: "u", Account: server.Account{Open: open, Perm: server.ReadWrite}},
			"one":  {Password: "one", Account: server.Account{Open: open, MaxSessions: 1}},
			"home": {Password: "home", Account: server.Account{Open: open, Home: "/gone", Perm: server.ReadWrite}},
		}
	})
	a, b := s.login(t, "u"), s.login(t, "u")
	want(events, "open", "open")
	if x, y := a.cmd("SIZE generation", 213).Text(), b.cmd("SIZE generation", 213).Text(); x != "1" || y != "2" {
		t.Errorf("the sessions see %s and %s", x, y)
	}
	a.cmd("USER u", 331) // logs out the user before
	want(events, "close")
	a.cmd("PASS u", 230)
	want(events, "open")
	a.cmd("REIN", 220)
	want(events, "close")
	b.cmd("QUIT", 221)
	want(events, "close")
	b = s.login(t, "u")
	want(events, "open")
	_ = b.Close() // without QUIT
	want(events, "close")

	// A login that is refused after the password was checked closes the files again.
	one := s.login(t, "one")
	c := s.connect(t)
	c.cmd("USER one", 331)
	c.cmd("PASS one", 421)
	want(events, "open", "open", "close")
	one.cmd("QUIT", 221)
	want(events, "close")

	// A missing home does not prevent the login.
	h := s.login(t, "home")
	want(events, "open")
	if r := h.cmd("PWD", 257); !strings.HasPrefix(r.Text(), `"/"`) {
		t.Errorf("unexpected reply text %q", r.Text())
	}
	h.cmd("QUIT", 221)
	want(events, "close")

	fails = true
	for range 5 { // more than the permitted failures
		c := s.connect(t)
		c.cmd("USER u", 331)
		if r := c.cmd("PASS u", 530); strings.Contains(r.Text(), "host") || strings.Contains(r.Text(), "incorrect") {
			t.Errorf("unexpected reply text %q", r.Text())
		}
		c.cmd("QUIT", 221)
	}
	if all := why.String(); !strings.Contains(all, "/the/host/path is gone") || !strings.Contains(all, "home /gone is missing") {
		t.Errorf("the Observer did not get the reason:\n%s", all)
	}
	if log := s.log.String(); log != "" { // the log is unbounded, and anyone may log in as an anonymous user
		t.Errorf("a client can fill the log:\n%s", log)
	}
}
