package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// chain runs the transfers of many callers over one control connection and, in block mode, one data
// connection (RFC 959 §3.3, §3.4.2). It sends commands without waiting for the replies to earlier
// ones: a block marks the end of a file, so the next file may follow at once, and all files under
// way share each round trip. Each file is still judged by its own reply.
//
// A RETR may follow a RETR whatever happens to the first: a file that is refused has no bytes. For
// STOR that is not so: bytes already sent for a refused file would be mistaken for those of the next.
// Therefore only servers with the feature MODE B AHEAD get a chain: they close the data connection
// when they refuse a STOR.
//
// The chain takes a connection from the Pool while there is something to do, and gives it back when
// another caller waits for one. If anything goes wrong, the caller gets errNotChained and moves the
// file in the ordinary way. A chain is safe for concurrent use; it helps only when several goroutines
// share it. It need not be closed.
//
//	goroutine         owns
//	callers (do)      nothing: they append to queue and wait for link.done
//	run, drive.loop   the Client, and the sent links
//	drive.move        the data connection, and the data of one link at a time
type chain struct {
	p        *Pool
	features ftp.Features // of the server
	parallel int          // how many files should be under way

	mu      sync.Mutex         // guards the fields below except the channels
	queue   []*link            // not yet sent
	running bool               // run has a goroutine
	off     bool               // it failed too often, or the server does not support it
	setup   context.CancelFunc // cancels the preparation of a connection; nil: none is under way
	news    chan struct{}      // the queue has grown
	leave   chan struct{}      // a caller no longer waits for a link that was sent
	breaks  int                // failures since the last successful transfer
}

const (
	// chainWindow is the maximum number of transfers under way in a chain.
	chainWindow = 256
	// nearWindow is how many files should be under way if the server replies within nearReply: more would hide no round
	// trip, but each takes about 20 KiB of memory.
	nearWindow = 32
	nearReply  = 2 * time.Millisecond
	// chainMost is the largest file for a chain, in bytes. Larger files are better moved by the
	// kernel.
	chainMost = 256 << 10
	// chainBytes is the maximum length of all commands under way. A server that waits for data
	// need not read more, so that a longer write might block forever.
	chainBytes = 32 << 10
	// maxBreaks is how often in a row the chain may fail before it is turned off.
	maxBreaks = 3
)

// errNotChained is returned if a file has to be moved in the ordinary way: it does not suit a chain,
// the server does not cooperate, or the connection failed.
var errNotChained = errors.New("the file can't be moved in a chain")

// newChain negotiates block mode, which costs a round trip or two. It returns nil if the server does
// not have the feature MODE B AHEAD or the Options require another mode. It returns an error if the
// server could not be asked.
func (p *Pool) newChain(ctx context.Context) (*chain, error) {
	ch := &chain{p: p, parallel: chainWindow, news: make(chan struct{}, 1), leave: make(chan struct{}, 1)}
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
		already, began := c.pi.Params().Mode == ftp.Block, time.Now()
		err := c.setMode(ctx, ftp.Block)
		if !already && time.Since(began) < nearReply {
			ch.parallel = nearWindow
		}
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

// transfer runs a job. The Final of the Result is the reply to this transfer.
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

// commands runs several commands that do not depend on each other's replies.
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

// do queues a link and waits for its end. If ctx ends first, a link that was not sent is taken back.
// One that was sent makes the drive close the data connection, because a single file of it can't be
// aborted; the other files are then moved in the ordinary way.
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

// takeBack removes a link from the queue. It returns false if the link was sent already.
func (ch *chain) takeBack(l *link) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	i := slices.Index(ch.queue, l)
	if i < 0 {
		return false
	}
	// Clone, because take has handed out slices of the same array.
	ch.queue = slices.Delete(slices.Clone(ch.queue), i, i+1)
	if len(ch.queue) == 0 && ch.setup != nil {
		ch.setup()
	}
	return true
}

// take returns the next links to send, or none if other callers wait for the connection.
func (ch *chain) take(room, bytes int) []*link {
	// Without this a chain whose queue never empties would keep its connection forever.
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

// serve runs links over one connection of the Pool, until there are none left or another caller
// waits for the connection.
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

// setUp sets how to cancel the preparation of a connection. nil means that it has ended.
func (ch *chain) setUp(cancel context.CancelFunc) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.setup = cancel
}

// unless returns err, or nil if ctx has ended: then no caller waits for a link any more.
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

// offer prepares a connection for a chain: MODE B, TYPE I, and a data connection.
func (ch *chain) offer(ctx context.Context, c *Client) (*dtp.Opener, error) {
	if err := c.setMode(ctx, ftp.Block); err != nil {
		return nil, err
	}
	j := &job{typ: ftp.Image}
	get := c.ready
	if c.data.HasOpen() {
		get = c.readyOpen
	}
	if err := get(ctx, j); err != nil {
		c.data.Close()
		return nil, err
	}
	return c.data.Take()
}
