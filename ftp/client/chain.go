package client

import (
	"context"
	"errors"
	"slices"
	"sync"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// chain runs the transfers of many callers over one control connection and, in block
// mode, one data connection (RFC 959 §3.3, §3.4.2). Commands are sent without waiting
// for the replies to those before: a block says where its file ends, so the next file
// may follow at once, and a round trip serves as many files as are under way. Each is
// judged by its own reply.
//
// RETR may be sent behind a RETR whatever becomes of that one: a file that is refused has
// no bytes. The bytes of a STOR that is refused would be the next one's, but that the
// server ends the data connection then, as ours promises by its feature MODE B AHEAD.
// Only servers that name this feature get a chain.
//
// A connection is taken out of the Pool while there is something to do, and is given to
// others who wait for one. What goes wrong is errNotChained: the caller does it again in the
// ordinary way. A chain is safe for concurrent use; it helps only when several goroutines
// share it. It need not be closed.
type chain struct {
	p        *Pool
	features ftp.Features // of the server

	mu      sync.Mutex
	queue   []*link
	running bool
	off     bool               // it went wrong too often
	setup   context.CancelFunc // while a connection is made ready: gives that up
	news    chan struct{}
	leave   chan struct{} // somebody waits no longer for a link that was sent
	breaks  int           // without a transfer that went well
}

const (
	// chainWindow is how many transfers of a chain may be under way.
	chainWindow = 256
	// chainMost is up to how many bytes a file is worth a chain: a larger one is better
	// moved by the kernel.
	chainMost = 256 << 10
	// chainBytes is how long the commands under way may be: a server that waits for data
	// need not read more.
	chainBytes = 32 << 10
	maxBreaks  = 3
)

// errNotChained is returned for what has to be done in the ordinary way: the file does not
// suit a chain, the server does not go along, or the connection broke.
var errNotChained = errors.New("it has to be done without sending ahead")

// newChain agrees with the server on block mode, which costs a round trip or two. It returns
// nil if the server does not name the feature MODE B AHEAD, or the Options ask for another
// mode. The error is that nobody could be asked.
func (p *Pool) newChain(ctx context.Context) (*chain, error) {
	ch := &chain{p: p, news: make(chan struct{}, 1), leave: make(chan struct{}, 1)}
	yes := false
	err := p.Do(ctx, func(c *Client) error {
		if c.opts.TransferMode != AutoMode && c.opts.TransferMode != BlockMode {
			return nil
		}
		if !blocksAhead(c.features["MODE"]) {
			return nil
		}
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		err := c.setMode(ctx, ftp.Block)
		yes, ch.features = err == nil, c.features
		return err
	})
	switch {
	case err != nil && !isReply(err):
		return nil, err
	case !yes:
		return nil, nil
	}
	return ch, nil
}

// transfer runs a job. The Result's Final is the transfer's own reply.
func (ch *chain) transfer(ctx context.Context, j *job) (Result, error) {
	if err := sendable(j.arg); err != nil {
		return Result{}, err
	}
	l := &link{cmds: []ftp.Command{{Verb: j.verb, Arg: j.arg}}, job: j}
	err := ch.do(ctx, l)
	res := Result{Bytes: l.data.Bytes, Took: l.took, Mode: ch.p.opts.Mode}
	if len(l.replies) > 0 {
		res.Final = l.replies[0]
	}
	if err == nil {
		res.Verified = "reply"
		if j.want >= 0 && j.dir == ftp.Retrieve {
			res.Verified = "size and reply"
		}
	}
	return res, err
}

// commands runs commands of which each may be sent whatever is replied to the one before.
func (ch *chain) commands(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	for _, cmd := range cmds {
		if err := sendable(cmd.Arg); err != nil {
			return nil, err
		}
	}
	l := &link{cmds: cmds}
	err := ch.do(ctx, l)
	return l.replies, err
}

// do hands a link over and waits for its end. If ctx ends before, a link that was not sent
// yet is taken back, and one that was sent ends the data connection: nothing can end one
// file of it alone. The others are done again.
func (ch *chain) do(ctx context.Context, l *link) error {
	l.done = make(chan struct{})
	ch.mu.Lock()
	if ch.off || ctx.Err() != nil {
		ch.mu.Unlock()
		return errNotChained
	}
	ch.queue = append(ch.queue, l)
	if !ch.running {
		ch.running = true
		go ch.run()
	}
	ch.mu.Unlock()
	select {
	case ch.news <- struct{}{}:
	default:
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
	}
	if ch.takeBack(l) {
		return context.Cause(ctx)
	}
	l.unwanted.Store(true)
	select {
	case ch.leave <- struct{}{}:
	default:
	}
	<-l.done
	if l.err == nil {
		return nil
	}
	return context.Cause(ctx)
}

// takeBack removes a link from the queue. It returns false if the link was sent.
func (ch *chain) takeBack(l *link) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	i := slices.Index(ch.queue, l)
	if i < 0 {
		return false
	}
	ch.queue = slices.Delete(slices.Clone(ch.queue), i, i+1)
	if len(ch.queue) == 0 && ch.setup != nil {
		ch.setup()
	}
	return true
}

// take is the next links to send, none if others wait for the connection.
func (ch *chain) take(room, bytes int) []*link {
	if ch.p.wanted() {
		return nil
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	n := 0
	for n < len(ch.queue) && n < room && bytes > 0 {
		bytes -= ch.queue[n].length()
		n++
	}
	some := ch.queue[:n:n]
	ch.queue = ch.queue[n:]
	return some
}

// run serves the queue until it is empty.
func (ch *chain) run() {
	for {
		err := ch.serve()
		ch.mu.Lock()
		if err != nil {
			ch.breaks++
			ch.off = ch.off || ch.breaks >= maxBreaks
		}
		if !ch.off && len(ch.queue) > 0 {
			ch.mu.Unlock()
			continue
		}
		for _, l := range ch.queue {
			l.finish(errNotChained)
		}
		ch.queue, ch.running = nil, false
		ch.mu.Unlock()
		return
	}
}

// serve runs links over one connection of the Pool until there are none, or somebody
// else wants it.
func (ch *chain) serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ch.setUp(cancel)
	defer ch.setUp(nil)
	ch.p.letPass(ctx)
	c, err := ch.p.Get(ctx)
	if err != nil {
		return unless(ctx, err)
	}
	defer ch.p.Put(c)
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	opener, err := ch.offer(ctx, c)
	if err != nil {
		if isReply(err) && refused(err) {
			ch.turnOff()
		}
		return unless(ctx, err)
	}
	ch.setUp(nil)
	d := &drive{ch: ch, c: c, opener: opener, files: make(chan *link, chainWindow), moved: make(chan *link, chainWindow)}
	return d.run()
}

// setUp notes how to give up making a connection ready; nil: that is over.
func (ch *chain) setUp(cancel context.CancelFunc) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.setup = cancel
}

// unless is err, nil if it came of the end of ctx: nobody waits for a link any more.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (ch *chain) isOff() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.off
}

func (ch *chain) turnOff() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.off = true
}

// offer makes a connection ready for a chain: MODE B, TYPE I, a data connection.
func (ch *chain) offer(ctx context.Context, c *Client) (*dtp.Opener, error) {
	if err := c.setMode(ctx, ftp.Block); err != nil {
		return nil, err
	}
	j := &job{typ: ftp.Image}
	get := c.ready
	if c.data.Stands() {
		get = c.readyStanding
	}
	if err := get(ctx, j); err != nil {
		c.data.Close()
		return nil, err
	}
	return c.data.Take()
}
