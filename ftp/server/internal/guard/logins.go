package guard

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds on failed logins.
const (
	maxVisitors = 10_000 // addresses that are remembered, and as many networks
	maxNames    = 64     // names that are remembered per address, or Policy.Most if that is more
	maxRegulars = 10_000 // pairs of an address and a name that has logged in there
	nameShare   = 3      // failures of one name that count for its address
	siteShare   = 16     // a network of 48 bits may have so many times the failures of one of 64
)

// Logins slows down and bans clients that guess passwords (RFC 2577 §5).
//
// Failures are counted at three levels. Each can lead to a ban, and the first two also delay the next login:
//
//	name at an address      all its failures
//	address                 at most nameShare failures of each of its names
//	IPv6 network            all failures; banned after siteShare times as many
//
// The first level does most of the work: a device with an old password bans only its own name, not the other
// users behind the same NAT address. The second stops a client that tries many names. It does not affect
// regulars, which are names that have logged in from that address before: a guesser can't lock out the users of
// its own network.
//
// Logins with the same name from the same address run one after the other, and so do those of all names at an
// address that are not regulars. Otherwise many connections at once would evade the delays.
type Logins struct {
	// OnBan, if not nil, is called with each new ban of an origin, or of a user at an origin: its name for Ban, and
	// when it ends. It is called with a lock held and must not wait. It must be set before the first login.
	OnBan func(name string, until time.Time)

	uncounted []error
	seed      maphash.Seed

	mu       sync.Mutex
	visitors map[netip.Addr]*visitor            // by origin
	sites    map[netip.Prefix]*failures         // IPv6 networks of 48 bits
	regulars map[netip.Addr]map[uint64]struct{} // hashes of the names that have logged in, by origin
	pairs    int                                // pairs of an origin and a name in regulars
	decreed  map[string]time.Time               // bans by the administrator, by name (see Decree), and when they end
}

// visitor is an address with logins that run or have failed.
type visitor struct {
	turn     chan struct{} // held by the running login of a name that is not a regular
	users    int           // logins that run or wait for a turn
	names    map[uint64]*attempts
	failures // of all names; they do not affect regulars
}

// attempts are the logins with one name from one address.
type attempts struct {
	failures
	user   string        // set when it is banned, for Bans
	shared int           // of these failures, those that count for the address, too
	turn   chan struct{} // held by the running login
	users  int
}

// Policy says how failed logins are answered.
type Policy struct {
	Delay time.Duration // after the first failure; doubles with each further one; 0: none
	Most  int           // failures that lead to a ban; 0: never
	Ban   time.Duration
}

// ErrShutOut is returned for a login from an address that is banned.
var ErrShutOut = errors.New("too many failed logins from this address")

// ErrNameShutOut is returned for a login with a name that is banned at that address. It is an ErrShutOut.
var ErrNameShutOut = fmt.Errorf("%w as that user", ErrShutOut)

// ErrBanned is returned for a login that the administrator has banned. It is an ErrShutOut.
var ErrBanned = fmt.Errorf("%w: banned by the administrator", ErrShutOut)

// NewLogins returns the login guard of one server. A login that ends with one of the errors uncounted, or is
// canceled, is not counted as a failure.
func NewLogins(uncounted ...error) *Logins {
	return &Logins{
		uncounted: uncounted,
		seed:      maphash.MakeSeed(),
		visitors:  map[netip.Addr]*visitor{}, sites: map[netip.Prefix]*failures{}, regulars: map[netip.Addr]map[uint64]struct{}{},
	}
}

// Regular reports whether user has logged in from that origin before.
func (l *Logins) Regular(from netip.Addr, user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.regulars[from][l.hash(user)]
	return ok
}

func (l *Logins) hash(user string) uint64 { return maphash.String(l.seed, user) }

// Try calls login when its turn has come and the delays have passed, and counts its result. Try returns login's
// error, ErrShutOut, or the cause of ctx. For the failure that leads to a ban it returns an error that is both
// login's and ErrShutOut.
func (l *Logins) Try(ctx context.Context, from netip.Addr, g Policy, user string, login func() error) error {
	l.mu.Lock()
	decreed := l.isDecreed(from, user)
	l.mu.Unlock()
	switch {
	case decreed:
		return ErrBanned
	case g.Delay <= 0 && g.Most <= 0:
		return login()
	}
	v, a := l.enter(from, g, l.hash(user))
	defer l.leave(from, v, l.hash(user), a)
	// First the turn of the name, then, unless the name is a regular, that of the address. The order is the
	// same for all logins, so they can't block each other.
	if err := take(ctx, a.turn); err != nil {
		return err
	}
	defer func() { <-a.turn }()
	if err := l.wait(ctx, func() (time.Time, bool) { return a.next, time.Now().Before(a.until) }, ErrNameShutOut); err != nil {
		return err
	}
	if !l.Regular(from, user) {
		if err := take(ctx, v.turn); err != nil {
			return err
		}
		defer func() { <-v.turn }()
		if err := l.wait(ctx, func() (time.Time, bool) { return v.next, l.banned(from, time.Now()) }, ErrShutOut); err != nil {
			return err
		}
	}
	err := login()
	return l.record(from, v, a, g, user, err)
}

// longestBan is the length of the longest name of a ban that is passed on: clients choose the names of users.
const longestBan = 300

// take waits for a turn.
func take(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter returns the entries of an address and a name, and makes them if needed. Their users count keeps them in
// the tables until leave, so all concurrent logins share the same turns.
func (l *Logins) enter(from netip.Addr, g Policy, name uint64) (*visitor, *attempts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.visitors[from]
	if v == nil {
		if len(l.visitors) >= maxVisitors {
			forget(l.visitors, (*visitor).weight)
		}
		v = &visitor{turn: make(chan struct{}, 1), names: map[uint64]*attempts{}}
		l.visitors[from] = v
	}
	a := v.names[name]
	if a == nil {
		if len(v.names) >= max(maxNames, g.Most) {
			forget(v.names, (*attempts).weight)
		}
		a = &attempts{turn: make(chan struct{}, 1)}
		v.names[name] = a
	}
	v.users++
	a.users++
	return v, a
}

// leave undoes enter. It removes entries that have no more failures to remember.
func (l *Logins) leave(from netip.Addr, v *visitor, name uint64, a *attempts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	v.users--
	a.users--
	if a.weight(now) == 0 && v.names[name] == a {
		delete(v.names, name)
	}
	if v.weight(now) == 0 && l.visitors[from] == v {
		delete(l.visitors, from)
	}
}

// wait waits until the time that state returns. If state reports a ban, wait returns out at once. state is called
// under Logins.mu.
func (l *Logins) wait(ctx context.Context, state func() (time.Time, bool), out error) error {
	l.mu.Lock()
	next, banned := state()
	l.mu.Unlock()
	delay := time.Until(next)
	switch {
	case banned:
		return out
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

// record counts the result of a login. A success forgives the failures of that name at that address: the user
// has mistyped. It does not forgive those of other names, else a guesser with an account could reset the count
// by logging in.
func (l *Logins) record(from netip.Addr, v *visitor, a *attempts, g Policy, user string, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		v.count -= min(a.shared, v.count)
		a.failures, a.shared = failures{}, 0
		l.remember(from, user)
		return nil
	case errors.Is(err, context.Canceled), slices.ContainsFunc(l.uncounted, func(no error) bool { return errors.Is(err, no) }):
		return err
	}
	// What was forgiven for the name does not count for the address again.
	if a.failures.forgive(now); !now.Before(a.until) {
		a.shared = min(a.shared, a.count)
	}
	if a.fail(now, g, g.Most, 0) {
		a.user = user
		l.banBegins(from.String()+" "+user, a.until)
		err = fmt.Errorf("%w: %w", ErrNameShutOut, err)
	}
	// The failures of one name count for its address at most nameShare times, and fewer than Most times. So one
	// name alone can't ban its address, unless Most is 1.
	share := nameShare
	if g.Most > 0 {
		share = min(share, max(1, g.Most-1))
	}
	if a.shared < share {
		a.shared++
		if v.fail(now, g, g.Most, share) { // the failures of one name alone delay no other
			l.banBegins(from.String(), v.until)
			err = fmt.Errorf("%w: %w", ErrShutOut, err)
		}
	}
	l.failSite(from, now, g)
	return err
}

// failSite counts a failure for the IPv6 network of 48 bits: one owner may have all its 65,536 origins.
func (l *Logins) failSite(from netip.Addr, now time.Time, g Policy) {
	if !from.Is6() || from.IsLinkLocalUnicast() || g.Most <= 0 {
		return
	}
	f := l.sites[Site(from)]
	if f == nil {
		if len(l.sites) >= maxVisitors {
			forget(l.sites, (*failures).weight)
		}
		f = &failures{}
		l.sites[Site(from)] = f
	}
	f.fail(now, g, g.Most*siteShare, g.Most*siteShare)
}

// remember makes user a regular at that origin. Anonymous users are excluded, because anyone can log in as one.
func (l *Logins) remember(from netip.Addr, user string) {
	name := l.hash(user)
	if _, known := l.regulars[from][name]; known || strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp") {
		return
	}
	for origin, names := range l.regulars { // in random order
		if l.pairs < maxRegulars {
			break
		}
		l.pairs -= len(names)
		delete(l.regulars, origin)
	}
	if l.regulars[from] == nil {
		l.regulars[from] = map[uint64]struct{}{}
	}
	l.regulars[from][name] = struct{}{}
	l.pairs++
}

// after returns the delay after the n-th failure.
func (g Policy) after(n int) time.Duration {
	if g.Delay <= 0 || n <= 0 {
		return 0
	}
	d := g.Delay
	for ; n > 1 && d < maxDelay; n-- {
		d *= 2
	}
	return max(min(d, maxDelay), g.Delay)
}

// The weight of an entry says how much would be lost by forgetting it: nothing if it is 0, most if it is a ban. An
// entry in use is never forgotten, so a table can exceed its bound, but only by the number of sessions.
const (
	inUse     = 1<<31 - 1
	banWeight = 1 << 30
)

func (a *attempts) weight(now time.Time) int {
	if a.users > 0 {
		return inUse
	}
	return a.failures.weight(now)
}

func (v *visitor) weight(now time.Time) int {
	if v.users > 0 {
		return inUse
	}
	n := v.failures.weight(now)
	for _, a := range v.names {
		n = min(n+a.weight(now), banWeight)
	}
	return n
}
