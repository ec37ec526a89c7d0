package guard

import (
	"net/netip"
	"strings"
	"time"
)

// ShutOut reports whether no login from that origin can succeed now.
func (l *Logins) ShutOut(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.regulars[from]) == 0 && l.banned(from, time.Now())
}

// Decreed reports whether the administrator has banned that origin.
func (l *Logins) Decreed(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.isDecreed(from, "")
}

// isDecreed reports whether the administrator has banned that origin or, if user is not empty, that user there.
// Logins.mu must be held.
func (l *Logins) isDecreed(from netip.Addr, user string) bool {
	if len(l.decreed) == 0 { // the usual case
		return false
	}
	now := time.Now()
	return now.Before(l.decreed[from.String()]) || user != "" && now.Before(l.decreed[from.String()+" "+user])
}

// Decree bans an origin, or an origin, a space and a user, until then, by the will of the administrator. Unlike other bans
// it also binds regulars.
func (l *Logins) Decree(name string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for old, end := range l.decreed {
		if !now.Before(end) {
			delete(l.decreed, old)
		}
	}
	if l.decreed == nil {
		l.decreed = map[string]time.Time{}
	}
	if len(l.decreed) < maxVisitors {
		l.decreed[name] = until
	}
}

// banned reports whether that origin or its network is banned. Logins.mu must be held.
func (l *Logins) banned(from netip.Addr, now time.Time) bool {
	if v := l.visitors[from]; v != nil && now.Before(v.until) {
		return true
	}
	f := l.sites[Site(from)]
	return f != nil && now.Before(f.until)
}

func (l *Logins) banBegins(name string, until time.Time) {
	if l.OnBan != nil && len(name) <= longestBan {
		l.OnBan(name, until)
	}
}

// Ban takes over a ban from another server. name is what OnBan was called with there: an origin, or an origin, a space
// and a user.
func (l *Logins) Ban(name string, until time.Time) {
	origin, user, isName := strings.Cut(name, " ")
	from, err := netip.ParseAddr(origin)
	if err != nil {
		return
	}
	g := Policy{Most: 1}
	v, a := l.enter(from, g, l.hash(user))
	l.mu.Lock()
	if isName {
		a.until, a.user = until, user
	} else {
		v.until = until
	}
	l.mu.Unlock()
	l.leave(from, v, l.hash(user), a)
}

// Unban lifts a ban and reports whether it was in force. It also forgets the failures that led to it.
func (l *Logins) Unban(name string) bool {
	if !l.Knows(name) {
		return false
	}
	origin, user, isName := strings.Cut(name, " ")
	from, _ := netip.ParseAddr(origin)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.decreed, name)
	v := l.visitors[from]
	switch {
	case v == nil:
	case !isName:
		v.failures = failures{}
	case v.names[l.hash(user)] != nil:
		a := v.names[l.hash(user)]
		a.failures, a.shared = failures{}, 0
	}
	return true
}

// Bans returns the names of the bans in force, and when they end.
func (l *Logins) Bans() map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]time.Time{}
	now := time.Now()
	for name, until := range l.decreed {
		if now.Before(until) {
			all[name] = until
		}
	}
	for from, v := range l.visitors {
		if now.Before(v.until) && v.until.After(all[from.String()]) {
			all[from.String()] = v.until
		}
		for _, a := range v.names {
			if name := from.String() + " " + a.user; now.Before(a.until) && a.until.After(all[name]) {
				all[name] = a.until
			}
		}
	}
	return all
}

// Knows reports whether the ban of that name is in force here.
func (l *Logins) Knows(name string) bool {
	origin, user, isName := strings.Cut(name, " ")
	from, err := netip.ParseAddr(origin)
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.visitors[from]
	switch {
	case time.Now().Before(l.decreed[name]):
		return true
	case v == nil:
		return false
	case isName:
		a := v.names[l.hash(user)]
		return a != nil && time.Now().Before(a.until)
	}
	return time.Now().Before(v.until)
}
