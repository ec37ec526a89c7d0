// Package outbox delivers events of a server to receivers, at least once: uploads, and other changes that the settings name.
//
// An Outbox is the server.Journal of a server. It writes an event to its journal, a directory, before the change is
// made (Begin), and what has become of the change before the reply is sent. An event of which the latter is missing, because the
// server was killed, is compared with the files when the outbox is opened again.
//
// journal.go keeps the events until all receivers have them, deliver.go decides what is delivered when, and exec.go and webhook.go
// deliver. docs/hooks.md says what is promised.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/ftp/server"
)

// Config configures an Outbox.
type Config struct {
	Dir       string
	Size      int64 // bytes of the journal
	Receivers []Receiver
	Server    string // its name, in events
	Log       *slog.Logger
	// Made reports whether the change of an event was made, for one that was about to be when the server was killed.
	Made func(ctx context.Context, c server.Change, began time.Time) (bool, error)
}

// Stats says how far an Outbox is.
type Stats struct {
	Pending                 int       // events that a receiver has not got
	Oldest                  time.Time // of them; zero: there are none
	Delivered, Failed, Dead uint64    // deliveries, tries that failed, and events that were given up
}

// Outbox is the Journal of a server.
type Outbox struct {
	kinds     atomic.Pointer[[]string]
	secret    atomic.Pointer[string] // the file with the secret
	name      string
	log       *slog.Logger
	journal   *journal
	dead      deadLetters
	queues    []*queue
	unlock    func()
	work      sync.WaitGroup
	stop      context.CancelFunc // no more deliveries begin
	cut       context.CancelFunc // the running ones end
	delivered atomic.Uint64
	failed    atomic.Uint64
	died      atomic.Uint64
	fullSaid  atomic.Int64 // when the log said last that the outbox is full, as Unix time

	mu   sync.Mutex
	busy map[string]chan struct{} // paths that a change is being made to; closed when it is over
}

// New returns an Outbox, which must be opened before it is used. Use must be called, too.
func New() *Outbox { return &Outbox{busy: map[string]chan struct{}{}} }

// Use sets which kinds of events are recorded, and the file with the secret of webhooks.
func (o *Outbox) Use(kinds []string, secret string) {
	o.kinds.Store(&kinds)
	o.secret.Store(&secret)
}

// openTime limits how long Open asks storages about changes.
const openTime = time.Minute

// Open opens the journal, and begins to deliver what an earlier run left. Close must be called if it succeeds.
func (o *Outbox) Open(ctx context.Context, c Config) error {
	o.name, o.log = c.Server, c.Log
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	unlock, err := local.Lock(ctx, filepath.Join(c.Dir, "journal"))
	if err != nil {
		return fmt.Errorf("the outbox %s: %w: does another server use it?", c.Dir, err)
	}
	var keys []string
	for _, r := range c.Receivers {
		keys = append(keys, r.key)
	}
	j, events, damaged, err := openJournal(c.Dir, c.Size, keys)
	if err != nil {
		unlock()
		return err
	}
	if damaged > 0 {
		o.log.Warn("lines of the outbox are damaged, perhaps because it was being written when the server was killed", "lines", damaged)
	}
	o.journal, o.unlock, o.dead = j, unlock, deadLetters{dir: c.Dir}
	for i, r := range c.Receivers {
		o.queues = append(o.queues, newQueue(o, r, i))
	}
	o.recover(ctx, c, events)
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	o.stop, o.cut = stop, cut
	for _, q := range o.queues {
		o.work.Go(func() { q.run(stopping, life) })
	}
	return nil
}

// recover queues the events of an earlier run. Those whose outcome is unknown are compared with the files; if that is
// not possible, they are delivered.
func (o *Outbox) recover(ctx context.Context, c Config, events []loaded) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	recovered := 0
	for _, l := range events {
		if !l.made {
			made, err := c.Made(ctx, l.event.change(l.before), l.event.Time)
			if err == nil && !made {
				o.journal.drop(l.item)
				continue
			}
			l.recovered = true
			recovered++
			o.journal.mu.Lock()
			l.item.made = true // in memory only: a restart before the delivery looks again
			o.journal.mu.Unlock()
		}
		o.push(l.item)
	}
	if len(events) > 0 {
		o.log.Info("events of an earlier run are delivered", "events", len(events), "recovered", recovered)
	}
}

// push queues an event for the receivers that have not got it.
func (o *Outbox) push(it *item) {
	left := o.journal.missing(it)
	for i, q := range o.queues {
		if left&(1<<i) != 0 {
			q.push(it)
		}
	}
}

// Ready implements server.Journal.
func (o *Outbox) Ready(verb string) error {
	if !slices.Contains(*o.kinds.Load(), kindOf[verb]) {
		return nil
	}
	return o.said(o.journal.room())
}

// said logs, once a minute at most, that the outbox can't be written.
func (o *Outbox) said(err error) error {
	now, last := time.Now().Unix(), o.fullSaid.Load()
	if err != nil && now-last >= 60 && o.fullSaid.CompareAndSwap(last, now) {
		o.log.Error("events can't be recorded, so what they are about is refused", "err", err)
	}
	return err
}

// turnTime limits how long a change waits for another one at the same path.
const turnTime = 30 * time.Second

var errTurn = errors.New("another change at the same path takes too long")

// Begin implements server.Journal.
func (o *Outbox) Begin(ctx context.Context, c server.Change) (end func(made bool), err error) {
	kind := kindOf[c.Verb]
	if !slices.Contains(*o.kinds.Load(), kind) {
		return nil, nil
	}
	e := newEvent(c, o.name)
	if afterwards(kind) {
		it, err := o.journal.add(isEvent, &e, nil)
		if err == nil {
			o.push(it)
		}
		return nil, o.said(err)
	}
	release, err := o.turn(ctx, c.Path, c.To)
	if err != nil {
		return nil, err
	}
	it, err := o.journal.add(isBegin, &e, &c.Before)
	if err != nil {
		release()
		return nil, o.said(err)
	}
	return func(made bool) {
		defer release()
		if !made {
			o.journal.drop(it)
			return
		}
		o.journal.setMade(it)
		o.push(it)
	}, nil
}

// turn waits until no change is being made at the paths, so that the order of events is that of the changes.
func (o *Outbox) turn(ctx context.Context, paths ...string) (release func(), err error) {
	paths = slices.DeleteFunc(paths, func(p string) bool { return p == "" })
	ctx, cancel := context.WithTimeoutCause(ctx, turnTime, errTurn)
	defer cancel()
	for {
		o.mu.Lock()
		var before chan struct{}
		for _, p := range paths {
			if busy := o.busy[p]; busy != nil {
				before = busy
			}
		}
		if before == nil {
			over := make(chan struct{})
			for _, p := range paths {
				o.busy[p] = over
			}
			o.mu.Unlock()
			return func() {
				o.mu.Lock()
				defer o.mu.Unlock()
				for _, p := range paths {
					delete(o.busy, p)
				}
				close(over)
			}, nil
		}
		o.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Stats returns how far the outbox is.
func (o *Outbox) Stats() Stats {
	s := Stats{Delivered: o.delivered.Load(), Failed: o.failed.Load(), Dead: o.died.Load()}
	var oldest int64
	if s.Pending, oldest = o.journal.pending(); s.Pending > 0 {
		s.Oldest = time.Unix(oldest, 0)
	}
	return s
}

// closeTime is how long Close waits for the deliveries that run.
const closeTime = 5 * time.Second

// Close ends the deliveries. What is not delivered is delivered after the next Open.
func (o *Outbox) Close() {
	if o == nil || o.journal == nil {
		return
	}
	o.stop()
	late := time.AfterFunc(closeTime, o.cut)
	o.work.Wait()
	late.Stop()
	o.cut()
	if n, _ := o.journal.pending(); n > 0 {
		o.log.Warn("events are not delivered yet; the next start continues", "events", n)
	}
	o.journal.close()
	o.unlock()
}
