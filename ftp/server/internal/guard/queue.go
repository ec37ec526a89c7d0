package guard

import (
	"context"
	"sync"
	"time"
)

// Queue hands out a limited number of slots for work that costs processor time: bcrypt, and hashes of files. A
// free slot goes to the waiter whose keys had the fewest slots lately. The keys are, for example, its address,
// its network and its user name. So a flood that shares one of these does not keep out callers that do not
// share it. With equal counts the first to come is served first.
type Queue struct {
	mu      sync.Mutex
	slots   int
	free    int       // negative after Resize, while more than slots are taken
	waiting []*waiter // in order of arrival
	tallies map[any]*tally
	decayed time.Time
}

// waiter is a caller of Acquire. All fields except ready are guarded by Queue.mu.
type waiter struct {
	keys    []*tally
	first   bool // served before waiters that do not have it set
	ready   chan struct{}
	granted bool
}

// tally counts the slots that one key got. It exists while count is not 0 or a waiter has the key.
type tally struct {
	key     any
	count   int
	waiters int
}

// NewQueue returns a Queue with that many slots, but at least one.
func NewQueue(slots int) *Queue {
	return &Queue{slots: max(slots, 1), free: max(slots, 1), tallies: map[any]*tally{}, decayed: time.Now()}
}

// Acquire waits for a slot until ctx ends. Keys must be comparable, and keys of different kinds must have
// different types. Callers with first set come before all others.
func (q *Queue) Acquire(ctx context.Context, first bool, keys ...any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	q.mu.Lock()
	w := &waiter{first: first, keys: q.tally(keys), ready: make(chan struct{})}
	q.waiting = append(q.waiting, w)
	q.grant()
	q.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.granted { // granted at the same moment: pass the slot on
		q.free++
		q.grant()
		return context.Cause(ctx)
	}
	for i, other := range q.waiting {
		if other == w {
			q.remove(i)
			break
		}
	}
	return context.Cause(ctx)
}

// Release gives a slot back.
func (q *Queue) Release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	q.grant()
}

// Resize changes the number of slots.
func (q *Queue) Resize(slots int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += max(slots, 1) - q.slots
	q.slots = max(slots, 1)
	q.grant()
}

// Contended reports whether others wait for a slot.
func (q *Queue) Contended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0
}

// grant gives the free slots to the waiters that are next. Queue.mu must be held.
func (q *Queue) grant() {
	for q.free > 0 && len(q.waiting) > 0 {
		q.decay()
		next := 0
		// There are at most as many waiters as sessions, and each slot is held for long: a scan is cheap
		// enough.
		for i, w := range q.waiting {
			if w.before(q.waiting[next]) {
				next = i
			}
		}
		w := q.waiting[next]
		for _, k := range w.keys {
			k.count++
		}
		q.free--
		w.granted = true
		q.remove(next)
		close(w.ready)
	}
}

func (w *waiter) before(v *waiter) bool {
	if w.first != v.first {
		return w.first
	}
	return w.had() < v.had()
}

func (w *waiter) had() int {
	n := 0
	for _, k := range w.keys {
		n += k.count
	}
	return n
}

// remove removes the i-th waiter. Queue.mu must be held.
func (q *Queue) remove(i int) {
	w := q.waiting[i]
	copy(q.waiting[i:], q.waiting[i+1:])
	q.waiting[len(q.waiting)-1] = nil
	q.waiting = q.waiting[:len(q.waiting)-1]
	for _, k := range w.keys {
		k.waiters--
		q.drop(k)
	}
}

// tally returns the tallies of the keys for a new waiter. Queue.mu must be held.
func (q *Queue) tally(keys []any) []*tally {
	all := make([]*tally, 0, len(keys))
	for _, key := range keys {
		t := q.tallies[key]
		if t == nil {
			t = &tally{key: key}
			q.tallies[key] = t
		}
		t.waiters++
		all = append(all, t)
	}
	return all
}

// drop removes a tally that neither counts anything nor has a waiter. Queue.mu must be held.
func (q *Queue) drop(t *tally) {
	if t.count == 0 && t.waiters == 0 {
		delete(q.tallies, t.key)
	}
}

// decay halves all counts once per tallyDecay. Queue.mu must be held.
func (q *Queue) decay() {
	now := time.Now()
	n := int(now.Sub(q.decayed) / tallyDecay)
	if n == 0 {
		return
	}
	q.decayed = q.decayed.Add(time.Duration(n) * tallyDecay)
	for _, t := range q.tallies {
		t.count >>= min(n, 62)
		q.drop(t)
	}
}

// Counts returns how many slots each key got lately.
func (q *Queue) Counts() map[any]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	counts := map[any]int{}
	for key, t := range q.tallies {
		counts[key] = t.count
	}
	return counts
}

// Free returns the number of free slots. It is negative after Resize, while more slots are taken than there
// are.
func (q *Queue) Free() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.free
}
