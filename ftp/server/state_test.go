package server_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
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

// The sessions of one server change a value in turn, and who does not want to wait any more does not hold up others.
func TestTurns(t *testing.T) {
	state := server.NewTurns(server.NewMemState())
	inside := make(chan struct{})
	leave := make(chan struct{})
	go func() {
		_, _ = server.UpdateState(context.Background(), state, "n", func(n *int) error {
			close(inside)
			<-leave
			*n++
			return nil
		})
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := server.UpdateState(ctx, state, "n", func(n *int) error { *n++; return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a turn that does not come: %v", err)
	}
	_, err := server.UpdateState(t.Context(), state, "m", func(n *int) error { *n++; return nil })
	check(t, err)
	close(leave)
	n, err := server.UpdateState(t.Context(), state, "n", func(n *int) error { *n++; return nil })
	check(t, err)
	if n != 2 {
		t.Errorf("the value is %d", n)
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

// slowState is a State that takes its time.
type slowState struct{ server.State }

func (s slowState) Put(ctx context.Context, key string, value []byte, version string) (string, error) {
	time.Sleep(20 * time.Millisecond)
	return s.State.Put(ctx, key, value, version)
}

// A client whose session has just ended can log in again, although that takes the servers a moment to count.
func TestLeaseOfNextSession(t *testing.T) {
	s := serve(t, fsroot.NewMem(), func(o *server.Options) {
		o.State = slowState{server.NewMemState()}
		users := server.Static{}
		for name, u := range o.Auth.(server.Static) {
			u.Account.MaxSessions = 1
			users[name] = u
		}
		o.Auth = users
	})
	for range 3 {
		c := s.login(t, "rw")
		c.cmd("REIN", 220)
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		c.cmd("QUIT", 221)
		_, err := c.Read(make([]byte, 1))
		if err == nil {
			t.Fatal("the session has not ended")
		}
	}
}

// heldState is a State in which the next read of a lease can be made to wait.
type heldState struct {
	server.State
	hold    atomic.Bool
	held    chan struct{}
	release chan struct{}
}

func (s *heldState) Get(ctx context.Context, key string) ([]byte, string, error) {
	if strings.HasPrefix(key, "sessions/") && s.hold.CompareAndSwap(true, false) {
		close(s.held)
		<-s.release
	}
	return s.State.Get(ctx, key)
}

// A lease that is renewed while a session ends loses one session, not two.
func TestLeaseRenewedMeanwhile(t *testing.T) {
	t.Cleanup(server.SetSharing(300*time.Millisecond, 20*time.Millisecond))
	state := &heldState{State: server.NewMemState(), held: make(chan struct{}), release: make(chan struct{})}
	files := fsroot.NewMem()
	var all []*site
	for range 2 {
		all = append(all, serve(t, files, func(o *server.Options) {
			o.State = state
			users := server.Static{}
			for name, u := range o.Auth.(server.Static) {
				u.Account.MaxSessions = 2
				users[name] = u
			}
			o.Auth = users
		}))
		all[len(all)-1].connect(t).cmd("QUIT", 221)
	}
	all[0].login(t, "rw")
	a := all[0].login(t, "rw")
	state.hold.Store(true)
	check(t, a.Close())
	<-state.held
	time.Sleep(150 * time.Millisecond) // the lease is renewed
	close(state.release)
	awaitTrue(t, "the place of the ended session", func() bool {
		d := all[1].connect(t)
		d.cmd("USER rw", 331)
		return d.cmd("PASS rw").Code == 230
	})
	d := all[1].connect(t)
	d.cmd("USER rw", 331)
	d.cmd("PASS rw", 421)
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
