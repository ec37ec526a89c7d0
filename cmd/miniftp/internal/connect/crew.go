package connect

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Crew does several things at once, over the connections that --parallel allows, and
// treats failures as each does: every one is told, the first one decides the exit
// code, and one that would befall the rest as well is told once and ends the work.
type Crew struct {
	Ctx   context.Context // ends when the work is over
	e     *verb.Env
	end   context.CancelCauseFunc
	slots chan struct{} // nil: one thing after the other
	all   sync.WaitGroup

	mu    sync.Mutex
	first error
	over  bool
}

// NewCrew returns a crew that does up to size things at once.
func NewCrew(e *verb.Env, size int) *Crew {
	c := &Crew{e: e}
	c.Ctx, c.end = context.WithCancelCause(e.Ctx)
	if size > 1 {
		c.slots = make(chan struct{}, size)
	}
	return c
}

// widen has more things done at once. It is for the goroutine that calls Do.
func (c *Crew) widen(size int) { c.slots = make(chan struct{}, size) }

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
	case <-c.Ctx.Done():
		return context.Cause(c.Ctx)
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
	if verb.Fatal(err) {
		c.over = true
		c.end(c.first)
	}
}

// Ended returns the reason why there is nothing more to do; nil if there is none.
func (c *Crew) Ended() error { return context.Cause(c.Ctx) }

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

// Several counts the files of a run. When there are many small ones, more of them are moved
// at once, if the server lets them share a connection.
type Several struct {
	seen  int         // small files that came so far
	Drawn bool        // --explain: nobody can follow a ladder of many transfers at once
	many  atomic.Bool // there are many of them
}

// manyFiles is with which small file the question to the server, a round trip, begins to pay,
// and smallFile how large a small file is.
const (
	manyFiles = 8
	smallFile = 256 << 10
)

// Expect counts a file that is about to be handed to the crew. It is for one goroutine.
func (k *Link) Expect(size int64, work *Crew) {
	if k.Several.Drawn || size < 0 || size > smallFile {
		return
	}
	if k.Several.seen++; k.Several.seen != manyFiles {
		return
	}
	k.Several.many.Store(true)
	if n := k.Pool.Parallel(k.Ctx); n > k.Pool.Size() {
		work.widen(n)
	}
}

// Many reports whether there are many small files.
func (k *Link) Many() bool { return k.Several.many.Load() }
