package guard

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

// Callers with a key that had many slots lately are served after those whose keys had few. The test counts
// slots and needs no clock.
func TestFairQueue(t *testing.T) {
	type name string
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(1)
		var order []string
		ask := func(who string, first bool, keys ...any) {
			go func() {
				if q.Acquire(t.Context(), first, keys...) == nil {
					order = append(order, who)
					time.Sleep(time.Second)
					q.Release()
				}
			}()
			synctest.Wait() // let them wait in this order
		}
		from := func(i int) (netip.Addr, netip.Prefix) {
			ip := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
			return ip, Site(ip)
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
				t.Errorf("%s was served after %d others", who, at)
			}
		}
		if len(order) != 103 || q.free != 1 || len(q.waiting) != 0 {
			t.Errorf("%d were served; %d slots are free, %d callers wait", len(order), q.free, len(q.waiting))
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
	q := NewQueue(1)
	if err := q.Acquire(t.Context(), false, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 10)
	for range 10 {
		go func() { done <- q.Acquire(ctx, false, 2) }()
	}
	cancel(errGone)
	for range 10 {
		if err := <-done; !errors.Is(err, errGone) {
			t.Error(err)
		}
	}
	q.Release()
	if q.free != 1 || q.Contended() || len(q.tallies) != 1 {
		t.Errorf("%d free, %d counts", q.free, len(q.tallies))
	}
	if err := q.Acquire(ctx, false, 2); !errors.Is(err, errGone) || q.free != 1 {
		t.Errorf("%v; %d free", err, q.free)
	}
}
