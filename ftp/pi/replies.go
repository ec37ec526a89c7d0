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
)

// maxReplies is how many replies may come on what was sent last: some servers say 150
// again and again in a long transfer.
const maxReplies = 10_000

// ahead is the goroutine that reads all the time, behind Watch.
type ahead struct {
	replies chan ftp.Reply // closed when the reader ends
	err     error          // why replies was closed
	gone    atomic.Bool    // the reader ended, or read a 421
	heard   atomic.Int64   // bytes that came, to tell a slow server from a silent one
	secured chan struct{}  // StartTLS has put TLS under the lines
	quit    chan struct{}  // closed when the connection is given up
	stopped sync.WaitGroup
}

// Watch has the replies read as they come, by a goroutine of its own that ends with the
// connection. So a 421 or a lost connection is noticed while something else is waited for
// (see Replies), and a wait that ctx ends leaves the connection as it is. Without Watch a
// reply is read when it is asked for, which costs less, and a wait that ctx ends is the end
// of the connection.
func (c *Conn) Watch() {
	c.ahead = &ahead{
		replies: make(chan ftp.Reply, 4), secured: make(chan struct{}), quit: make(chan struct{}),
	}
	_ = c.raw.SetReadDeadline(time.Time{}) // that of an earlier reply
	c.ahead.stopped.Go(c.readAhead)
}

// readAhead is the one reader of a watched connection.
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
		if r.Code == 234 { // the next byte is TLS's
			select {
			case <-a.secured:
			case <-a.quit:
				return
			}
		}
	}
}

// read takes the next reply off the connection.
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

// wire is the connection as the lines are read from it: it counts what comes, or has a
// deadline for each read. Slow is fine, silent is not.
type wire struct{ c *Conn }

func (w wire) Read(b []byte) (int, error) {
	c := w.c
	if c.ahead != nil {
		n, err := c.conn.Read(b)
		c.ahead.heard.Add(int64(n))
		return n, err
	}
	if err := c.raw.SetReadDeadline(time.Now().Add(c.patience())); err != nil {
		return 0, err
	}
	return c.conn.Read(b)
}

// patience is how long a silence may last on a connection that is not watched.
func (c *Conn) patience() time.Duration {
	if late := c.late.Load(); late != 0 {
		return time.Duration(late)
	}
	if c.work {
		return c.cfg.WorkTimeout
	}
	return c.cfg.Timeout
}

// SetPatience says how long a silence may last from now on, the one that is going on
// included; 0: as long as the Config says. It is for a connection that is not watched, and
// may be called while another goroutine waits for a reply.
func (c *Conn) SetPatience(d time.Duration) {
	c.late.Store(int64(d))
	if d == 0 {
		d = c.cfg.Timeout
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(d))
}

// Replies are those of a watched connection, for who waits for something else as well; nil if it
// is not watched. Each one has to be given to Take; when the channel is closed, Lost says why.
func (c *Conn) Replies() <-chan ftp.Reply {
	if c.ahead == nil {
		return nil
	}
	return c.ahead.replies
}

// Lost ends a connection whose Replies were closed.
func (c *Conn) Lost() error {
	if c.ahead == nil {
		return c.Fail(ErrClosed)
	}
	return c.Fail(c.ahead.err)
}

// Greeting waits for the first reply.
func (c *Conn) Greeting(ctx context.Context) (ftp.Reply, error) { return c.Final(ctx, ftp.Command{}) }

// Final waits for the final reply to cmd; the zero Command is the greeting.
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

// TransferEnded says that a transfer is over: a second 226 to it, which some servers send,
// is no answer to the next command.
func (c *Conn) TransferEnded() { c.stray = true }

// Next waits for one reply to cmd, be it preliminary.
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

// readNow is Next where nobody reads ahead.
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

// Take makes the reply to cmd known: to the machine, the parameters and the
// Observer. A 421 is the end, whatever it answers, and so are replies without end.
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

// Silent ends a connection on which nothing came for so long.
func (c *Conn) Silent(verb string, limit time.Duration) error {
	what := ""
	if verb != "" {
		what = " to " + verb
	}
	return c.Fail(fmt.Errorf("%w%s within %v", ErrTimeout, what, limit))
}

// isWork reports whether a server may have to read a whole file before it answers a
// command: to hash it, or to rename it in a store of objects.
func isWork(verb string) bool {
	switch verb {
	case "HASH", "MD5", "XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XSHA512", "RNTO":
		return true
	}
	return false
}

// WorkTimeout is how long the server may work without a word.
func (c *Conn) WorkTimeout() time.Duration { return c.cfg.WorkTimeout }

// Timeout is how long the server may be silent otherwise.
func (c *Conn) Timeout() time.Duration { return c.cfg.Timeout }

// Wait is a wait for replies of a watched connection that lasts as long as bytes keep coming.
type Wait struct {
	a     *ahead
	limit time.Duration // of a silence
	timer *time.Timer
	heard int64
}

// NewWait begins a wait of Config.Timeout. On a connection that is not watched nothing is heard.
func (c *Conn) NewWait() *Wait {
	w := &Wait{a: c.ahead, limit: c.cfg.Timeout, timer: time.NewTimer(c.cfg.Timeout)}
	if w.a == nil {
		w.a = new(ahead)
	}
	w.heard = w.a.heard.Load()
	return w
}

// C fires when it is time to ask whether the wait is Over.
func (w *Wait) C() <-chan time.Time { return w.timer.C }

// Stop ends the wait.
func (w *Wait) Stop() { w.timer.Stop() }

// Limit is how long a silence may last.
func (w *Wait) Limit() time.Duration { return w.limit }

// Allow begins the wait anew, with another limit.
func (w *Wait) Allow(limit time.Duration) {
	w.limit = limit
	w.Restart()
}

// Restart begins the wait anew.
func (w *Wait) Restart() {
	w.heard = w.a.heard.Load()
	w.timer.Reset(w.limit)
}

// Over is called when C fired. It starts the timer again if something came.
func (w *Wait) Over() bool {
	now := w.a.heard.Load()
	if now == w.heard {
		return true
	}
	w.heard = now
	w.timer.Reset(w.limit)
	return false
}
