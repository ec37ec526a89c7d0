package client

import (
	"context"
	"errors"
	"sync"
)

// ErrNoneFree is returned by an Fs when no connection of its Pool became free in time.
var ErrNoneFree = errors.New("all connections to the server are in use")

// errQuit is returned when a wait for a connection ended because the Fs's Quit did.
var errQuit = errors.New("the wait for a connection was ended")

// streams counts the files of an Fs that are being read or written. Each has a connection
// for as long as its reader or writer takes.
type streams struct {
	mu    sync.Mutex
	open  int
	queue []chan struct{} // in order; closed when a stream has ended
}

// wait returns the contexts of a new operation: of its wait for a connection that is in
// use, which Wait bounds, and of the dialing of one, which has the Timeout of its Options.
func (f *Fs) wait() (wait, dial context.Context, cancel context.CancelFunc) {
	dial, cancel = f.ctx, func() {}
	if f.Quit != nil {
		ctx, end := context.WithCancelCause(f.ctx)
		stop := context.AfterFunc(f.Quit, func() { end(errQuit) })
		dial, cancel = ctx, func() { stop(); end(nil) }
	}
	d := f.Wait
	if d <= 0 {
		d = DefaultTimeout
	}
	wait, stopTimer := context.WithTimeoutCause(dial, d, ErrNoneFree)
	end := cancel
	return wait, dial, func() { stopTimer(); end() }
}

// with runs an operation with a connection that nobody else uses meanwhile.
func (f *Fs) with(run func(*Client) error) error {
	c, err := f.get()
	if err != nil {
		return err
	}
	defer f.pool.Put(c)
	return run(c)
}

func (f *Fs) get() (*Client, error) {
	wait, dial, cancel := f.wait()
	defer cancel()
	return f.pool.get(wait, dial)
}

// withStream is with for the transfer of a file.
func (f *Fs) withStream(run func(*Client) error) error {
	c, err := f.getStream()
	if err != nil {
		return err
	}
	defer f.putStream(c)
	return run(c)
}

// getStream is get for the transfer of a file; putStream must follow.
func (f *Fs) getStream() (*Client, error) {
	wait, dial, cancel := f.wait()
	defer cancel()
	if err := f.enter(wait); err != nil {
		return nil, err
	}
	c, err := f.pool.get(wait, dial)
	if err != nil {
		f.streams.leave()
	}
	return c, err
}

func (f *Fs) putStream(c *Client) {
	f.pool.Put(c)
	f.streams.leave()
}

// enter waits until there may be one more stream.
func (f *Fs) enter(ctx context.Context) error {
	s := &f.streams
	for first := true; ; first = false {
		s.mu.Lock()
		if s.open < max(1, f.pool.Size()-f.Reserve) && (!first || len(s.queue) == 0) {
			s.open++
			s.mu.Unlock()
			return nil
		}
		turn := make(chan struct{})
		s.queue = append(s.queue, turn)
		s.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			s.giveUp(turn)
			return context.Cause(ctx)
		}
	}
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.wakeLocked()
}

func (s *streams) wakeLocked() {
	if len(s.queue) > 0 {
		close(s.queue[0])
		s.queue = s.queue[1:]
	}
}

// giveUp takes a turn out of the queue, or passes it on if it came just now.
func (s *streams) giveUp(turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.queue {
		if t == turn {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return
		}
	}
	s.wakeLocked()
}
