package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	villain = netip.MustParseAddr("192.0.2.66")
	rules   = guessing{delay: time.Second, most: 10, ban: 10 * time.Minute}
)

func wrong() error { return errPassword }
func right() error { return nil }

// tries runs one login and tells how long it took.
func (b *bouncer) tries(t *testing.T, g guessing, from netip.Addr, user string, login func() error, want error) time.Duration {
	t.Helper()
	start := time.Now()
	if err := b.try(t.Context(), from, g, user, login); !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%v: %v, want %v", user, err, want)
	}
	return time.Since(start)
}

// Each failure makes the next login wait twice as long, within bounds.
func TestDelayGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := newBouncer(), guessing{delay: time.Second, most: -1}
		var waits []time.Duration
		for range 8 {
			waits = append(waits, b.tries(t, g, villain, "root", wrong, errPassword))
		}
		if got, want := fmt.Sprint(waits), "[0s 1s 2s 4s 8s 16s 30s 30s]"; got != want {
			t.Errorf("waits %s, want %s", got, want)
		}
	})
	if d := (guessing{delay: time.Minute}).after(5); d != time.Minute {
		t.Errorf("a delay of a minute grew to %v", d)
	}
	if d := (guessing{delay: 1}).after(1 << 30); d > maxDelay {
		t.Errorf("the delay grew to %v", d)
	}
}

// After some failures the address is shut out, and let in again.
func TestBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := newBouncer(), guessing{delay: time.Second, most: 5, ban: 10 * time.Minute}
		for range 4 {
			b.tries(t, g, villain, "root", wrong, errPassword)
		}
		if b.shutOut(villain) {
			t.Error("shut out too early")
		}
		b.tries(t, g, villain, "root", wrong, errShutOut)
		if !b.shutOut(villain) || b.shutOut(netip.MustParseAddr("192.0.2.67")) {
			t.Error("the wrong one is shut out")
		}
		asked := false
		b.tries(t, g, villain, "root", func() error { asked = true; return nil }, errShutOut)
		if asked {
			t.Error("a password of one who is shut out was looked at")
		}
		time.Sleep(g.ban)
		if b.shutOut(villain) {
			t.Error("shut out for ever")
		}
		b.tries(t, g, villain, "root", right, nil)
	})
}

// Many at once wait for each other: they get no more guesses than one after the other.
func TestDelayIsSharedByAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBouncer()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		guesses, out := 0, 0
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				err := b.try(ctx, villain, rules, fmt.Sprint("user", i), func() error {
					mu.Lock()
					defer mu.Unlock()
					guesses++
					return errPassword
				})
				if !errors.Is(err, ErrLogin) {
					mu.Lock()
					defer mu.Unlock()
					out++
				}
			})
		}
		synctest.Wait()
		mu.Lock()
		if guesses != 1 {
			t.Errorf("%d guesses at once", guesses)
		}
		mu.Unlock()
		// Somebody else does not wait for them.
		if took := b.tries(t, rules, netip.MustParseAddr("198.51.100.1"), "root", right, nil); took != 0 {
			t.Errorf("another address waited %v", took)
		}
		all.Wait()
		if guesses != 5 || out != 195 { // after 0, 1, 3, 7, 15 s
			t.Errorf("%d guesses in half a minute, %d given up", guesses, out)
		}
	})
}

// A success forgives what the same user mistyped, and nothing else: an account of
// one's own is no way to wash off guesses at others.
func TestSuccessForgivesOnlyItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBouncer()
		b.tries(t, rules, villain, "mallory", wrong, errPassword)
		b.tries(t, rules, villain, "mallory", wrong, errPassword)
		b.tries(t, rules, villain, "mallory", right, nil)
		if took := b.tries(t, rules, villain, "mallory", right, nil); took != 0 || len(b.visitors) > 0 {
			t.Errorf("after a success the next login waits %v; %d remembered", took, len(b.visitors))
		}
		shut := 0
		for shut = 1; shut < 100; shut++ {
			err := b.try(t.Context(), villain, rules, "root", wrong)
			if errors.Is(err, errShutOut) {
				break
			}
			b.tries(t, rules, villain, "mallory", right, nil)
		}
		if shut > 15 {
			t.Errorf("shut out after %d guesses with successes between", shut)
		}
	})
}

// Failures are forgotten as time goes by, and so is the address.
func TestFailuresAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBouncer()
		for range 100 { // as a large office does all day
			b.tries(t, rules, villain, "a", wrong, errPassword)
			time.Sleep(time.Minute)
		}
		if took := b.tries(t, rules, villain, "b", right, nil); took != 0 {
			t.Errorf("waited %v", took)
		}
		if len(b.visitors) != 0 {
			t.Errorf("%d addresses are remembered", len(b.visitors))
		}
	})
}

// What can be switched off is.
func TestGuessingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, g := range []guessing{{delay: -1, most: -1}, {delay: -1, most: 1000}} {
			b := newBouncer()
			for range 100 {
				if took := b.tries(t, g, villain, "a", wrong, errPassword); took != 0 {
					t.Fatalf("%+v: waited %v", g, took)
				}
			}
		}
		b := newBouncer()
		for range 20 {
			b.tries(t, guessing{delay: time.Second, most: -1}, villain, "a", wrong, errPassword)
		}
	})
}

// A wait ends with its context, and is not counted.
func TestDelayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBouncer()
		b.tries(t, rules, villain, "a", wrong, errPassword)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errHungUp)
		for range 50 {
			if err := b.try(ctx, villain, rules, "a", wrong); !errors.Is(err, errHungUp) {
				t.Fatal(err)
			}
		}
		if took := b.tries(t, rules, villain, "a", right, nil); took != time.Second {
			t.Errorf("waited %v, want a second", took)
		}
	})
}

// A login that panics, or a hang-up in the middle, leaves the turn to the next.
func TestTurnIsGivenBack(t *testing.T) {
	b := newBouncer()
	func() {
		defer func() { _ = recover() }()
		_ = b.try(t.Context(), villain, rules, "a", func() error { panic("database") })
	}()
	b.tries(t, rules, villain, "a", right, nil)
	if len(b.visitors) != 0 {
		t.Errorf("%d are remembered", len(b.visitors))
	}
}

// The table is bounded, and keeps whom it matters to keep.
func TestBouncerIsBounded(t *testing.T) {
	b := newBouncer()
	now := time.Now()
	b.visitors[villain] = &visitor{until: now.Add(time.Hour), turn: make(chan struct{}, 1)}
	fast := guessing{delay: -1, most: 100}
	for i := range 3 * maxVisitors {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		_ = b.try(t.Context(), from, fast, "a", wrong)
	}
	if n := len(b.visitors); n > maxVisitors || n < maxVisitors/2 {
		t.Errorf("%d addresses are remembered", n)
	}
	if !b.shutOut(villain) {
		t.Error("a flood made the table forget who is shut out")
	}
}

// A network of IPv6 is one address: whoever has one of them has all.
func TestOrigin(t *testing.T) {
	for _, tt := range [][3]string{
		{"192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"},
		{"fe80::1%eth0", "fe80::1%eth0", "fe80::2%eth0"}, // neighbours share that network, and are not one
	} {
		a, same, other := netip.MustParseAddr(tt[0]), netip.MustParseAddr(tt[1]), netip.MustParseAddr(tt[2])
		if origin(a) != origin(same) || origin(a) == origin(other) {
			t.Errorf("%v: %v, %v, %v", tt, origin(a), origin(same), origin(other))
		}
	}
	if origin(netip.Addr{}).IsValid() {
		t.Error("what is no address has an origin")
	}
}
