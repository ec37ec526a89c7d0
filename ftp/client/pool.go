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

// Pool holds control connections to one server, as one user, for several
// operations at once. Connections are made when they are needed and kept for the
// next one. A server that lets in fewer than the Pool may have makes it smaller for a
// minute.
// Its methods are safe for concurrent use.
type Pool struct {
	addr string
	opts Options
	rate *rate.Limiter // of all connections together

	turns    chan struct{} // one for each file that is not in the chain; see strategy.go
	chaining chan struct{} // one for who uses chained
	chained  struct {
		asked bool   // the server has said whether there may be one
		chain *chain // nil: the server may not have one, or was not asked yet
	}

	mu      sync.Mutex
	size    int // as NewPool was told
	most    int // connections at once; never less than 1, less than size for a while after a 421
	grows   *time.Timer
	open    int       // that stand, or are being made
	idle    []waiting // the one that was used last at the end
	queue   []chan struct{}
	coming  int // that were in the queue, and have not looked yet
	closed  bool
	nothing chan struct{} // closed when closed and none is open
}

// waiting is a connection that nobody uses.
type waiting struct {
	c     *Client
	since time.Time
}

// stale is how long a connection may wait before it is asked whether it still stands.
const stale = 15 * time.Second

// NewPool makes a Pool of at most size connections (at least 1) to the server at
// addr; of no more than there are ActivePorts in active mode. Nothing is dialed yet. Options are those of Dial; Rate limits all
// connections together.
func NewPool(addr string, size int, o *Options) *Pool {
	p := &Pool{addr: addr, nothing: make(chan struct{})}
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
	p.opts.ports, _ = p.opts.activePorts() // Dial says what is wrong with them
	return p
}

// Size is how many connections the Pool may have at once: as many as were asked
// for, or fewer if the server said within the last minute that these were too many.
func (p *Pool) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// Do runs f with a connection that nobody else uses meanwhile. It waits for one if
// all are in use. f must not keep it. The error is f's, or why there is no
// connection, as of Dial; ErrClosed after Close.
func (p *Pool) Do(ctx context.Context, f func(*Client) error) error {
	c, err := p.Get(ctx)
	if err != nil {
		return err
	}
	defer p.Put(c) // f may panic
	return f(c)
}

// Get takes a connection out, dialing if need be; it must go back by Put. The Client is
// good until then: each Get returns another one.
func (p *Pool) Get(ctx context.Context) (*Client, error) { return p.get(ctx, ctx) }

// GetWithin is Get that waits no longer than that for a connection while all are in use, and
// fails with ErrNoneFree then. To dial one may take the Timeout of the Options, not counted here.
func (p *Pool) GetWithin(ctx context.Context, d time.Duration) (*Client, error) {
	wait, cancel := context.WithTimeoutCause(ctx, d, ErrNoneFree)
	defer cancel()
	return p.get(wait, ctx)
}

// ErrNoneFree is returned when no connection of a Pool became free in time.
var ErrNoneFree = errors.New("all connections to the server are in use")

// get is Get. wait bounds the wait for a connection that is in use, ctx the rest.
func (p *Pool) get(wait, ctx context.Context) (*Client, error) {
	woken := false
	for {
		c, dial, turn, err := p.next(woken)
		woken = false
		switch {
		case err != nil:
			return nil, err
		case c != nil && p.stands(ctx, c):
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

// wanted reports whether somebody waits for a connection.
func (p *Pool) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)+p.coming > 0
}

// letPass waits until those who wait for a connection now have had theirs.
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

// next is what Get does next: use an idle connection, dial one, or wait for its turn.
// woken: its turn has come.
func (p *Pool) next(woken bool) (c *waiting, dial bool, turn chan struct{}, err error) {
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

// stands reports whether an idle connection can be used. One that waited long may
// have been ended by the server without a word.
func (p *Pool) stands(ctx context.Context, w *waiting) bool {
	if !w.c.Alive() {
		return false
	}
	if time.Since(w.since) < stale {
		return true
	}
	_, err := w.c.Command(ctx, "NOOP", "")
	return err == nil || isReply(err) && w.c.Alive()
}

// dial makes a connection. If the server has enough of them, another one that
// stands is waited for instead: again.
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

// shrinkFor is how long a Pool asks for no more connections after the server has refused
// one: others may have gone by then.
var shrinkFor = time.Minute

// shrinkLocked leaves the Pool the connections that it has, for a while.
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

// tooMany reports whether a refused login may have been one too many: servers say
// 421 or 530 then. A wrong password is a 530, too, but not while others are inside.
func tooMany(err error) bool {
	var reply *ftp.Error
	return errors.As(err, &reply) && (reply.Code == 421 || reply.Code == 530)
}

// Put gives a connection of Get back. One that died is replaced when it is needed. A
// second Put of the same Client does nothing.
func (p *Pool) Put(c *Client) {
	if !c.returned.CompareAndSwap(false, true) {
		return
	}
	c = &Client{connection: c.connection}
	p.mu.Lock()
	if !p.closed && c.Alive() && p.open <= p.most {
		p.idle = append(p.idle, waiting{c, time.Now()})
		p.wakeLocked()
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.forget(c)
}

// forget closes a connection and makes room for another one.
func (p *Pool) forget(c *Client) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	p.wakeLocked()
}

// wakeLocked lets the first who waits look again.
func (p *Pool) wakeLocked() {
	if len(p.queue) > 0 {
		close(p.queue[0])
		p.queue = p.queue[1:]
		p.coming++
	}
	if p.closed && p.open == 0 {
		select {
		case <-p.nothing:
		default:
			close(p.nothing)
		}
	}
}

// leave takes a turn out of the queue, or passes it on if it came just now.
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

// Close ends the connections that nobody uses, and waits for those that are in
// use to come back. Get fails from then on.
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
		go p.forget(w.c) // side by side, as each waits for its server's goodbye
	}
	<-p.nothing
	return nil
}
