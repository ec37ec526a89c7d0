package server_test

import (
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// Concurrent changes of one value are all made.
func TestUpdateState(t *testing.T) {
	state := server.NewMemState()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				_, err := server.UpdateState(t.Context(), state, "n", func(n *int) error { *n++; return nil })
				check(t, err)
			}
		})
	}
	wg.Wait()
	n, err := server.UpdateState(t.Context(), state, "n", func(*int) error { return nil })
	check(t, err)
	if n != 200 {
		t.Errorf("200 changes made it %d", n)
	}
}

// nodes starts servers that share a state.
func nodes(t *testing.T, n int, change func(*server.Options)) []*site {
	t.Helper()
	files, state := fsroot.NewMem(), server.NewMemState()
	var all []*site
	for range n {
		all = append(all, serve(t, files, func(o *server.Options) {
			o.State = state
			change(o)
		}))
		all[len(all)-1].connect(t).cmd("QUIT", 221) // its goroutines run before noLeaks looks at those of the next
	}
	return all
}

// The sessions of a user count at all servers that share a state. Those of a dead server are forgotten.
func TestLeases(t *testing.T) {
	t.Cleanup(server.SetSharing(300*time.Millisecond, 20*time.Millisecond))
	all := nodes(t, 2, func(o *server.Options) {
		users := server.Static{}
		for name, u := range o.Auth.(server.Static) {
			u.Account.MaxSessions = 3
			users[name] = u
		}
		o.Auth = users
	})
	a, b := all[0].login(t, "rw"), all[0].login(t, "rw")
	c := all[1].login(t, "rw")
	for _, s := range all {
		d := s.connect(t)
		d.cmd("USER rw", 331)
		d.cmd("PASS rw", 421)
		s.login(t, "ro").cmd("QUIT", 221) // another user
	}
	time.Sleep(500 * time.Millisecond) // the leases are renewed
	d := all[1].connect(t)
	d.cmd("USER rw", 331)
	d.cmd("PASS rw", 421)
	check(t, a.Close())
	awaitTrue(t, "the place of an ended session", func() bool {
		d := all[1].connect(t)
		d.cmd("USER rw", 331)
		return d.cmd("PASS rw").Code == 230
	})
	c.cmd("NOOP", 200)
	b.cmd("REIN", 220) // gives up its place
	awaitTrue(t, "the place of a session without a login", func() bool {
		d := all[1].connect(t)
		d.cmd("USER rw", 331)
		return d.cmd("PASS rw").Code == 230
	})
}

// An address and a name that one server has banned are banned at the others.
func TestSharedBans(t *testing.T) {
	t.Cleanup(server.SetSharing(time.Minute, 20*time.Millisecond))
	all := nodes(t, 2, func(o *server.Options) { o.MaxLoginFailures, o.BanTime = 2, 700*time.Millisecond })
	c := all[0].connect(t)
	for _, code := range []int{530, 421} {
		c.cmd("USER rw", 331)
		if got := c.cmd("PASS wrong").Code; int(got) != code {
			t.Fatalf("a wrong password: %d, want %d", got, code)
		}
	}
	awaitTrue(t, "the ban at the other server", func() bool {
		d := all[1].connect(t)
		d.cmd("USER rw", 331)
		return d.cmd("PASS rw").Code == 421
	})
	all[1].login(t, "ro") // only the name is banned
	awaitTrue(t, "the end of the ban", func() bool {
		d := all[1].connect(t)
		d.cmd("USER rw", 331)
		return d.cmd("PASS rw").Code == 230
	})
}
