package server

import (
	"testing"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// A transfer is limited by the server's rate and by the account's rate in its direction.
func TestRatesByDirection(t *testing.T) {
	all, down, up := dtp.NewRate(3<<20), dtp.NewRate(1<<20), dtp.NewRate(2<<20)
	s := &session{set: &settings{rate: all}, down: down, up: up}
	for dir, want := range map[ftp.Direction]*rate.Limiter{ftp.Retrieve: down, ftp.Store: up} {
		if got := s.rates(dir); len(got) != 2 || got[0] != all || got[1] != want {
			t.Errorf("%v: %v", dir, got)
		}
	}
}

// A login sets the rates, and its end removes them.
func TestRatesOfALogin(t *testing.T) {
	srv, err := New(Options{Auth: Static{}})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{srv: srv, set: srv.set.Load()}
	s.finishLogin(&Account{RateDown: 1 << 20, RateUp: 2 << 20}, "u", nil)
	if s.down.Limit() != 1<<20 || s.up.Limit() != 2<<20 {
		t.Errorf("down %v, up %v", s.down.Limit(), s.up.Limit())
	}
	s.logOut()
	if s.down != nil || s.up != nil || s.account != nil || len(srv.population.users) != 0 {
		t.Errorf("still set: %+v", s)
	}
}

// There is one limit for all sessions, even after a reload with the same or another rate: running and new
// sessions share it.
func TestReloadKeepsTheRate(t *testing.T) {
	opts := Options{Auth: Static{}, Rate: 1 << 20}
	srv, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	before := srv.set.Load().rate
	for _, n := range []int64{1 << 20, 2 << 20, 1 << 19} {
		opts.Rate = n
		if err := srv.Reload(opts); err != nil {
			t.Fatal(err)
		}
		if now := srv.set.Load().rate; now != before || now.Limit() != rate.Limit(n) || now.Burst() < int(n/8) {
			t.Errorf("%d: another limiter %v, %v and %d", n, now != before, now.Limit(), now.Burst())
		}
	}
}
