package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/time/rate"

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
// no bytes. The bytes of a STOR that is refused would be the next one's, so they wait for
// its reply, but at a server that promises to end the data connection then (MODE B AHEAD
// among its features).
//
// A connection is taken out of the Pool while there is something to do. What goes wrong
// is told as errChain: the caller does it again in the ordinary way.
type chain struct {
	p   *Pool
	ctx context.Context // of all that is done

	features ftp.Features // of the server, once it was asked

	mu      sync.Mutex
	queue   []*link
	running bool
	off     bool // there is nothing to be had of it
	news    chan struct{}
	ended   sync.WaitGroup
	breaks  int // without a transfer that went well
}

// link is one step of a chain: a transfer, or commands that may follow each other
// whatever is replied.
type link struct {
	cmds    []ftp.Command
	job     *job // nil: commands only
	replies []ftp.Reply
	begun   bool
	given   bool // to the data connection
	data    dtp.Result
	moved   bool // data is in
	err     error
	done    chan struct{}
}

const (
	// chainWindow is how many links may be under way, and chainBytes how long their
	// commands may be: a server that waits for data need not read more.
	chainWindow = 256
	chainBytes  = 32 << 10
	// chainMost is up to which size a file is worth a link: a larger one is better
	// moved by the kernel.
	chainMost = 256 << 10
	maxBreaks = 3
)

// errChain: the server does not go along, or the connection broke.
var errChain = errors.New("it has to be done without sending ahead")

// errOutOfTurn is a server whose replies do not come in the order of the commands.
var errOutOfTurn = errors.New("its replies are out of order")

func newChain(ctx context.Context, p *Pool) *chain {
	return &chain{p: p, ctx: ctx, news: make(chan struct{}, 1)}
}

// offered asks whether the server has block mode. One that does not list it is asked.
func (ch *chain) offered() bool {
	yes := false
	err := ch.p.Do(ch.ctx, func(c *Client) error {
		if c.opts.TransferMode != AutoMode && c.opts.TransferMode != BlockMode {
			return nil
		}
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		err := c.setMode(ch.ctx, ftp.Block)
		yes, ch.features = err == nil, c.features
		return err
	})
	ch.off = !yes || err != nil
	return yes
}

// transfer runs a job. The Result's Final is the transfer's own reply.
func (ch *chain) transfer(ctx context.Context, j *job) (Result, error) {
	if err := sendable(j.arg); err != nil {
		return Result{}, err
	}
	l := &link{cmds: []ftp.Command{{Verb: j.verb, Arg: j.arg}}, job: j}
	err := ch.do(ctx, l)
	res := Result{Bytes: l.data.Bytes, Took: l.data.Took, Mode: ch.p.opts.Mode}
	if len(l.replies) > 0 {
		res.Final = l.replies[0]
	}
	if err == nil {
		res.Verified = "reply"
		if j.want >= 0 {
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

// do hands a link over and waits for its end, which comes also when ctx ends: that is
// the end of the chain.
func (ch *chain) do(ctx context.Context, l *link) error {
	l.done = make(chan struct{})
	ch.mu.Lock()
	if ch.off || ctx.Err() != nil {
		ch.mu.Unlock()
		return errChain
	}
	ch.queue = append(ch.queue, l)
	if !ch.running {
		ch.running = true
		ch.ended.Go(ch.run)
	}
	ch.mu.Unlock()
	select {
	case ch.news <- struct{}{}:
	default:
	}
	<-l.done
	return l.err
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

func (l *link) length() (n int) {
	for _, c := range l.cmds {
		n += len(c.Verb) + len(c.Arg) + 3
	}
	return n
}

// run serves the queue until it is empty.
func (ch *chain) run() {
	for {
		err := ch.serve()
		ch.mu.Lock()
		if err != nil {
			ch.breaks++
			ch.off = ch.off || ch.breaks >= maxBreaks || ch.ctx.Err() != nil
		}
		if !ch.off && len(ch.queue) > 0 {
			ch.mu.Unlock()
			continue
		}
		for _, l := range ch.queue {
			l.finish(errChain)
		}
		ch.queue, ch.running = nil, false
		ch.mu.Unlock()
		return
	}
}

func (l *link) finish(err error) {
	l.err = err
	close(l.done)
}

// serve runs links over one connection of the Pool until there are none, or somebody
// else wants it.
func (ch *chain) serve() error {
	ch.p.letPass(ch.ctx)
	c, err := ch.p.Get(ch.ctx)
	if err != nil {
		return err
	}
	defer ch.p.Put(c)
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	opener, err := ch.offer(c)
	if err != nil {
		if isReply(err) && refused(err) {
			ch.turnOff()
		}
		return err
	}
	d := &drive{ch: ch, c: c, opener: opener, files: make(chan *link, chainWindow), moved: make(chan *link, chainWindow)}
	return d.run()
}

func (ch *chain) turnOff() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.off = true
}

// offer makes a connection ready for a chain: MODE B, TYPE I, a data connection.
func (ch *chain) offer(c *Client) (*dtp.Opener, error) {
	if err := c.setMode(ch.ctx, ftp.Block); err != nil {
		return nil, err
	}
	j := &job{typ: ftp.Image}
	get := c.ready
	if c.data.Stands() {
		get = c.readyStanding
	}
	if err := get(ch.ctx, j); err != nil {
		c.data.Close()
		return nil, err
	}
	return c.data.Take()
}

// wait is the end of what still runs, at the end of the chain's context or of all links.
func (ch *chain) wait() { ch.ended.Wait() }

// drive is a chain on one connection. Its goroutine owns the Client; another one owns
// the data connection.
type drive struct {
	ch     *chain
	c      *Client
	opener *dtp.Opener
	conn   *dtp.Conn  // opened by the one that moves files
	files  chan *link // whose bytes come next
	moved  chan *link // whose bytes are in
	sent   []*link    // whose end is not in, in order
	bytes  int        // of their commands
	broke  bool       // the data connection did; no more is sent
}

func (d *drive) run() error {
	ctx, cancel := context.WithCancelCause(d.ch.ctx)
	defer cancel(nil)
	var mover sync.WaitGroup
	mover.Go(func() { d.move(ctx) })
	err := d.loop()
	if err != nil {
		cancel(errChain) // the data connection has nothing to wait for
	}
	close(d.files)
	mover.Wait()
	for _, l := range d.sent {
		l.finish(errChain)
	}
	switch {
	case d.conn == nil: // it never stood
	case err == nil && !d.broke:
		d.c.data.Keep(d.conn)
	default:
		_ = d.conn.Close()
	}
	if err == nil && d.broke {
		err = errChain
	}
	return err
}

// loop sends, and takes replies and news of the data, until all is in.
func (d *drive) loop() error {
	p := d.c.newPatience()
	defer p.timer.Stop()
	for {
		if err := d.send(); err != nil {
			return err
		}
		if len(d.sent) == 0 {
			return nil
		}
		select {
		case <-d.ch.news:
		case r, ok := <-d.c.replies:
			if !ok {
				return d.c.die(d.c.readErr)
			}
			if err := d.reply(r); err != nil {
				return err
			}
			p.restart()
		case l := <-d.moved:
			l.moved = true
			if l.data.Kept == nil {
				d.broke = true
			}
			d.settle()
			p.restart()
		case <-d.ch.ctx.Done():
			return d.c.die(context.Cause(d.ch.ctx)) // the replies that are owed can't be waited for
		case <-p.timer.C:
			if p.over() {
				return d.c.dieSilent(d.sent[0].cmds[len(d.sent[0].replies)].Verb)
			}
		}
	}
}

// send sends what there is room for, in one write.
func (d *drive) send() error {
	if d.broke {
		return nil
	}
	links := d.ch.take(chainWindow-len(d.sent), chainBytes-d.bytes)
	if len(links) == 0 {
		return nil
	}
	var cmds []ftp.Command
	for _, l := range links {
		cmds = append(cmds, l.cmds...)
		d.bytes += l.length()
	}
	d.sent = append(d.sent, links...)
	if err := d.c.write(cmds...); err != nil {
		return err
	}
	if blocksAhead(d.c.features["MODE"]) {
		for _, l := range links {
			if l.job != nil && l.job.dir == ftp.Store {
				d.give(l)
			}
		}
	}
	return nil
}

// give hands a file to the data connection.
func (d *drive) give(l *link) {
	if !l.given {
		l.given = true
		d.files <- l
	}
}

// reply takes the next reply. It is to the first command that has none.
func (d *drive) reply(r ftp.Reply) error {
	l := d.waiting()
	if l == nil {
		return d.c.took(ftp.Command{}, r)
	}
	if err := d.c.took(l.cmds[len(l.replies)], r); err != nil {
		return err
	}
	d.c.came = 0
	switch {
	case !fits(l.cmds[len(l.replies)].Verb, r.Code):
		d.ch.turnOff()
		return d.c.die(errOutOfTurn)
	case r.Code.Class() != ftp.Preliminary:
		l.replies = append(l.replies, r)
		// The bytes of a store that is refused may be on their way.
		d.broke = d.broke || l.job != nil && l.job.dir == ftp.Store && refusal(l.job.verb, r) != nil
		d.settle()
	case l.job == nil:
		return d.c.die(fmt.Errorf("the answer to %s makes no sense: %v", l.cmds[0].Verb, r))
	default:
		l.begun, l.job.began = true, r
		d.give(l)
	}
	return nil
}

// waiting is the link that the next reply is for.
func (d *drive) waiting() *link {
	for _, l := range d.sent {
		if len(l.replies) < len(l.cmds) {
			return l
		}
	}
	return nil
}

// settle ends the links at the front that have all they wait for.
func (d *drive) settle() {
	for len(d.sent) > 0 {
		l := d.sent[0]
		if len(l.replies) < len(l.cmds) || l.given && !l.moved {
			return
		}
		d.sent = d.sent[1:]
		d.bytes -= l.length()
		l.finish(d.verdict(l))
	}
}

// verdict judges a link by its reply and, of a transfer, its bytes.
func (d *drive) verdict(l *link) error {
	if l.job == nil {
		return nil
	}
	final := l.replies[0]
	err := l.data.Err
	var local *dtp.LocalError
	switch no := refusal(l.job.verb, final); {
	case errors.As(err, &local):
	case no != nil && (l.begun || d.broke || final.Code/10 == 42):
		err = errChain
	case no != nil:
		err = no
	case err != nil, !l.given, l.job.want >= 0 && l.data.Bytes != l.job.want:
		err = errChain
	default:
		d.ch.wentWell()
	}
	d.c.tell(ftp.TransferDone{
		Verb: l.job.verb, Path: l.job.arg, Direction: l.job.dir, Mode: d.c.opts.Mode,
		Bytes: l.data.Bytes, Took: l.data.Took, Err: err,
	})
	return err
}

func (ch *chain) wentWell() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.breaks = 0
}

// move opens the data connection, at once, as either end may have to wait for that, and
// moves the bytes of one file after the other.
func (d *drive) move(ctx context.Context) {
	conn, err := d.opener.Open(ctx)
	d.conn = conn
	for l := range d.files {
		if err == nil {
			l.data = dtp.RunOn(ctx, d.conn, l.job.data(d.c))
			if l.data.Kept == nil {
				err = errChain
			}
		} else {
			l.data.Err = errChain
		}
		d.moved <- l
	}
}

// data is a job as the data connection sees it.
func (j *job) data(c *Client) dtp.Job {
	return dtp.Job{
		Source: j.source, Sink: j.sink, Size: j.length, Type: ftp.Image, Mode: ftp.Block,
		Stall: c.opts.Timeout, Rates: []*rate.Limiter{c.rate}, Progress: j.told(),
	}
}
