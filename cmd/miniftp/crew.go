package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"miniftp/ftp"
)

// crew does several things at once, over the connections that --parallel allows, and
// treats failures as each does: every one is told, the first one decides the exit
// code, and one that would befall the rest as well is told once and ends the work.
type crew struct {
	e     *env
	slots chan struct{} // nil: one thing after the other
	turns chan struct{} // of what needs a connection of its own
	all   sync.WaitGroup

	mu    sync.Mutex
	first error
	over  bool
}

func (e *env) newCrew(size int) *crew {
	c := &crew{e: e, turns: make(chan struct{}, max(size, 1))}
	if size > 1 {
		c.slots = make(chan struct{}, size)
	}
	return c
}

// widen has more things done at once, of those that need no connection of their own.
// It is for the goroutine that calls do.
func (c *crew) widen(size int) { c.slots = make(chan struct{}, size) }

// turn waits until there may be a connection for one more; done gives it back. The
// error is that the work is over.
func (c *crew) turn() (done func(), err error) {
	select {
	case c.turns <- struct{}{}:
	case <-c.e.ctx.Done():
		return nil, context.Cause(c.e.ctx)
	}
	if err := c.ended(); err != nil {
		<-c.turns
		return nil, err
	}
	return func() { <-c.turns }, nil
}

// do runs f, beside the caller if there is more than one at work; it waits until one
// of them has time. The error is that the work is over already.
func (c *crew) do(f func() error) error {
	if c.slots == nil {
		c.judge(f())
		return c.ended()
	}
	slots := c.slots
	select {
	case slots <- struct{}{}:
	case <-c.e.ctx.Done():
		return context.Cause(c.e.ctx)
	}
	if err := c.ended(); err != nil {
		<-slots
		return err
	}
	c.all.Go(func() {
		c.judge(f())
		<-slots
	})
	runtime.Gosched() // as good as in order
	return nil
}

func (c *crew) judge(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over && fatal(err) {
		return // the connections beside the first one end for the same reason
	}
	c.e.sayError(err)
	if c.first == nil {
		c.first = reported{Err: err}
	}
	c.over = c.over || fatal(err)
}

// ended is the reason why there is nothing more to do.
func (c *crew) ended() error {
	if c.e.ctx.Err() != nil {
		return context.Cause(c.e.ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return c.first
	}
	return nil
}

// wait returns the first error when all is done.
func (c *crew) wait() error {
	c.all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// targets are the names that a run has given to files. As cp, nothing is put in the
// place of what the same run has just put there.
type targets map[string]bool

// claim takes a name; from is what would get it.
func (t targets) claim(name, from string) error {
	if t[name] {
		return fmt.Errorf("%s: left out: another file of this run is %s already", ftp.Printable(from), ftp.Printable(name))
	}
	t[name] = true
	return nil
}
