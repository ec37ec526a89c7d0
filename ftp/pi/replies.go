package pi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/internal/calm"
)

// maxReplies is how many replies may arrive between two commands: some servers repeat the 150 during a
// long transfer.
const maxReplies = 10_000

// ahead is the goroutine that Watch starts, and its state.
type ahead struct {
	replies  chan ftp.Reply // closed when the goroutine ends
	err      error          // why it has ended; set before replies is closed
	gone     atomic.Bool    // it has ended, or has read a 421
	received atomic.Int64   // bytes received, to distinguish a slow server from a silent one
	secured  chan struct{}  // receives when StartTLS has replaced the line reader
	quit     chan struct{}  // closed by Fail
	stopped  sync.WaitGroup
}

// Watch starts a goroutine that reads replies as they arrive, until the connection ends. So a 421 or a lost
// connection is noticed at any time (see Replies), and if a context ends during a wait, the
// connection can still be used. Without Watch a reply is read when a method waits for it, which
// costs less, but the end of a context during a wait also ends the connection.
func (c *Conn) Watch() {
	c.ahead = &ahead{
		replies: make(chan ftp.Reply, 4), secured: make(chan struct{}), quit: make(chan struct{}),
	}
	_ = c.raw.SetReadDeadline(time.Time{}) // that of an earlier reply
	c.ahead.stopped.Go(c.readAhead)
}

// readAhead reads the replies of a watched connection.
func (c *Conn) readAhead() {
	a := c.ahead
	for {
		r, err := c.read()
		if err != nil {
			a.err = err
			a.gone.Store(true)
			close(a.replies)
			return
		}
		if r.Code == 421 {
			a.gone.Store(true)
		}
		select {
		case a.replies <- r:
		case <-a.quit:
			return
		}
		if r.Code == 234 { // the next byte belongs to the TLS handshake
			select {
			case <-a.secured:
			case <-a.quit:
				return
			}
		}
	}
}

// read reads the next reply.
func (c *Conn) read() (ftp.Reply, error) {
	r, err := ftp.ReadReply(c.lines)
	if err == nil && r.Code == 234 && c.lines.Buffered() > 0 {
		err = &TLSError{Err: errEarlyBytes}
	}
	if err != nil {
		return ftp.Reply{}, Cause(err)
	}
	return c.secrets.MaskRefused(c.decode(r)), nil
}

// wire is the reader below the lines. On a watched connection it counts bytes; else it sets a deadline
// for each read. Both allow a server that is slow, but not one that is silent.
type wire struct{ c *Conn }

func (w wire) Read(b []byte) (int, error) {
	c := w.c
	now := time.Now()
	calm.Wait(now)
	if c.ahead != nil {
		n, err := c.conn.Read(b)
		c.ahead.received.Add(int64(n))
		return n, err
	}
	if err := c.raw.SetReadDeadline(now.Add(c.patience())); err != nil {
		return 0, err
	}
	return c.conn.Read(b)
}

// patience returns how long the server may be silent, on a connection that is not watched.
func (c *Conn) patience() time.Duration {
	if d := c.override.Load(); d != 0 {
		return time.Duration(d)
	}
	if c.work {
		return c.cfg.WorkTimeout
	}
	return c.cfg.Timeout
}

// SetPatience sets how long the server may be silent from now on; 0: as long as the Config says. It is for
// connections that are not watched. Another goroutine may call it during a wait, which it affects.
func (c *Conn) SetPatience(d time.Duration) {
	c.override.Store(int64(d))
	if d == 0 {
		d = c.cfg.Timeout
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(d))
}

// Replies returns the channel of replies of a watched connection, for select statements; nil if the connection
// is not watched. Each reply has to be passed to Take. If the channel is closed, Lost returns why.
func (c *Conn) Replies() <-chan ftp.Reply {
	if c.ahead == nil {
		return nil
	}
	return c.ahead.replies
}

// Lost ends a connection whose Replies are closed and returns the *DeadError.
func (c *Conn) Lost() error {
	if c.ahead == nil {
		return c.Fail(ErrClosed)
	}
	return c.Fail(c.ahead.err)
}

// Greeting waits for the first reply.
func (c *Conn) Greeting(ctx context.Context) (ftp.Reply, error) { return c.Final(ctx, ftp.Command{}) }

// Final waits for the final reply to cmd; for the zero Command, for the greeting.
func (c *Conn) Final(ctx context.Context, cmd ftp.Command) (ftp.Reply, error) {
	for {
		r, err := c.Next(ctx, cmd)
		if err != nil {
			return r, err
		}
		stray := c.stray && r.Code == 226 && cmd.Verb != "ABOR"
		c.stray = false
		if r.Code.Class() != ftp.Preliminary && !stray {
			return r, nil
		}
	}
}

// TransferEnded must be called after a transfer. Some servers send a second 226, which then is not mistaken for the
// answer to the next command.
func (c *Conn) TransferEnded() { c.stray = true }

// Next waits for one reply to cmd, which may be preliminary (1xx).
func (c *Conn) Next(ctx context.Context, cmd ftp.Command) (ftp.Reply, error) {
	if c.ahead == nil {
		return c.readNow(ctx, cmd)
	}
	w := c.NewWait()
	defer w.Stop()
	if isWork(cmd.Verb) {
		w.Allow(c.cfg.WorkTimeout)
	}
	for {
		select {
		case r, ok := <-c.ahead.replies:
			if !ok {
				return ftp.Reply{}, c.Lost()
			}
			return r, c.Take(cmd, r)
		case <-ctx.Done():
			return ftp.Reply{}, context.Cause(ctx)
		case <-w.C():
			if w.Over() {
				return ftp.Reply{}, c.Silent(cmd.Verb, w.limit)
			}
		}
	}
}

// readNow is Next for a connection that is not watched.
func (c *Conn) readNow(ctx context.Context, cmd ftp.Command) (ftp.Reply, error) {
	if d := c.dead.Load(); d != nil {
		return ftp.Reply{}, d
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { _ = c.Fail(context.Cause(ctx)) })
		defer stop()
	}
	c.work = isWork(cmd.Verb)
	r, err := c.read()
	switch {
	case err == nil:
		return r, c.Take(cmd, r)
	case ctx.Err() != nil:
		_ = c.Fail(context.Cause(ctx))
		return r, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return r, c.Silent(cmd.Verb, c.patience())
	}
	return r, c.Fail(err)
}

// Take passes the reply to cmd to the machine, the parameters and the Observer. A 421 ends the
// connection, whatever cmd is, and so do more than 10,000 replies to one command.
func (c *Conn) Take(cmd ftp.Command, r ftp.Reply) error {
	c.machine.Step(cmd.Verb, r.Code)
	c.params.Step(cmd, r.Code)
	if c.cfg.Observer != nil {
		c.Tell(ftp.ReplyGiven{Verb: cmd.Verb, Reply: c.secrets.MaskReply(r)})
	}
	if c.left--; c.left < 0 {
		return c.Fail(errFlood)
	}
	if r.Code == 421 {
		return c.Fail(&ftp.Error{Verb: cmd.Verb, Reply: r})
	}
	return nil
}

// Silent ends a connection because the server was silent for limit.
func (c *Conn) Silent(verb string, limit time.Duration) error {
	what := ""
	if verb != "" {
		what = " to " + verb
	}
	return c.Fail(fmt.Errorf("%w%s within %v", ErrTimeout, what, limit))
}

// isWork reports whether a server may have to read a whole file before it can answer a command: to
// hash it, or to rename it in an object store.
func isWork(verb string) bool {
	switch verb {
	case "HASH", "MD5", "XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XSHA512", "RNTO":
		return true
	}
	return false
}

// WorkTimeout returns how long the server may be silent while it works.
func (c *Conn) WorkTimeout() time.Duration { return c.cfg.WorkTimeout }

// Timeout returns how long the server may be silent otherwise.
func (c *Conn) Timeout() time.Duration { return c.cfg.Timeout }

// Wait is a timeout for replies of a watched connection. Received bytes extend it.
type Wait struct {
	a        *ahead
	limit    time.Duration // of a silence
	timer    *time.Timer
	received int64
}

// NewWait starts a Wait of Config.Timeout. On a connection that is not watched, nothing extends it.
func (c *Conn) NewWait() *Wait {
	w := &Wait{a: c.ahead, limit: c.cfg.Timeout, timer: time.NewTimer(c.cfg.Timeout)}
	if w.a == nil {
		w.a = new(ahead)
	}
	w.received = w.a.received.Load()
	return w
}

// C receives when it is time to call Over.
func (w *Wait) C() <-chan time.Time { return w.timer.C }

// Stop ends the wait.
func (w *Wait) Stop() { w.timer.Stop() }

// Limit returns how long the server may be silent.
func (w *Wait) Limit() time.Duration { return w.limit }

// Allow restarts the wait with another limit.
func (w *Wait) Allow(limit time.Duration) {
	w.limit = limit
	w.Restart()
}

// Restart restarts the wait.
func (w *Wait) Restart() {
	w.received = w.a.received.Load()
	w.timer.Reset(w.limit)
}

// Over reports whether the server was silent for the limit. It is called after C has received, and restarts
// the timer if there were bytes.
func (w *Wait) Over() bool {
	now := w.a.received.Load()
	if now == w.received {
		return true
	}
	w.received = now
	w.timer.Reset(w.limit)
	return false
}
