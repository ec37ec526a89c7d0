package server

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Bounds on the memory of failed logins.
const (
	forgivenEvery = time.Minute      // one failure of an address is forgotten
	maxDelay      = 30 * time.Second // before a login; more only if Options.FailureDelay is
	maxVisitors   = 10_000           // addresses that are remembered
)

// bouncer slows down who guesses passwords, and shuts him out (RFC 2577 §5). It
// counts by address, as a guesser opens as many sessions as he likes; logins of
// one address go one after the other, so that no delay is got round by trying at once.
type bouncer struct {
	seed maphash.Seed

	mu       sync.Mutex
	visitors map[netip.Addr]*visitor
}

// visitor is an address that logs in or failed to.
type visitor struct {
	turn  chan struct{} // held by the login that runs
	users int           // logins that run or wait

	failures int
	since    time.Time // the last failure, or when one was last forgotten
	name     uint64    // a hash of the name that failed last
	inARow   int       // failures with that name, without another between
	next     time.Time // no login before
	until    time.Time // shut out
}

// guessing is what happens to who guesses: settings of Options.
type guessing struct {
	delay time.Duration // of the first failure; it doubles with each
	most  int           // failures before the address is shut out
	ban   time.Duration
}

// errShutOut is a login from an address that had too many failures.
var errShutOut = errors.New("too many failed logins from this address")

func newBouncer() *bouncer {
	return &bouncer{seed: maphash.MakeSeed(), visitors: map[netip.Addr]*visitor{}}
}

// origin is an address as limits count it: of IPv6 the network of 64 bits, since
// whoever has one address there has them all.
func origin(ip netip.Addr) netip.Addr {
	if !ip.Is6() || ip.IsLinkLocalUnicast() { // all neighbours share fe80::/64
		return ip
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return p.Addr()
}

// shutOut reports whether nobody at that origin may come in now.
func (b *bouncer) shutOut(from netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.visitors[from]
	return v != nil && time.Now().Before(v.until)
}

// try runs login when it is the turn of that origin and its delay is over, and
// counts how it ended. The error is login's, errShutOut or the cause of ctx; with
// the failure that shuts the origin out it is both of the first.
func (b *bouncer) try(ctx context.Context, from netip.Addr, g guessing, user string, login func() error) error {
	if g.delay <= 0 && g.most <= 0 {
		return login()
	}
	v := b.enter(from)
	defer b.leave(from, v)
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := b.wait(ctx, v); err != nil {
		return err
	}
	err := login()
	return b.judge(v, g, maphash.String(b.seed, user), err)
}

func (b *bouncer) enter(from netip.Addr) *visitor {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.visitors[from]
	if v == nil {
		if len(b.visitors) >= maxVisitors {
			b.forget()
		}
		v = &visitor{turn: make(chan struct{}, 1)}
		b.visitors[from] = v
	}
	v.users++
	return v
}

func (b *bouncer) leave(from netip.Addr, v *visitor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v.users--; v.users == 0 && v.weight(time.Now()) == 0 {
		delete(b.visitors, from)
	}
}

// wait lets the delay pass.
func (b *bouncer) wait(ctx context.Context, v *visitor) error {
	b.mu.Lock()
	now := time.Now()
	delay, out := v.next.Sub(now), now.Before(v.until)
	b.mu.Unlock()
	switch {
	case out:
		return errShutOut
	case delay <= 0:
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// judge counts a login that ended with err. A success forgives the failures just
// before it that were with the same name: somebody mistyped. Those with other
// names stay, or who has an account of his own would guess the passwords of others
// for ever, logging in between.
func (b *bouncer) judge(v *visitor, g guessing, name uint64, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	v.forgive(now)
	switch {
	case err == nil && v.name == name:
		v.failures -= min(v.inARow, v.failures)
		v.inARow = 0
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, errLoginLate), errors.Is(err, errHungUp):
	default:
		if v.name != name {
			v.name, v.inARow = name, 0
		}
		if v.failures == 0 {
			v.since = now
		}
		v.failures++
		v.inARow++
		v.next = now.Add(g.after(v.failures))
		if g.most > 0 && v.failures >= g.most {
			v.failures, v.inARow, v.until = 0, 0, now.Add(g.ban)
			return fmt.Errorf("%w: %w", errShutOut, err)
		}
	}
	return err
}

// after is the delay behind the n-th failure.
func (g guessing) after(n int) time.Duration {
	if g.delay <= 0 {
		return 0
	}
	d := g.delay
	for ; n > 1 && d < maxDelay; n-- {
		d *= 2
	}
	return max(min(d, maxDelay), g.delay)
}

// forgive forgets failures as time goes by.
func (v *visitor) forgive(now time.Time) {
	if n := int(now.Sub(v.since) / forgivenEvery); n > 0 {
		v.failures = max(0, v.failures-n)
		v.since = v.since.Add(time.Duration(n) * forgivenEvery)
	}
}

// weight is what would be lost with v: 0 is nothing, shut out is most.
func (v *visitor) weight(now time.Time) int {
	v.forgive(now)
	if now.Before(v.until) {
		return 1 << 30
	}
	if v.failures == 0 && now.Before(v.next) {
		return 1
	}
	return v.failures
}

// forget makes room for another: of a few it drops the one that matters least.
// Those who are logging in stay; there are not more of them than sessions.
func (b *bouncer) forget() {
	const few = 16
	now, seen := time.Now(), 0
	var least netip.Addr
	lightest := -1
	for from, v := range b.visitors { // in random order
		if seen++; seen > few {
			break
		}
		if v.users > 0 {
			continue
		}
		if w := v.weight(now); lightest < 0 || w < lightest {
			least, lightest = from, w
		}
	}
	if lightest >= 0 {
		delete(b.visitors, least)
	}
}
