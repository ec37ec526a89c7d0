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

	"miniftp/ftp/internal/testutil"
)

var (
	villain = netip.MustParseAddr("192.0.2.66")
	rules   = guessing{delay: time.Second, most: 10, ban: 10 * time.Minute}
)

func wrong() error { return errPassword }
func right() error { return nil }

// tries runs one login and tells how long it took.
func (b *loginGuard) tries(t *testing.T, g guessing, from netip.Addr, user string, login func() error, want error) time.Duration {
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
		b, g := newLoginGuard(), guessing{delay: time.Second, most: -1}
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

// After some failures a name is banned at that address, and let in again. Other names
// there are neither delayed nor banned: they may be other people, behind one NAT.
func TestBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := newLoginGuard(), guessing{delay: time.Second, most: 5, ban: 10 * time.Minute}
		for range 4 {
			b.tries(t, g, villain, "root", wrong, errPassword)
		}
		b.tries(t, g, villain, "root", wrong, errNameShutOut)
		asked := false
		b.tries(t, g, villain, "root", func() error { asked = true; return nil }, errNameShutOut)
		if asked {
			t.Error("a password of one who is shut out was looked at")
		}
		if took := b.tries(t, g, villain, "alice", right, nil); took != 0 || b.shutOut(villain) {
			t.Errorf("another name waited %v; the address is banned: %v", took, b.shutOut(villain))
		}
		b.tries(t, g, netip.MustParseAddr("192.0.2.67"), "root", right, nil)
		time.Sleep(g.ban)
		b.tries(t, g, villain, "root", right, nil)
	})
}

// Many names from one address are a guesser: the address is delayed, then banned, but
// for names that have logged in from there.
func TestManyNamesFromOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoginGuard()
		b.tries(t, rules, villain, "alice", right, nil)
		guesses, start := 0, time.Now()
		for guesses < 100 {
			guesses++
			if err := b.try(t.Context(), villain, rules, fmt.Sprint("user", guesses), wrong); errors.Is(err, errShutOut) {
				break
			}
		}
		if took := time.Since(start); guesses > rules.most+2 || took < time.Minute { // one or two are forgiven meanwhile
			t.Errorf("%d guesses in %v", guesses, took)
		}
		b.tries(t, rules, villain, "bob", right, errShutOut)
		if took := b.tries(t, rules, villain, "alice", right, nil); took != 0 {
			t.Errorf("a regular waited %v", took)
		}
		if b.shutOut(villain) {
			t.Error("a regular's connection is turned away before he can say who he is")
		}
		delete(b.regulars, villain)
		if !b.shutOut(villain) || b.shutOut(netip.MustParseAddr("192.0.2.67")) {
			t.Error("the wrong address is banned")
		}
		time.Sleep(rules.ban)
		if b.shutOut(villain) {
			t.Error("banned for ever")
		}
		b.tries(t, rules, villain, "bob", right, nil)
	})
}

// However the names are chosen, and with an account of one's own, guesses from one
// address are few.
func TestGuessesOfAnAddressAreBounded(t *testing.T) {
	for _, names := range []int{1, 2, 3, 4, 10, 50} {
		synctest.Test(t, func(t *testing.T) {
			b, guesses := newLoginGuard(), 0
			b.tries(t, rules, villain, "mallory", right, nil)
			for start := time.Now(); time.Since(start) < rules.ban; time.Sleep(2 * time.Second) {
				for i := range names {
					_ = b.try(t.Context(), villain, rules, fmt.Sprint("user", i), func() error { guesses++; return errPassword })
					b.tries(t, rules, villain, "mallory", right, nil)
				}
			}
			if guesses > 3*rules.most {
				t.Errorf("%d names: %d guesses within %v", names, guesses, rules.ban)
			}
		})
	}
}

// One name from many addresses bans neither the name nor the address where its owner is.
func TestOneNameFromManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, fast := newLoginGuard(), guessing{most: 3, ban: time.Hour}
		for i := range 1000 {
			_ = b.try(t.Context(), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), fast, "alice", wrong)
		}
		if took := b.tries(t, fast, villain, "alice", right, nil); took != 0 {
			t.Errorf("waited %v", took)
		}
	})
}

// An IPv6 network of 48 bits has 65,536 of 64 bits. Together they have not so many guesses.
func TestBotnetInOneSite(t *testing.T) {
	b, fast, guesses := newLoginGuard(), guessing{most: 10, ban: time.Hour}, 0
	net := func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i)})
	}
	b.tries(t, fast, net(1), "alice", right, nil)
	for i := range 5000 {
		_ = b.try(t.Context(), net(i+2), fast, fmt.Sprint("user", i), func() error { guesses++; return errPassword })
	}
	if guesses != fast.most*siteShare {
		t.Errorf("%d guesses", guesses)
	}
	if !b.shutOut(net(60000)) || b.shutOut(netip.MustParseAddr("2001:db8:2::")) {
		t.Error("the wrong network is banned")
	}
	b.tries(t, fast, net(1), "alice", right, nil)
}

// Many at once wait for each other: they get no more guesses than one after the other.
func TestDelayIsSharedByAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoginGuard()
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
		if guesses != nameShare+1 { // what one name may use up without a delay for others
			t.Errorf("%d guesses at once", guesses)
		}
		mu.Unlock()
		// Somebody else does not wait for them.
		if took := b.tries(t, rules, netip.MustParseAddr("198.51.100.1"), "root", right, nil); took != 0 {
			t.Errorf("another address waited %v", took)
		}
		all.Wait()
		if guesses != nameShare+5 || out != 200-nameShare-5 { // the others after 1, 3, 7, 15 s
			t.Errorf("%d guesses in half a minute, %d given up", guesses, out)
		}
	})
}

// A success forgives what the same user mistyped, and nothing else: an account of
// one's own is no way to wash off guesses at others.
func TestSuccessForgivesOnlyItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoginGuard()
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
		b := newLoginGuard()
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
			b := newLoginGuard()
			for range 100 {
				if took := b.tries(t, g, villain, "a", wrong, errPassword); took != 0 {
					t.Fatalf("%+v: waited %v", g, took)
				}
			}
		}
		b := newLoginGuard()
		for range 20 {
			b.tries(t, guessing{delay: time.Second, most: -1}, villain, "a", wrong, errPassword)
		}
	})
}

// A wait ends with its context, and is not counted.
func TestDelayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLoginGuard()
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
	b := newLoginGuard()
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
	testutil.Long(t)
	b := newLoginGuard()
	now := time.Now()
	b.visitors[villain] = &visitor{failures: failures{until: now.Add(time.Hour)}, turn: make(chan struct{}, 1)}
	for i := range 3 * maxRegulars {
		b.remember(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "user")
	}
	if b.pairs > maxRegulars || len(b.regulars) != b.pairs {
		t.Errorf("%d regulars of %d addresses are remembered", b.pairs, len(b.regulars))
	}
	fast := guessing{delay: -1, most: 100}
	for i := range 3 * maxVisitors {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		_ = b.try(t.Context(), from, fast, "a", wrong)
	}
	if n := len(b.visitors); n > maxVisitors || n < maxVisitors/2 {
		t.Errorf("%d addresses are remembered", n)
	}
	for i := range 3 * maxVisitors {
		_ = b.try(t.Context(), netip.AddrFrom16([16]byte{0x20, 1, 3: byte(i >> 16), 4: byte(i >> 8), 5: byte(i)}), fast, "a", wrong)
	}
	if n := len(b.sites); n > maxVisitors || n < maxVisitors/2 {
		t.Errorf("%d networks are remembered", n)
	}
	synctest.Test(t, func(t *testing.T) {
		b := newLoginGuard()
		for i := range 3 * maxNames {
			_ = b.try(t.Context(), villain, guessing{delay: 1, most: -1}, fmt.Sprint(i), wrong)
		}
		if n := len(b.visitors[villain].names); n > maxNames || n < maxNames/2 {
			t.Errorf("%d names of an address are remembered", n)
		}
	})
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
