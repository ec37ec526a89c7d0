package outbox

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Limits of a queue.
const (
	workers     = 4                      // deliveries at once to one receiver
	windowSize  = 1024                   // events among which a queue chooses
	firstWait   = time.Second            // before the second try; doubled after each
	longestWait = 5 * time.Minute        // between two tries
	retryGap    = 100 * time.Millisecond // between two retries of any events, while none succeeds
	deadAfter   = 10                     // tries of an event that the receiver rejects
	downAfter   = 3                      // failures in a row after which a receiver counts as down
)

// queue delivers events to one receiver: those at the same path in their order, others at once. run owns the fields of
// the last group.
type queue struct {
	o        *Outbox
	receiver Receiver
	index    int // its bit in item.left
	wake     chan struct{}
	wait     time.Duration // firstWait, except in tests

	mu      sync.Mutex
	waiting []*item // the oldest first

	window    []*entry // the oldest first
	running   int
	results   chan result
	failures  int // in a row
	nextRetry time.Time
	warned    time.Time
}

// entry is an event in the window of a queue.
type entry struct {
	*item
	event    Event
	tries    int
	due      time.Time
	running  bool
	blockers int      // earlier entries that must be delivered first
	blocks   []*entry // later entries that wait for this one
}

type result struct {
	*entry
	err error
}

func newQueue(o *Outbox, r Receiver, index int) *queue {
	return &queue{o: o, receiver: r, index: index, wake: make(chan struct{}, 1), results: make(chan result, workers), wait: firstWait}
}

func (q *queue) push(it *item) {
	q.mu.Lock()
	q.waiting = append(q.waiting, it)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run delivers until stopping ends, and then waits for the deliveries that run, which end with life.
func (q *queue) run(stopping, life context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for stopping.Err() == nil {
		q.fill()
		if d, ok := q.start(life); ok {
			timer.Reset(d)
		}
		select {
		case r := <-q.results:
			q.over(r)
		case <-q.wake:
		case <-timer.C:
		case <-stopping.Done():
		}
	}
	for q.running > 0 {
		q.over(<-q.results)
	}
}

// fill moves events into the window.
func (q *queue) fill() {
	for len(q.window) < windowSize {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.waiting = nil // of a long queue, the memory is given back
			q.mu.Unlock()
			return
		}
		it := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		event, err := q.o.journal.read(it)
		if err != nil {
			q.o.log.Error("an event can't be delivered, because it can't be read", "receiver", q.receiver.Name, "err", err)
			q.o.died.Add(1)
			q.o.journal.setSent(it, q.index)
			continue
		}
		e := &entry{item: it, event: event}
		for _, earlier := range q.window {
			if precedes(&earlier.event, &event) {
				earlier.blocks = append(earlier.blocks, e)
				e.blockers++
			}
		}
		q.window = append(q.window, e)
	}
}

// precedes reports whether a, which is earlier, must be delivered before b: they have a path in common, or one of them is about
// a directory that may hold the other.
func precedes(a, b *Event) bool {
	if a.Path == "" || b.Path == "" {
		return a.Path == b.Path && a.User == b.User // logins of a user
	}
	for _, p := range []string{a.Path, a.To} {
		for _, r := range []string{b.Path, b.To} {
			if p == "" || r == "" {
				continue
			}
			if p == r || a.isTree() && strings.HasPrefix(r, p+"/") || b.isTree() && strings.HasPrefix(p, r+"/") {
				return true
			}
		}
	}
	return false
}

// start begins the deliveries that are due. It returns when the next one is, if ok.
func (q *queue) start(life context.Context) (in time.Duration, ok bool) {
	now := time.Now()
	for _, e := range q.window {
		if q.running == workers {
			return 0, false
		}
		if e.running || e.blockers > 0 {
			continue
		}
		due := e.due
		if e.tries > 0 && due.Before(q.nextRetry) {
			due = q.nextRetry
		}
		if d := due.Sub(now); d > 0 {
			if !ok || d < in {
				in, ok = d, true
			}
			continue
		}
		if e.tries > 0 {
			q.nextRetry = now.Add(retryGap)
		}
		e.running = true
		q.running++
		go func() { q.results <- result{e, q.deliver(life, e)} }()
	}
	return in, ok
}

// deliver makes one try.
func (q *queue) deliver(life context.Context, e *entry) error {
	ctx, cancel := context.WithTimeout(life, q.receiver.timeout)
	defer cancel()
	return q.receiver.deliver(ctx, &e.event, *q.o.secret.Load())
}

// over handles the end of a try.
func (q *queue) over(r result) {
	q.running--
	e := r.entry
	e.running = false
	if r.err == nil {
		q.o.delivered.Add(1)
		q.remove(e)
		q.worked()
		return
	}
	e.tries++
	q.failures++
	q.o.failed.Add(1)
	if isRejection(r.err) && e.tries >= deadAfter {
		err := q.o.dead.add(&e.event, q.receiver.Name, r.err)
		if err == nil {
			q.o.log.Error("an event was rejected and given up; it is kept in the file dead-letters of the outbox", "receiver", q.receiver.Name, "id", e.event.ID, "kind", e.event.Kind, "tries", e.tries, "why", r.err)
			q.o.died.Add(1)
			q.remove(e)
			return
		}
		q.o.log.Error("the file dead-letters can't be written", "err", err)
	}
	e.due = time.Now().Add(backoff(q.wait, e.tries))
	if time.Since(q.warned) > time.Minute {
		q.warned = time.Now()
		q.o.log.Warn("an event could not be delivered; it is tried again", "receiver", q.receiver.Name, "id", e.event.ID, "tries", e.tries, "why", r.err)
	}
}

// backoff returns how long to wait after so many failed tries.
func backoff(first time.Duration, tries int) time.Duration {
	d := min(first<<min(tries-1, 20), longestWait)
	return d/2 + rand.N(d/2+1)
}

// worked is called after a success. If the receiver was down before, all other events are due now.
func (q *queue) worked() {
	q.nextRetry = time.Time{}
	if q.failures >= downAfter {
		for _, e := range q.window {
			e.due = time.Time{}
		}
		q.o.log.Info("events are delivered again", "receiver", q.receiver.Name)
		q.warned = time.Time{}
	}
	q.failures = 0
}

// remove takes an event that is delivered out of the window.
func (q *queue) remove(e *entry) {
	q.o.journal.setSent(e.item, q.index)
	for _, later := range e.blocks {
		later.blockers--
	}
	for i, other := range q.window {
		if other == e {
			q.window = append(q.window[:i], q.window[i+1:]...)
			break
		}
	}
}
