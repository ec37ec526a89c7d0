package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Pool holds control connections to one server, as one user, for several operations at once. It
// dials when a connection is needed and keeps connections for later. If the server refuses a
// connection because there are too many, the Pool stays at the present number for a minute. Its
// methods are safe for concurrent use.
type Pool struct {
	// A connection is in one of three states, and open counts all of them:
	//
	//	dialing   next has reserved a place (open++)        → in use, or gone (open--)
	//	in use    Get has returned it                       → idle by Put, or gone if it failed
	//	idle      the last one that was used is used first  → in use, or gone if it failed or at Close
	//
	// A Get that finds no free connection waits in queue. Every change that may help wakes the first
	// in the queue, which calls next again; another Get may have been faster. coming counts the calls
	// of Get that were woken and have not called next yet.

	addr string
	opts Options
	rate *rate.Limiter // of all connections together

	turns    chan struct{} // holds one value for each file outside of the chain; see strategy.go
	chaining chan struct{} // a lock for chained that a context can interrupt
	chained  struct {
		asked bool   // the server was asked whether it supports chains
		chain *chain // nil: not supported, or not asked yet
	}

	mu      sync.Mutex // guards the fields below
	size    int        // the size given to NewPool
	most    int        // maximum of open; at least 1, and below size for a while after a 421
	grows   *time.Timer
	open    int        // connections that exist or are being dialed
	idle    []idleConn // the last used one is last
	queue   []chan struct{}
	coming  int // calls of Get that were woken from queue and have not called next yet
	closed  bool
	drained chan struct{} // closed when the Pool is closed and open is 0
}

// idleConn is an idle connection.
type idleConn struct {
	c     *Client
	since time.Time
}

// stale is how long a connection may be idle before it is tested by a NOOP.
const stale = 15 * time.Second

// NewPool returns a Pool of at most size connections (at least 1) to the server at addr. In active
// mode it has no more connections than ActivePorts. Nothing is dialed yet. o is as in Dial; its
// Rate limits all connections together.
func NewPool(addr string, size int, o *Options) *Pool {
	p := &Pool{addr: addr, drained: make(chan struct{})}
	if o != nil {
		p.opts = *o
	}
	if n := p.opts.ActivePorts.Len(); p.opts.Mode == ftp.Active && n > 0 {
		size = min(size, n)
	}
	p.size = max(size, 1)
	p.turns, p.chaining = make(chan struct{}, p.size), make(chan struct{}, 1)
	p.most = p.size
	p.rate = dtp.NewRate(p.opts.Rate)
	p.opts.Rate = 0
	p.opts.history = new(history)
	p.opts.ports, _ = p.opts.activePorts() // Dial reports the error
	return p
}

// Size returns how many connections the Pool may have at once: as many as NewPool was given, or fewer
// if the server has said within the last minute that these were too many.
func (p *Pool) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// Do calls f with a connection that no other caller uses meanwhile. It waits for one if all are in
// use. f must not keep it. The error is that of f, or that of Dial, or ErrClosed after Close.
func (p *Pool) Do(ctx context.Context, f func(*Client) error) error {
	c, err := p.Get(ctx)
	if err != nil {
		return err
	}
	defer p.Put(c) // f may panic
	return f(c)
}

// Get returns a connection, dialing if necessary. The caller must give it back by Put, and must not
// use the Client after that.
func (p *Pool) Get(ctx context.Context) (*Client, error) { return p.get(ctx, ctx) }

// GetWithin is like Get, but if all connections are in use it waits no longer than d and then returns
// ErrNoneFree. Dialing may take the Timeout of the Options in addition.
func (p *Pool) GetWithin(ctx context.Context, d time.Duration) (*Client, error) {
	wait, cancel := context.WithTimeoutCause(ctx, d, ErrNoneFree)
	defer cancel()
	return p.get(wait, ctx)
}

// ErrNoneFree is returned by GetWithin if no connection became free in time.
var ErrNoneFree = errors.New("all connections to the server are in use")

// get implements Get. wait limits the wait for a connection that is in use, ctx everything else.
func (p *Pool) get(wait, ctx context.Context) (*Client, error) {
	woken := false
	for {
		c, dial, turn, err := p.next(woken)
		woken = false
		switch {
		case err != nil:
			return nil, err
		case c != nil && p.usable(ctx, c):
			return &Client{connection: c.c.connection}, nil
		case c != nil:
			p.forget(c.c)
			continue
		case dial:
			cl, again, err := p.dial(ctx)
			if again {
				continue
			}
			return cl, err
		}
		select {
		case <-turn:
			woken = true
		case <-wait.Done():
			p.leave(turn)
			return nil, context.Cause(wait)
		}
	}
}

// wanted reports whether a caller is waiting for a connection.
func (p *Pool) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)+p.coming > 0
}

// letPass waits until the callers that are waiting for a connection now have had one.
func (p *Pool) letPass(ctx context.Context) {
	p.mu.Lock()
	if len(p.queue)+p.coming == 0 || p.closed {
		p.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	p.queue = append(p.queue, turn)
	p.mu.Unlock()
	select {
	case <-turn:
		p.mu.Lock()
		p.coming--
		p.mu.Unlock()
	case <-ctx.Done():
		p.leave(turn)
	}
}

// next decides what Get does: use an idle connection, dial one, or wait for its turn. woken reports
// that its turn has come.
func (p *Pool) next(woken bool) (c *idleConn, dial bool, turn chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if woken {
		p.coming--
	}
	switch n := len(p.idle); {
	case p.closed:
		return nil, false, nil, ErrClosed
	case n > 0:
		last := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return &last, false, nil, nil
	case p.open < p.most:
		p.open++
		return nil, true, nil, nil
	}
	turn = make(chan struct{})
	p.queue = append(p.queue, turn)
	return nil, false, turn, nil
}

// usable reports whether an idle connection can be used. One that was idle for long is tested by a
// NOOP, because the server may have closed it without this side noticing.
func (p *Pool) usable(ctx context.Context, w *idleConn) bool {
	if !w.c.Alive() {
		return false
	}
	if time.Since(w.since) < stale {
		return true
	}
	_, err := w.c.Command(ctx, "NOOP", "")
	return err == nil || isReply(err) && w.c.Alive()
}

// dial opens a connection. If the server accepts no more of them while others are open, again reports
// that the caller has to wait for one of those.
func (p *Pool) dial(ctx context.Context) (c *Client, again bool, err error) {
	c, err = Dial(ctx, p.addr, &p.opts)
	if err == nil {
		c.rate = p.rate
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed {
			p.forget(c)
			return nil, false, ErrClosed
		}
		return c, false, nil
	}
	p.mu.Lock()
	p.open--
	if again = tooMany(err) && p.open > 0; again {
		p.shrinkLocked()
	}
	p.wakeLocked()
	p.mu.Unlock()
	return nil, again, err
}

// shrinkFor is how long a Pool asks for no more connections after the server has refused one: by then
// other users may have left.
var shrinkFor = time.Minute

// shrinkLocked limits the Pool to its present number of connections, for a while.
func (p *Pool) shrinkLocked() {
	p.most = p.open
	if p.grows != nil {
		p.grows.Stop()
	}
	p.grows = time.AfterFunc(shrinkFor, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.most = p.size
		for range min(p.most-p.open, len(p.queue)) {
			p.wakeLocked()
		}
	})
}

// tooMany reports whether a login may have been refused because there are too many: servers reply
// 421 or 530 then. A wrong password is a 530 as well, but not while the same login works on other
// connections.
func tooMany(err error) bool {
	var reply *ftp.Error
	return errors.As(err, &reply) && (reply.Code == 421 || reply.Code == 530)
}

// Put gives back a connection returned by Get. One that has failed is replaced when it is needed. A
// second Put of the same Client does nothing.
func (p *Pool) Put(c *Client) {
	if !c.returned.CompareAndSwap(false, true) {
		return
	}
	c = &Client{connection: c.connection}
	p.mu.Lock()
	if !p.closed && c.Alive() && p.open <= p.most {
		p.idle = append(p.idle, idleConn{c, time.Now()})
		p.wakeLocked()
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.forget(c)
}

// forget closes a connection that counts in open, and makes room for another one.
func (p *Pool) forget(c *Client) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	p.wakeLocked()
}

// wakeLocked lets the first waiting Get look again, and signals Close when no connection is left.
func (p *Pool) wakeLocked() {
	if len(p.queue) > 0 {
		close(p.queue[0])
		p.queue = p.queue[1:]
		p.coming++
	}
	if p.closed && p.open == 0 {
		select {
		case <-p.drained:
		default:
			close(p.drained)
		}
	}
}

// leave removes a turn from the queue. If it has just come, the next one gets it.
func (p *Pool) leave(turn chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, t := range p.queue {
		if t == turn {
			p.queue = append(p.queue[:i], p.queue[i+1:]...)
			return
		}
	}
	p.coming--
	p.wakeLocked()
}

// Close closes the idle connections and waits for those in use to come back. Get returns ErrClosed
// from then on.
func (p *Pool) Close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.grows != nil {
		p.grows.Stop()
	}
	for len(p.queue) > 0 {
		p.wakeLocked()
	}
	p.wakeLocked()
	p.mu.Unlock()
	for _, w := range idle {
		go p.forget(w.c) // concurrently, because each waits for the reply to QUIT
	}
	<-p.drained
	return nil
}
