package ftpfs

import (
	"context"
	"errors"
	"sync"
	"time"

	"miniftp/ftp/client"
)

// errQuit is returned when a wait for a connection ended because Fs.Quit ended.
var errQuit = errors.New("the wait for a connection was ended")

// streams counts the files of an Fs that are being read or written. Each holds a connection while its transfer
// runs.
type streams struct {
	mu    sync.Mutex
	open  int
	queue []chan struct{} // waiting operations, in order; a channel is closed when a stream has ended
}

// wait returns the context with which a new operation waits for a connection, and until when it waits while
// all are in use.
func (f *Fs) wait() (ctx context.Context, until time.Time, cancel context.CancelFunc) {
	d := f.Wait
	if d <= 0 {
		d = client.DefaultTimeout
	}
	until = time.Now().Add(d)
	if f.Quit == nil {
		return f.ctx, until, func() {}
	}
	ctx, end := context.WithCancelCause(f.ctx)
	stop := context.AfterFunc(f.Quit, func() { end(errQuit) })
	return ctx, until, func() { stop(); end(nil) }
}

// with calls run with a connection that no other operation uses meanwhile.
func (f *Fs) with(run func(*client.Client) error) error {
	c, err := f.get()
	if err != nil {
		return err
	}
	defer f.pool.Put(c)
	return run(c)
}

func (f *Fs) get() (*client.Client, error) {
	ctx, until, cancel := f.wait()
	defer cancel()
	return f.pool.GetWithin(ctx, time.Until(until))
}

// withStream is with for the transfer of a file.
func (f *Fs) withStream(run func(*client.Client) error) error {
	c, err := f.getStream()
	if err != nil {
		return err
	}
	defer f.putStream(c)
	return run(c)
}

// getStream is get for the transfer of a file. The caller must call putStream after it.
func (f *Fs) getStream() (*client.Client, error) {
	ctx, until, cancel := f.wait()
	defer cancel()
	if err := f.enter(ctx, until); err != nil {
		return nil, err
	}
	c, err := f.pool.GetWithin(ctx, time.Until(until))
	if err != nil {
		f.streams.leave()
	}
	return c, err
}

func (f *Fs) putStream(c *client.Client) {
	f.pool.Put(c)
	f.streams.leave()
}

// enter waits until one more stream is allowed.
func (f *Fs) enter(ctx context.Context, until time.Time) error {
	ctx, cancel := context.WithDeadlineCause(ctx, until, client.ErrNoneFree)
	defer cancel()
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

// giveUp removes a turn from the queue. If it has just come, the next one gets it.
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
