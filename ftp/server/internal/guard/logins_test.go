package guard

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
	rules   = Policy{Delay: time.Second, Most: 10, Ban: 10 * time.Minute}
)

var (
	errWrong = errors.New("wrong password")
	errGone  = errors.New("the client has gone")
)

func wrong() error { return errWrong }
func right() error { return nil }

// tries runs one login and returns how long it took.
func (l *Logins) tries(t *testing.T, g Policy, from netip.Addr, user string, login func() error, want error) time.Duration {
	t.Helper()
	start := time.Now()
	if err := l.Try(t.Context(), from, g, user, login); !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%v: %v, want %v", user, err, want)
	}
	return time.Since(start)
}

// Each failure doubles the delay of the next login, up to a limit.
func TestDelayGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := NewLogins(errGone), Policy{Delay: time.Second, Most: -1}
		var waits []time.Duration
		for range 8 {
			waits = append(waits, b.tries(t, g, villain, "root", wrong, errWrong))
		}
		if got, want := fmt.Sprint(waits), "[0s 1s 2s 4s 8s 16s 30s 30s]"; got != want {
			t.Errorf("delays %s, want %s", got, want)
		}
	})
	if d := (Policy{Delay: time.Minute}).after(5); d != time.Minute {
		t.Errorf("a delay of a minute grew to %v", d)
	}
	if d := (Policy{Delay: 1}).after(1 << 30); d > maxDelay {
		t.Errorf("the delay grew to %v", d)
	}
}

// After some failures a name is banned at that address for a while. Other names there are neither delayed nor
// banned: they may be other people behind one NAT.
func TestBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := NewLogins(errGone), Policy{Delay: time.Second, Most: 5, Ban: 10 * time.Minute}
		for range 4 {
			b.tries(t, g, villain, "root", wrong, errWrong)
		}
		b.tries(t, g, villain, "root", wrong, ErrNameShutOut)
		asked := false
		b.tries(t, g, villain, "root", func() error { asked = true; return nil }, ErrNameShutOut)
		if asked {
			t.Error("a password of a banned name was checked")
		}
		if took := b.tries(t, g, villain, "alice", right, nil); took != 0 || b.ShutOut(villain) {
			t.Errorf("another name was delayed by %v; the address is banned: %v", took, b.ShutOut(villain))
		}
		b.tries(t, g, netip.MustParseAddr("192.0.2.67"), "root", right, nil)
		time.Sleep(g.Ban)
		b.tries(t, g, villain, "root", right, nil)
	})
}

// An address that tries many names is delayed and then banned, but not for names that have logged in from
// there.
func TestManyNamesFromOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewLogins(errGone)
		b.tries(t, rules, villain, "alice", right, nil)
		guesses, start := 0, time.Now()
		for guesses < 100 {
			guesses++
			if err := b.Try(t.Context(), villain, rules, fmt.Sprint("user", guesses), wrong); errors.Is(err, ErrShutOut) {
				break
			}
		}
		if took := time.Since(start); guesses > rules.Most+2 || took < time.Minute { // one or two failures are forgiven meanwhile
			t.Errorf("%d guesses in %v", guesses, took)
		}
		b.tries(t, rules, villain, "bob", right, ErrShutOut)
		if took := b.tries(t, rules, villain, "alice", right, nil); took != 0 {
			t.Errorf("a regular was delayed by %v", took)
		}
		if b.ShutOut(villain) {
			t.Error("a regular's connection is turned away before USER")
		}
		delete(b.regulars, villain)
		if !b.ShutOut(villain) || b.ShutOut(netip.MustParseAddr("192.0.2.67")) {
			t.Error("the wrong address is banned")
		}
		time.Sleep(rules.Ban)
		if b.ShutOut(villain) {
			t.Error("banned forever")
		}
		b.tries(t, rules, villain, "bob", right, nil)
	})
}

// With any choice of names, and with an account of its own, an address has only few guesses.
func TestGuessesOfAnAddressAreBounded(t *testing.T) {
	for _, names := range []int{1, 2, 3, 4, 10, 50} {
		synctest.Test(t, func(t *testing.T) {
			b, guesses := NewLogins(errGone), 0
			b.tries(t, rules, villain, "mallory", right, nil)
			for start := time.Now(); time.Since(start) < rules.Ban; time.Sleep(2 * time.Second) {
				for i := range names {
					_ = b.Try(t.Context(), villain, rules, fmt.Sprint("user", i), func() error { guesses++; return errWrong })
					b.tries(t, rules, villain, "mallory", right, nil)
				}
			}
			if guesses > 3*rules.Most {
				t.Errorf("%d names: %d guesses within %v", names, guesses, rules.Ban)
			}
		})
	}
}

// Guesses of one name from many addresses ban neither the name nor the address of its owner.
func TestOneNameFromManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, fast := NewLogins(errGone), Policy{Most: 3, Ban: time.Hour}
		for i := range 1000 {
			_ = b.Try(t.Context(), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), fast, "alice", wrong)
		}
		if took := b.tries(t, fast, villain, "alice", right, nil); took != 0 {
			t.Errorf("delayed by %v", took)
		}
	})
}

// An IPv6 network of 48 bits contains 65,536 networks of 64 bits, but has not that many times the guesses.
func TestBotnetInOneSite(t *testing.T) {
	b, fast, guesses := NewLogins(errGone), Policy{Most: 10, Ban: time.Hour}, 0
	net := func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i)})
	}
	b.tries(t, fast, net(1), "alice", right, nil)
	for i := range 5000 {
		_ = b.Try(t.Context(), net(i+2), fast, fmt.Sprint("user", i), func() error { guesses++; return errWrong })
	}
	if guesses != fast.Most*siteShare {
		t.Errorf("%d guesses", guesses)
	}
	if !b.ShutOut(net(60000)) || b.ShutOut(netip.MustParseAddr("2001:db8:2::")) {
		t.Error("the wrong network is banned")
	}
	b.tries(t, fast, net(1), "alice", right, nil)
}

// Many logins at once wait for each other: they get no more guesses than one after the other.
func TestDelayIsSharedByAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewLogins(errGone)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		guesses, out := 0, 0
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				err := b.Try(ctx, villain, rules, fmt.Sprint("user", i), func() error {
					mu.Lock()
					defer mu.Unlock()
					guesses++
					return errWrong
				})
				if !errors.Is(err, errWrong) {
					mu.Lock()
					defer mu.Unlock()
					out++
				}
			})
		}
		synctest.Wait()
		mu.Lock()
		if guesses != nameShare+1 { // one name can use up this many without delaying others
			t.Errorf("%d guesses at once", guesses)
		}
		mu.Unlock()
		// Another address does not wait for them.
		if took := b.tries(t, rules, netip.MustParseAddr("198.51.100.1"), "root", right, nil); took != 0 {
			t.Errorf("another address waited %v", took)
		}
		all.Wait()
		if guesses != nameShare+5 || out != 200-nameShare-5 { // further ones after 1, 3, 7, 15 s
			t.Errorf("%d guesses in half a minute, %d given up", guesses, out)
		}
	})
}

// A success forgives the failures of the same user and no others: having an account must not help to guess
// other passwords.
func TestSuccessForgivesOnlyItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewLogins(errGone)
		b.tries(t, rules, villain, "mallory", wrong, errWrong)
		b.tries(t, rules, villain, "mallory", wrong, errWrong)
		b.tries(t, rules, villain, "mallory", right, nil)
		if took := b.tries(t, rules, villain, "mallory", right, nil); took != 0 || len(b.visitors) > 0 {
			t.Errorf("after a success the next login is delayed by %v; %d addresses are remembered", took, len(b.visitors))
		}
		shut := 0
		for shut = 1; shut < 100; shut++ {
			err := b.Try(t.Context(), villain, rules, "root", wrong)
			if errors.Is(err, ErrShutOut) {
				break
			}
			b.tries(t, rules, villain, "mallory", right, nil)
		}
		if shut > 15 {
			t.Errorf("banned after %d guesses with successes in between", shut)
		}
	})
}

// Failures are forgotten with time, and so is the address.
func TestFailuresAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewLogins(errGone)
		for range 100 { // like a large office all day
			b.tries(t, rules, villain, "a", wrong, errWrong)
			time.Sleep(time.Minute)
		}
		if took := b.tries(t, rules, villain, "b", right, nil); took != 0 {
			t.Errorf("delayed by %v", took)
		}
		if len(b.visitors) != 0 {
			t.Errorf("%d addresses are remembered", len(b.visitors))
		}
	})
}

// Delay and ban can be switched off.
func TestGuessingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, g := range []Policy{{Delay: -1, Most: -1}, {Delay: -1, Most: 1000}} {
			b := NewLogins(errGone)
			for range 100 {
				if took := b.tries(t, g, villain, "a", wrong, errWrong); took != 0 {
					t.Fatalf("%+v: delayed by %v", g, took)
				}
			}
		}
		b := NewLogins(errGone)
		for range 20 {
			b.tries(t, Policy{Delay: time.Second, Most: -1}, villain, "a", wrong, errWrong)
		}
	})
}

// A delay ends with its context, and the login does not count.
func TestDelayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewLogins(errGone)
		b.tries(t, rules, villain, "a", wrong, errWrong)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errGone)
		for range 50 {
			if err := b.Try(ctx, villain, rules, "a", wrong); !errors.Is(err, errGone) {
				t.Fatal(err)
			}
		}
		if took := b.tries(t, rules, villain, "a", right, nil); took != time.Second {
			t.Errorf("delayed by %v, want a second", took)
		}
	})
}

// A login that panics or is canceled passes the turn on.
func TestTurnIsGivenBack(t *testing.T) {
	b := NewLogins(errGone)
	func() {
		defer func() { _ = recover() }()
		_ = b.Try(t.Context(), villain, rules, "a", func() error { panic("database") })
	}()
	b.tries(t, rules, villain, "a", right, nil)
	if len(b.visitors) != 0 {
		t.Errorf("%d are remembered", len(b.visitors))
	}
}

// The tables are bounded, and keep the entries that matter.
func TestLoginsAreBounded(t *testing.T) {
	testutil.Long(t)
	b := NewLogins(errGone)
	now := time.Now()
	b.visitors[villain] = &visitor{failures: failures{until: now.Add(time.Hour)}, turn: make(chan struct{}, 1)}
	for i := range 3 * maxRegulars {
		b.remember(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "user")
	}
	if b.pairs > maxRegulars || len(b.regulars) != b.pairs {
		t.Errorf("%d regulars of %d addresses are remembered", b.pairs, len(b.regulars))
	}
	fast := Policy{Delay: -1, Most: 100}
	for i := range 3 * maxVisitors {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		_ = b.Try(t.Context(), from, fast, "a", wrong)
	}
	if n := len(b.visitors); n > maxVisitors || n < maxVisitors/2 {
		t.Errorf("%d addresses are remembered", n)
	}
	for i := range 3 * maxVisitors {
		_ = b.Try(t.Context(), netip.AddrFrom16([16]byte{0x20, 1, 3: byte(i >> 16), 4: byte(i >> 8), 5: byte(i)}), fast, "a", wrong)
	}
	if n := len(b.sites); n > maxVisitors || n < maxVisitors/2 {
		t.Errorf("%d networks are remembered", n)
	}
	synctest.Test(t, func(t *testing.T) {
		b := NewLogins(errGone)
		for i := range 3 * maxNames {
			_ = b.Try(t.Context(), villain, Policy{Delay: 1, Most: -1}, fmt.Sprint(i), wrong)
		}
		if n := len(b.visitors[villain].names); n > maxNames || n < maxNames/2 {
			t.Errorf("%d names of an address are remembered", n)
		}
	})
	if !b.ShutOut(villain) {
		t.Error("a flood has made the table forget a ban")
	}
}
