package guard

import "time"

// failures counts failed logins until they are forgiven one by one, or until they lead to a ban.
type failures struct {
	count int
	since time.Time // of the last failure when count was 0, or when one was last forgiven
	next  time.Time // no login before this time
	until time.Time // banned until this time
}

// fail counts a failure and reports whether it leads to a ban, which is so when there are most of them. As many
// failures as free says cause no delay.
func (f *failures) fail(now time.Time, g Policy, most, free int) (out bool) {
	f.forgive(now)
	if f.count == 0 {
		f.since = now
	}
	f.count++
	f.next = now.Add(g.after(f.count - free))
	if out = most > 0 && f.count >= most; out {
		f.count, f.until = 0, now.Add(g.Ban)
	}
	return out
}

// forgive forgets one failure per forgivenEvery.
func (f *failures) forgive(now time.Time) {
	if n := int(now.Sub(f.since) / forgivenEvery); n > 0 {
		f.count = max(0, f.count-n)
		f.since = f.since.Add(time.Duration(n) * forgivenEvery)
	}
}

func (f *failures) weight(now time.Time) int {
	f.forgive(now)
	switch {
	case now.Before(f.until):
		return banWeight
	case f.count == 0 && now.Before(f.next):
		return 1
	}
	return f.count
}

// forget removes one entry from a table: the one with the least weight of a few chosen at random.
func forget[K comparable, V any](table map[K]V, weight func(V, time.Time) int) {
	const few = 16
	now, seen := time.Now(), 0
	var least K
	lightest := inUse
	for k, v := range table { // in random order
		if seen++; seen > few {
			break
		}
		if w := weight(v, now); w < lightest {
			least, lightest = k, w
		}
	}
	if lightest < inUse {
		delete(table, least)
	}
}
