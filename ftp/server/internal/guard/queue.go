package guard

import (
	"context"
	"sync"
	"time"
)

// Queue hands out a few slots for work that costs processor time: bcrypt and hashes
// of files. A slot that becomes free goes to the one waiting whose keys, such as its
// address, its network and the name given, have had the fewest lately. So a flood that
// shares a name, an address or a network does not keep out callers that do not share it. With equal counts it is first come, first served.
type Queue struct {
	mu      sync.Mutex
	slots   int
	free    int       // fewer than none after Resize, while more than slots are taken
	waiting []*waiter // in order of arrival
	tallies map[any]*tally
	decayed time.Time
}

// waiter is a caller of Acquire. All but ready is guarded by the queue's lock.
type waiter struct {
	keys    []*tally
	first   bool // granted before those that are not, whatever the counts
	ready   chan struct{}
	granted bool
}

// tally counts the slots that went to one key. It exists while the count matters or a
// waiter has it.
type tally struct {
	key     any
	count   int
	waiters int
}

// NewQueue returns a queue for so many slots; at least one.
func NewQueue(slots int) *Queue {
	return &Queue{slots: max(slots, 1), free: max(slots, 1), tallies: map[any]*tally{}, decayed: time.Now()}
}

// Acquire waits for a slot, until ctx ends. Keys are values that can be compared; those of
// different kinds must have different types. first callers come before the others.
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
	if w.granted { // just now: pass it on
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

// grant gives the free slots to the waiters that are next. The lock is held.
func (q *Queue) grant() {
	for q.free > 0 && len(q.waiting) > 0 {
		q.decay()
		next := 0
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

// remove takes the i-th waiter out. The lock is held.
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

func (q *Queue) drop(t *tally) {
	if t.count == 0 && t.waiters == 0 {
		delete(q.tallies, t.key)
	}
}

// decay halves the counts as time goes by. The lock is held.
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

// Counts returns how many slots each key had lately.
func (q *Queue) Counts() map[any]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	counts := map[any]int{}
	for key, t := range q.tallies {
		counts[key] = t.count
	}
	return counts
}

// Free returns how many slots nobody has: fewer than none after Resize, as long as more are taken.
func (q *Queue) Free() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.free
}
