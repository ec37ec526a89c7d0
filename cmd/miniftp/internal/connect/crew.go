package connect

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Crew does several things at once, over the connections that --parallel allows, and
// treats failures as each does: every one is told, the first one decides the exit
// code, and one that would befall the rest as well is told once and ends the work.
type Crew struct {
	e     *verb.Env
	slots chan struct{} // nil: one thing after the other
	turns chan struct{} // of what needs a connection of its own
	all   sync.WaitGroup

	mu    sync.Mutex
	first error
	over  bool
}

// NewCrew returns a crew that does up to size things at once.
func NewCrew(e *verb.Env, size int) *Crew {
	c := &Crew{e: e, turns: make(chan struct{}, max(size, 1))}
	if size > 1 {
		c.slots = make(chan struct{}, size)
	}
	return c
}

// widen has more things done at once, of those that need no connection of their own.
// It is for the goroutine that calls Do.
func (c *Crew) widen(size int) { c.slots = make(chan struct{}, size) }

// Turn waits until there may be a connection for one more; done gives it back. The
// error is that the work is over.
func (c *Crew) Turn() (done func(), err error) {
	select {
	case c.turns <- struct{}{}:
	case <-c.e.Ctx.Done():
		return nil, context.Cause(c.e.Ctx)
	}
	if err := c.Ended(); err != nil {
		<-c.turns
		return nil, err
	}
	return func() { <-c.turns }, nil
}

// Do runs f, beside the caller if there is more than one at work; it waits until one
// of them has time. The error is that the work is over already.
func (c *Crew) Do(f func() error) error {
	if c.slots == nil {
		c.Judge(f())
		return c.Ended()
	}
	slots := c.slots
	select {
	case slots <- struct{}{}:
	case <-c.e.Ctx.Done():
		return context.Cause(c.e.Ctx)
	}
	if err := c.Ended(); err != nil {
		<-slots
		return err
	}
	c.all.Go(func() {
		c.Judge(f())
		<-slots
	})
	runtime.Gosched() // as good as in order
	return nil
}

// Judge reports err, if non-nil, and ends the work if the rest would fail alike.
func (c *Crew) Judge(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over && verb.Fatal(err) {
		return // the connections beside the first one end for the same reason
	}
	c.e.SayError(err)
	if c.first == nil {
		c.first = verb.Reported{Err: err}
	}
	c.over = c.over || verb.Fatal(err)
}

// Ended returns the reason why there is nothing more to do; nil if there is none.
func (c *Crew) Ended() error {
	if c.e.Ctx.Err() != nil {
		return context.Cause(c.e.Ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return c.first
	}
	return nil
}

// Wait waits until all is done, and returns the first error.
func (c *Crew) Wait() error {
	c.all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// Targets are the names that a run has given to files. As cp, nothing is put in the
// place of what the same run has just put there.
type Targets map[string]bool

// Claim takes a name; from is what would get it.
func (t Targets) Claim(name, from string) error {
	if t[name] {
		return fmt.Errorf("%s: left out: another file of this run is %s already", ftp.Printable(from), ftp.Printable(name))
	}
	t[name] = true
	return nil
}

// Chaining is what a server is asked for when there are many small files: to have them in
// block mode, a chain of commands over one connection. Without it they go one by one,
// over as many connections as --parallel allows.
type Chaining struct {
	seen  int  // small files that came so far
	Drawn bool // --explain: nobody can follow a ladder of many transfers at once
	chain atomic.Pointer[client.Chain]
}

// manyFiles is with which small file the question, a round trip, begins to pay.
const manyFiles = 8

// Expect counts a file that is about to be handed to the crew. It is for one goroutine.
func (k *Link) Expect(size int64, work *Crew) {
	if k.Chaining.Drawn || size < 0 || size > client.ChainMost {
		return
	}
	if k.Chaining.seen++; k.Chaining.seen != manyFiles {
		return
	}
	if ch := k.Pool.Chain(k.Ctx); ch != nil {
		k.Chaining.chain.Store(ch)
		work.widen(client.ChainWindow)
	}
}

// Chain returns the chain for small files; nil, which its methods allow, before there are many.
func (k *Link) Chain() *client.Chain { return k.Chaining.chain.Load() }
