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

// drive runs a chain on one connection. The goroutine of loop owns the Client and all fields except
// conn; the goroutine of move owns conn. A link is passed to move by files, and back by moved.
type drive struct {
	ch     *chain
	c      *Client
	opener *dtp.Opener
	conn   *dtp.Conn               // opened by move
	files  chan *link              // links whose bytes are next, in order
	moved  chan *link              // links whose bytes were moved
	sent   []*link                 // sent but not finished, in order
	bytes  int                     // length of their commands
	used   bool                    // a file was given to the data connection
	broke  bool                    // the data connection failed; nothing more is sent
	cancel context.CancelCauseFunc // ends move
}

func (d *drive) run() error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	d.cancel = cancel
	var mover sync.WaitGroup
	mover.Go(func() { d.move(ctx) })
	err := d.loop()
	// If no file was given to an active data connection, the server does not dial: stop waiting
	// for it. A passive one is always dialed to the end: the server might accept an abandoned
	// connection later and take it for that of the next transfer.
	if err != nil || !d.used && d.opener.Mode() == ftp.Active {
		cancel(errNotChained)
	}
	close(d.files)
	mover.Wait()
	for _, l := range d.sent {
		l.finish(errNotChained)
	}
	switch {
	case d.conn == nil: // it was never opened
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

// loop sends links and handles replies and moved files, until all links are finished.
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
			if l.data.Kept == nil { // the transfer failed, or the server closed the connection
				d.closeData()
			}
			d.settle()
			p.Restart()
		// A caller has cancelled. The other links get abortWait to finish with what has arrived.
		case <-d.ch.leave:
			if enough == nil && slices.ContainsFunc(d.sent, func(l *link) bool { return l.unwanted.Load() }) {
				d.closeData()
				enough = time.After(abortWait)
			}
		case <-enough:
			return d.c.die(fmt.Errorf("%w within %v", ErrTimeout, abortWait))
		case <-p.C():
			switch l := d.waiting(); {
			case !p.Over():
			case l != nil:
				return d.c.pi.Silent(l.next().Verb, p.Limit())
			default: // all replies have come, but bytes are missing
				d.closeData()
				p.Restart()
			}
		}
	}
}

// send sends as many links as the window has room for, in one write.
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

// give hands a file to the data connection. It does so once: at STOR, or at the 150 to a RETR.
func (d *drive) give(l *link) {
	if !l.given {
		l.given, d.used = true, true
		d.files <- l
	}
}

// reply handles the next reply. It answers the first command that has no reply yet (RFC 959 §5.4).
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
	if l.replies = append(l.replies, r); l.leavesBytes(cmd.Verb, r) {
		d.closeData()
	}
	d.settle()
	return nil
}

// closeData closes the data connection. All files under way have to be moved again.
func (d *drive) closeData() {
	d.broke = true
	d.cancel(errNotChained)
}

// waiting returns the link that the next reply belongs to, nil if no reply is pending.
func (d *drive) waiting() *link {
	for _, l := range d.sent {
		if l.next() != nil {
			return l
		}
	}
	return nil
}

// settle finishes the links at the front that are settled. Links finish in the order in which they
// were sent.
func (d *drive) settle() {
	for len(d.sent) > 0 && d.sent[0].settled() {
		l := d.sent[0]
		d.sent = d.sent[1:]
		d.bytes -= l.length()
		l.finish(d.verdict(l))
	}
}

// verdict judges a link by its reply and, for a transfer, its bytes. Only two failures are final: one
// of the local side, and a refusal before the first byte. After any other failure the file is moved
// in the ordinary way.
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
	d.c.emit(ftp.TransferDone{
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

// move opens the data connection and moves the bytes of one file after the other. It opens the
// connection at once, because the server may wait for it before it replies.
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

// data returns the job for package dtp.
func (j *job) data(c *Client) dtp.Job {
	return dtp.Job{
		Source: j.source, Sink: j.sink, Size: j.length, Type: ftp.Image, Mode: ftp.Block,
		Stall: c.opts.Timeout, Rates: []*rate.Limiter{c.rate}, Progress: j.progressFunc(),
	}
}
