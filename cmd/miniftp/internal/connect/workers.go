package connect

import (
	"context"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Workers run several functions at once, as many as --parallel allows. Like verb.Each it reports every
// failure, and the first one decides the exit code. A failure that all other functions would have as well
// is reported once and ends the work.
type Workers struct {
	Ctx   context.Context // ends when the work ends: after such a failure, or an interrupt
	e     *verb.Env
	end   context.CancelCauseFunc
	slots chan struct{} // nil: Do runs functions itself, one after the other
	all   sync.WaitGroup

	mu    sync.Mutex
	first error // the first failure, already reported
	over  bool  // a failure has ended the work
}

// NewWorkers returns Workers that run up to size functions at once.
func NewWorkers(e *verb.Env, size int) *Workers {
	c := &Workers{e: e}
	c.Ctx, c.end = context.WithCancelCause(e.Ctx)
	if size > 1 {
		c.slots = make(chan struct{}, size)
	}
	return c
}

// widen sets the number of functions that run at once. Only the goroutine that calls Do may call it.
func (c *Workers) widen(size int) { c.slots = make(chan struct{}, size) }

// Do runs f: in the caller's goroutine if the Workers run one function at a time, else in a new goroutine as
// soon as a slot is free. Failures of f go to Judge; Do returns an error only if the work has ended.
func (c *Workers) Do(f func() error) error {
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
	runtime.Gosched() // so that functions usually begin in order
	return nil
}

// Judge reports err, if non-nil, and ends the work if the other functions would fail for the same reason.
func (c *Workers) Judge(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over && verb.Fatal(err) {
		return // the other connections fail for the same reason
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

// Ended returns why the work has ended, or nil if it has not.
func (c *Workers) Ended() error { return context.Cause(c.Ctx) }

// Wait waits for all functions to return, and returns the first error.
func (c *Workers) Wait() error {
	c.all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// Targets holds the names to which a run has written files. Like cp, a run does not overwrite a file that
// it has written itself. There may be very many, so it holds only a hash of each; that two names have the same one is
// out of the question with 128 bits.
type Targets map[[2]uint64]struct{}

// seeds are those of the two halves of a hash.
var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// Claim reserves a name for the file from. It returns an error if the name is taken.
func (t Targets) Claim(name, from string) error {
	hash := [2]uint64{maphash.String(seeds[0], name), maphash.String(seeds[1], name)}
	if _, taken := t[hash]; taken {
		return fmt.Errorf("%s: skipped: another file of this run was already written to %s", ftp.Printable(from), ftp.Printable(name))
	}
	t[hash] = struct{}{}
	return nil
}

// Several counts the small files of a run. If there are many, more of them are transferred at once, provided
// that the server lets them share a connection.
type Several struct {
	seen  int         // small files so far
	Drawn bool        // --explain is set: a ladder of many transfers at once would be unreadable
	many  atomic.Bool // there are many small files
}

// manyFiles is the number of small files from which it is worth asking the server, at the cost of a round trip,
// whether they can share a connection. smallFile is the maximum size of a small file.
const (
	manyFiles = 8
	smallFile = 256 << 10
)

// Expect counts a file that is about to be handed to work. All calls must come from one goroutine.
func (k *Link) Expect(size int64, work *Workers) {
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
