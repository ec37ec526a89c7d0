package authn

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A source that has failed breakAfter times in a row is not asked for firstWait. Then one login is a probe: if it fails too,
// the wait doubles, up to lastWait.
const (
	breakAfter = 5
	firstWait  = 10 * time.Second
	lastWait   = time.Minute
)

// breaker decides whether a source is asked. While it is open, logins fail at once and do not wait for a source that is down.
type breaker struct {
	mu       sync.Mutex
	failures int           // in a row
	wait     time.Duration // 0: closed
	until    time.Time     // no probe before
	probing  bool
}

// outcome is what became of a call that breaker.enter has allowed.
type outcome int

const (
	success outcome = iota
	failure
	gone // neither: the caller has given up
)

// isOpen reports whether enter would refuse.
func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait > 0 && (b.probing || time.Now().Before(b.until))
}

// broken reports whether the source is taken to be down.
func (b *breaker) broken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait > 0
}

// enter reports whether the source may be asked, and whether that is a probe. If it may, the caller must call leave.
func (b *breaker) enter() (probe, may bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.wait == 0:
		return false, true
	case b.probing || time.Now().Before(b.until):
		return false, false
	}
	b.probing = true
	return true, true
}

// leave records an outcome. If it opens the breaker, leave returns for how long, and if it closes the breaker, for how long
// it was to stay open; otherwise 0.
func (b *breaker) leave(probe bool, o outcome) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch {
	case o == success:
		was := b.wait
		b.failures, b.wait = 0, 0
		return was
	case o == gone, b.wait > 0 && !probe: // a call that began before the breaker opened
		return 0
	case probe:
		b.wait = min(2*b.wait, lastWait)
	default:
		if b.failures++; b.failures < breakAfter {
			return 0
		}
		b.wait = firstWait
	}
	b.until = time.Now().Add(b.wait)
	return b.wait
}

// counts has how often each result occurred.
type counts [results]atomic.Uint64

func (c *counts) add(r result) { c[r].Add(1) }

// Stats has the numbers of one source.
type Stats struct {
	Source string // its name, without what may be a secret
	Broken bool   // it is down, and logins that it would decide are refused
	Counts map[string]uint64
}

// Stats returns the numbers of all sources except File. Those with the same name count as one.
func (c *Chain) Stats() (all []Stats) {
	if c == nil {
		return nil
	}
	for _, m := range c.sources {
		if m.source == nil {
			continue
		}
		if i := slices.IndexFunc(all, func(s Stats) bool { return s.Source == m.name }); i >= 0 {
			all[i].Broken = all[i].Broken || m.breaker.broken()
			continue
		}
		s := Stats{Source: m.name, Broken: m.breaker.broken(), Counts: map[string]uint64{}}
		for r, name := range resultNames {
			s.Counts[name] = m.counts[r].Load()
		}
		all = append(all, s)
	}
	return all
}
