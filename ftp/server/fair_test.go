package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Callers with a key that had many slots lately come behind those whose keys had few. The
// cost is counted in slots, so that no clock is needed.
func TestFairQueue(t *testing.T) {
	type name string
	synctest.Test(t, func(t *testing.T) {
		q := newFairQueue(1)
		var order []string
		ask := func(who string, first bool, keys ...any) {
			go func() {
				if q.acquire(t.Context(), first, keys...) == nil {
					order = append(order, who)
					time.Sleep(time.Second)
					q.release()
				}
			}()
			synctest.Wait() // they wait in this order
		}
		from := func(i int) (netip.Addr, netip.Prefix) {
			ip := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
			return ip, site(ip)
		}
		for i := range 50 { // one name from many networks
			ip, net := from(i)
			ask("guess", false, name("alice"), ip, net)
		}
		ip, net := from(1000)
		ask("bob", false, name("bob"), ip, net)
		for i := range 50 { // many names from one network
			ask("guess", false, name(fmt.Sprint(i)), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), netip.MustParsePrefix("192.0.2.0/24"))
		}
		ip, net = from(1001)
		ask("regular", true, name("alice"), ip, net)
		ip, net = from(1002)
		ask("carol", false, name("carol"), ip, net)
		time.Sleep(time.Minute * 3)
		synctest.Wait()
		for who, most := range map[string]int{"regular": 1, "bob": 2, "carol": 4} {
			if at := slices.Index(order, who); at < 0 || at > most {
				t.Errorf("%s came after %d others", who, at)
			}
		}
		if len(order) != 103 || q.free != 1 || len(q.waiting) != 0 {
			t.Errorf("%d had a turn; %d free, %d wait", len(order), q.free, len(q.waiting))
		}
		time.Sleep(100 * tallyDecay)
		ask("last", false, name("x"))
		time.Sleep(100 * tallyDecay)
		ask("", false)
		if len(q.tallies) != 0 {
			t.Errorf("%d counts are remembered", len(q.tallies))
		}
		time.Sleep(time.Second)
	})
}

// A wait ends with its context, and leaves nothing behind.
func TestFairQueueGivesUp(t *testing.T) {
	q := newFairQueue(1)
	if err := q.acquire(t.Context(), false, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 10)
	for range 10 {
		go func() { done <- q.acquire(ctx, false, 2) }()
	}
	cancel(errHungUp)
	for range 10 {
		if err := <-done; !errors.Is(err, errHungUp) {
			t.Error(err)
		}
	}
	q.release()
	if q.free != 1 || q.contended() || len(q.tallies) != 1 {
		t.Errorf("%d free, %d counts", q.free, len(q.tallies))
	}
	if err := q.acquire(ctx, false, 2); !errors.Is(err, errHungUp) || q.free != 1 {
		t.Errorf("%v; %d free", err, q.free)
	}
}

// However a user is refused, it costs one turn in the queue.
func TestRefusalsTakeOneTurn(t *testing.T) {
	users := Static{"dear": {Password: cheap(t, "good", 6)}, "cheap": {Password: cheap(t, "good", 4)}, "clear": {Password: "good"}}
	for _, user := range []string{"dear", "cheap", "clear", "nobody"} {
		v := newVerifier()
		login := Login{User: user, Password: "bad", verifier: v, Remote: netip.MustParseAddrPort("192.0.2.1:5000")}
		if _, err := users.Authenticate(t.Context(), login); !errors.Is(err, ErrLogin) {
			t.Error(err)
		}
		for key, tally := range v.slots.tallies {
			if tally.count != 1 {
				t.Errorf("%s: %d turns for %v", user, tally.count, key)
			}
		}
	}
}

// Whether a name exists must not decide about its place in the queue: the keys of a login
// are what the client said and where it is.
func TestSlotsDoNotTellWhoExists(t *testing.T) {
	login := Login{User: "u", Password: "p", Remote: netip.MustParseAddrPort("192.0.2.1:5000")}
	keys := func(stored string) string {
		v := newVerifier()
		v.compare = func(_, _ []byte) error { return errPassword }
		login.verifier = v
		_ = login.Verify(t.Context(), stored)
		var all []string
		for key, tally := range v.slots.tallies {
			all = append(all, fmt.Sprint(key, tally.count))
		}
		slices.Sort(all)
		return fmt.Sprint(all)
	}
	hash, err := HashPassword("other")
	if err != nil {
		t.Fatal(err)
	}
	if there, not := keys(hash), keys(""); there != not {
		t.Errorf("%s for a user who exists, %s for others", there, not)
	}
}

func TestSite(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.66": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "fe80::1%lo": "invalid Prefix",
	} {
		if got := site(netip.MustParseAddr(ip)).String(); got != want && want != "invalid Prefix" {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
	if site(netip.MustParseAddr("fe80::1%lo")) == site(netip.MustParseAddr("fe80::2%lo")) {
		t.Error("neighbors are one site")
	}
	if site(netip.Addr{}).IsValid() {
		t.Error("what is no address has a site")
	}
}
