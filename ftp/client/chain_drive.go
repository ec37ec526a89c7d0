package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// drive is a chain on one connection. Its goroutine owns the Client; another one owns
// the data connection.
type drive struct {
	ch     *chain
	c      *Client
	opener *dtp.Opener
	conn   *dtp.Conn               // opened by the one that moves files
	files  chan *link              // whose bytes come next
	moved  chan *link              // whose bytes are in
	sent   []*link                 // whose end is not in, in order
	bytes  int                     // of their commands
	used   bool                    // a file was given to the data connection
	broke  bool                    // the data connection did; no more is sent
	cancel context.CancelCauseFunc // of what moves on it
}

func (d *drive) run() error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	d.cancel = cancel
	var mover sync.WaitGroup
	mover.Go(func() { d.move(ctx) })
	err := d.loop()
	// The data connection has nothing to wait for; without a file an active one is not even
	// called. A call to the server is made to the end: one that was given up may reach it
	// late, and be taken for that of the next transfer.
	if err != nil || !d.used && d.opener.Mode() == ftp.Active {
		cancel(errNotChained)
	}
	close(d.files)
	mover.Wait()
	for _, l := range d.sent {
		l.finish(errNotChained)
	}
	switch {
	case d.conn == nil: // it never stood
	case err == nil && !d.broke:
		d.c.data.Keep(d.conn)
	default:
		_ = d.conn.Close()
	}
	if err == nil && d.broke {
		err = errNotChained
	}
	return err
}

// loop sends, and takes replies and news of the data, until all is in.
func (d *drive) loop() error {
	p := d.c.pi.NewWait()
	defer p.Stop()
	var enough <-chan time.Time
	for {
		if err := d.send(); err != nil {
			return err
		}
		if len(d.sent) == 0 {
			return nil
		}
		select {
		case <-d.ch.news:
		case r, ok := <-d.c.pi.Replies():
			if !ok {
				return d.c.pi.Lost()
			}
			if err := d.reply(r); err != nil {
				return err
			}
			p.Restart()
		case l := <-d.moved:
			l.moved = true
			if l.data.Kept == nil {
				d.hangUp()
			}
			d.settle()
			p.Restart()
		case <-d.ch.leave:
			if enough == nil && slices.ContainsFunc(d.sent, func(l *link) bool { return l.unwanted.Load() }) {
				d.hangUp()
				enough = time.After(abortWait)
			}
		case <-enough:
			return d.c.die(fmt.Errorf("%w within %v", ErrTimeout, abortWait))
		case <-p.C():
			switch l := d.waiting(); {
			case !p.Over():
			case l != nil:
				return d.c.pi.Silent(l.next().Verb, p.Limit())
			default: // all is answered, and bytes are missing
				d.hangUp()
				p.Restart()
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
	if err := d.c.pi.Write(cmds...); err != nil {
		return err
	}
	for _, l := range links {
		if l.isStore() {
			d.give(l)
		}
	}
	return nil
}

// give hands a file to the data connection.
func (d *drive) give(l *link) {
	if !l.given {
		l.given, d.used = true, true
		d.files <- l
	}
}

// reply takes the next reply. It is to the first command that has none.
func (d *drive) reply(r ftp.Reply) error {
	l := d.waiting()
	cmd := ftp.Command{}
	if l != nil {
		cmd = *l.next()
	}
	if err := d.c.pi.Take(cmd, r); err != nil {
		return err
	}
	if l == nil || !l.expects(r) {
		d.ch.turnOff()
		return d.c.pi.OutOfStep(cmd.Verb, r)
	}
	if r.Code.Class() == ftp.Preliminary {
		l.begun, l.job.began = true, r
		d.give(l)
		return nil
	}
	if l.replies = append(l.replies, r); l.strands(cmd.Verb, r) {
		d.hangUp()
	}
	d.settle()
	return nil
}

// hangUp ends the data connection: what is under way has to be done again.
func (d *drive) hangUp() {
	d.broke = true
	d.cancel(errNotChained)
}

// waiting is the link that the next reply is for.
func (d *drive) waiting() *link {
	for _, l := range d.sent {
		if l.next() != nil {
			return l
		}
	}
	return nil
}

// settle ends the links at the front that have all they wait for.
func (d *drive) settle() {
	for len(d.sent) > 0 && d.sent[0].settled() {
		l := d.sent[0]
		d.sent = d.sent[1:]
		d.bytes -= l.length()
		l.finish(d.verdict(l))
	}
}

// verdict judges a link by its reply and, of a transfer, its bytes. What a refusal before the
// first byte does not decide is done again.
func (d *drive) verdict(l *link) error {
	if l.job == nil {
		return nil
	}
	o := l.outcome()
	err := o.verdict()
	switch {
	case isLocalError(err):
	case err == nil && !d.broke:
		d.ch.wentWell()
	case d.broke, !errors.Is(err, o.refusal), l.begun, o.final.Code/10 == 42:
		err = errNotChained
	}
	l.took = lasted(l.data)
	d.c.tell(ftp.TransferDone{
		Verb: l.job.verb, Path: l.job.arg, Direction: l.job.dir, Mode: d.c.opts.Mode,
		Bytes: l.data.Bytes, Took: l.took, Err: err,
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
				err = errNotChained
			}
		} else {
			l.data.Err = errNotChained
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
