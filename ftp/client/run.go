package client

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// run is a transfer under way: two connections, watched together. What has come over each of
// them is its state, and every event is a method that changes it:
//
//	the control connection says …              the data connection …
//	  nothing yet                                is being opened, or bytes come already
//	  begun: a 150, or a 200 (weak) in its       moves bytes: an upload waits for begun
//	    place                                      (goAhead), a download does not
//	  answered: a final reply, or it is gone     done: it ended, well or not; or this end
//	    (lost)                                     broke it off (stopped)
//
// begin, early, failing and losing are what replies lead to, dataEnded is the end of the bytes,
// graceOver the end of a wait for the half that is missing. Either half may come first. The
// transfer is over when it is answered and done, or when the data connection has failed. Then
// settle brings both connections to rest, and verdict says what the transfer was worth.
type run struct {
	c       *Client
	j       *job
	ctx     context.Context // of the data connection
	cancel  context.CancelCauseFunc
	conn    atomic.Pointer[dtp.Conn]
	viaEPSV bool
	came    atomic.Int64 // bytes that went over the data connection so far

	goAhead   chan struct{} // closed when an upload may send
	results   chan dtp.Result
	small     *dtp.Started     // a small file that waits for replies; nil: a goroutine moves the bytes
	impatient <-chan time.Time // then a goroutine moves them
	grace     <-chan time.Time // then stop waiting for the data, or for a better reply

	begun   bool      // a preliminary reply came
	weak    ftp.Reply // a 200 in place of a preliminary reply
	final   ftp.Reply
	lost    error // the control connection died
	data    dtp.Result
	done    bool  // data is in
	stopped error // why this end broke the data connection off
	aborted bool  // the final reply may be no more than the echo of an ABOR
	owed    int   // NOOPs that were not answered yet
	doubt   bool  // a reply may have been a NOOP's or the transfer's
}

// start lets the data connection come about, beside the control connection.
func (c *Client) start(j *job, o *dtp.Opener) *run {
	j.early = j.early && c.pi.Security() == nil && c.pi.Params().Mode == ftp.Stream
	r := &run{
		c: c, j: j, viaEPSV: c.opts.Mode == ftp.Passive && c.opts.Verbs != ClassicVerbs && !c.history.noEPSV.Load(),
		goAhead: make(chan struct{}), results: make(chan dtp.Result, 1),
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	d := dtp.Job{
		Source: j.source, Sink: j.sink, Size: j.length, Type: j.typ, Mode: c.pi.Params().Mode, Level: c.opts.Level,
		Stall: c.opts.Timeout, Rates: []*rate.Limiter{c.rate}, Opened: r.opened,
		Reset: true,
	}
	if j.raw {
		d.Type = ftp.Image
	}
	if j.dir == ftp.Retrieve && j.typ == ftp.Image && j.want >= j.offset && !j.unbounded {
		d.Size, d.Bounded, d.Least = j.want-j.offset, true, j.least
	}
	told := j.told()
	d.Progress = func(n int64) {
		r.came.Store(n)
		if told != nil {
			told(n)
		}
	}
	if j.opened == nil {
		r.small = o.CallNow(d)
	}
	if r.small == nil {
		go func() { r.results <- dtp.Run(r.ctx, o, d) }()
	}
	return r
}

// A small file needs no goroutine on Linux if the server has answered the call at once: when the
// server says that it begins, the goroutine that reads the replies moves the bytes itself. An early
// upload goes before that.

// moveSmall moves the bytes of a small file, if there is one.
func (r *run) moveSmall() {
	t := r.small
	if t == nil {
		return
	}
	move := t.Send
	if r.j.dir == ftp.Retrieve {
		move = t.Fetch
	}
	if res, over := move(); over {
		r.small = nil
		r.results <- res
	} else {
		r.besides()
	}
}

// besides has a goroutine move the bytes that moveSmall left, or did not come to.
func (r *run) besides() {
	if t := r.small; t != nil {
		r.small = nil
		go func() { r.results <- t.Rest(r.ctx) }()
	}
}

// opened runs in the data connection's goroutine, before the first byte and the
// TLS handshake. An upload waits for the server's 150, except for a small file to a server
// that was measured to bear it. A handshake waits for the 150, too, since pyftpdlib hangs up
// on one that comes before the command; the wait is limited, since some servers send no 150.
func (r *run) opened(conn *dtp.Conn) error {
	r.conn.Store(conn)
	if r.j.dir == ftp.Store && !r.j.early || r.c.pi.Security() != nil {
		var impatient <-chan time.Time
		if r.j.dir == ftp.Retrieve {
			impatient = time.After(shortWait)
		}
		select {
		case <-r.goAhead:
		case <-impatient:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
	}
	if r.j.opened != nil {
		return r.j.opened(r.ctx, conn)
	}
	return nil
}

// watch waits for the end of the data and for the final reply, in any order. It
// also ends when the data connection fails, and, with the cause, when ctx does.
func (r *run) watch(ctx context.Context) error {
	replies := r.c.pi.Replies()
	p := r.c.pi.NewWait()
	defer p.Stop()
	alive, stop := r.c.keepAlive()
	defer stop()
	if r.small != nil {
		t := time.NewTimer(smallWait)
		defer t.Stop()
		r.impatient = t.C
		if r.j.early {
			r.moveSmall()
		}
	}
	for !r.over() {
		select {
		case <-alive:
			r.stayAlive()
		case reply, ok := <-replies:
			if ok {
				r.reply(reply)
			} else {
				replies = nil
				r.losing(r.c.pi.Lost())
			}
		case r.data = <-r.results:
			r.dataEnded()
			if r.j.dir == ftp.Store && r.data.Err == nil {
				p.Allow(r.c.pi.WorkTimeout()) // to check the file, or to put it where it belongs
			}
			p.Restart()
			if r.data.Err != nil && ctx.Err() != nil {
				return context.Cause(ctx) // the reason, not what came of it
			}
		case <-r.grace:
			r.graceOver()
		case <-r.impatient:
			r.besides()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.C():
			if !r.onlyReplyMissing() {
				p.Restart()
			} else if p.Over() {
				r.losing(r.c.pi.Silent(r.j.verb, p.Limit()))
			}
		}
	}
	return nil
}

func (r *run) over() bool { return r.done && (r.answered() || r.data.Err != nil) }

// answered: there will be no better reply.
func (r *run) answered() bool { return r.final.Code != 0 || r.lost != nil }

// onlyReplyMissing: nothing can happen on the data connection before the server
// has said something. Otherwise the data connection has its own time-out.
func (r *run) onlyReplyMissing() bool {
	return !r.answered() && (r.done || r.j.dir == ftp.Store && !r.begun)
}

// reply takes one reply to the transfer command.
func (r *run) reply(reply ftp.Reply) {
	if err := r.c.pi.Take(r.command(), reply); err != nil {
		r.losing(err)
		return
	}
	switch class := reply.Code.Class(); {
	case r.isOwed(reply):
	case r.doubt && r.final.Code != 0: // what was taken for the final reply was a NOOP's
		r.final = reply
	case r.final.Code != 0: // a second final reply means nothing
	case class == ftp.Preliminary:
		r.begin(reply)
	case class == ftp.Completion && !pi.FitsLoosely(r.j.verb, reply.Code):
		r.losing(r.c.pi.OutOfStep(r.j.verb, reply))
	case reply.Code == 200 && !r.begun: // some servers say 200 before the 150
		r.weak = reply
		r.begin(reply)
		if r.done {
			r.grace = time.After(shortWait)
		}
	case class == ftp.Completion:
		r.final = reply
		r.agreed()
		r.moveSmall()
		r.early()
	default:
		r.final = reply
		r.failing()
	}
}

// early is called when the server calls the transfer done. A retrieve continues to its end,
// which is that of the data connection, or its known size if that end does not come. An
// upload has a moment to notice that it is over. Without a 150 before it, the reply may be the
// only thing that comes: some servers say no more about an empty or unreadable directory, and
// nobody closes the data connection.
func (r *run) early() {
	switch {
	case r.done:
	case r.j.dir == ftp.Retrieve && !r.begun:
		close(r.goAhead) // there will be no 150
		r.grace = time.After(bareWait)
	case r.j.dir == ftp.Retrieve:
		if r.j.verb == "RETR" && r.wants() >= 0 && r.c.pi.Params().Mode == ftp.Stream {
			r.grace = time.After(endWait)
		}
	case r.begun:
		r.grace = time.After(shortWait)
	default:
		r.stop(errEarly)
	}
}

func (r *run) begin(reply ftp.Reply) {
	if r.begun {
		return
	}
	r.begun = true
	r.j.began = reply
	close(r.goAhead)
	r.agreed()
	r.moveSmall()
}

func (r *run) agreed() {
	if r.j.agreed != nil {
		r.j.agreed()
		r.j.agreed = nil
	}
}

// failing: the server gave up. What it sent before may still be on its way, so a
// file that has begun gets a moment to end by itself; the rest of it is worth
// having for a resume.
func (r *run) failing() {
	if r.j.dir == ftp.Retrieve && r.begun && r.final.Code != 425 {
		r.moveSmall()
		r.grace = time.After(shortWait)
		return
	}
	r.stop(r.refusal())
}

// errAllCame stops a download when its size and the final reply agree, but the end of the
// data connection does not come.
var errAllCame = errors.New("all bytes came")

// errNothingCame stops a retrieve that the server calls done without having begun it.
var errNothingCame = errors.New("the server ended the transfer without a reply that it begins, and nothing came")

// refusal returns the error of the final reply if it is not one of success. A transfer has
// no use for a 3xx, by which a server may ask for an account.
func (r *run) refusal() error {
	if r.final.Code.Class() == ftp.Intermediate {
		return &ftp.Error{Verb: r.j.verb, Reply: r.final}
	}
	return refusal(r.j.verb, r.final)
}

// losing: the control connection is gone. A file that is coming may come to its
// end all the same.
func (r *run) losing(err error) {
	if r.final.Code != 0 && !errors.Is(err, ErrClosed) {
		return // what comes after the final reply is not about this transfer
	}
	r.lost = err
	if r.j.dir == ftp.Store || !r.begun || errors.Is(err, ErrClosed) {
		r.stop(err)
	}
}

func (r *run) dataEnded() {
	r.done = true
	r.grace = nil
	if errors.Is(r.data.Err, dtp.ErrMore) {
		r.data.Bytes = min(r.data.Bytes, r.j.want-r.j.offset)
	}
	switch {
	case r.answered():
	case r.weak.Code != 0:
		r.grace = time.After(shortWait)
	}
}

func (r *run) graceOver() {
	r.grace = nil
	if !r.done && r.j.dir == ftp.Retrieve && !r.begun && r.refusal() == nil && r.came.Load() == 0 && r.wants() != 0 {
		r.stop(errNothingCame)
		return
	}
	if !r.done && r.j.dir == ftp.Retrieve && r.refusal() == nil && r.final.Code != 0 {
		if r.j.opened == nil && r.j.offset+r.came.Load() == r.wants() {
			r.stop(errAllCame)
		} else {
			r.grace = time.After(endWait)
		}
		return
	}
	if !r.done {
		why := r.refusal()
		if why == nil {
			why = errEarly
		}
		r.stop(why)
	} else if r.final.Code == 0 {
		r.final = r.weak
	}
}

// stop breaks the data connection off. A short upload must not look whole to the
// server, whose only sign of the end is the close: so it is reset.
func (r *run) stop(why error) {
	if r.stopped != nil || r.done {
		return
	}
	r.stopped = why
	if conn := r.conn.Load(); conn != nil && r.j.dir == ftp.Store {
		conn.Reset()
	}
	r.cancel(why)
	if t := r.small; t != nil {
		r.small = nil
		r.results <- t.Drop(why)
	}
}

// settle brings both connections to rest after watch: no goroutine and no reply
// is left behind, or the Client is dead. why is set if the transfer was cancelled.
func (r *run) settle(ctx context.Context, why error) {
	defer r.cancel(nil)
	if why != nil {
		r.stop(why)
		defer r.join()
	}
	if r.final.Code != 0 && (r.owed > 0 || r.doubt) && r.lost == nil {
		r.collect(ctx)
	}
	if r.answered() || r.c.dead() {
		return
	}
	var broken *dtp.BrokenError
	var noTLS *dtp.TLSError
	if why == nil && (errors.As(r.data.Err, &broken) || errors.As(r.data.Err, &noTLS)) {
		after, cancel := context.WithTimeout(ctx, shortWait)
		defer cancel()
		if r.finish(after) || r.lost != nil {
			return // the server noticed, too, and said so
		}
	}
	r.abort(ctx)
}

// join waits for the data connection's goroutine. A source may block for ever:
// it is left behind then, with its connection closed.
func (r *run) join() {
	if r.done {
		return
	}
	var impatient <-chan time.Time
	if r.j.source != nil {
		impatient = time.After(leaveWait)
	}
	select {
	case r.data = <-r.results:
	case <-impatient:
		r.data.Err = r.stopped
	}
	r.done = true
}

// command is the one that the transfer's replies answer.
func (r *run) command() ftp.Command { return ftp.Command{Verb: r.j.verb, Arg: r.j.arg} }

// abort ends the transfer by ABOR; see pi.Conn.Abort.
func (r *run) abort(ctx context.Context) {
	r.aborted = true
	r.final, r.lost = r.c.pi.Abort(ctx, r.command(), r.isNOOPs)
}

// finish waits for the transfer's final reply.
func (r *run) finish(ctx context.Context) bool {
	final, _, err := r.c.pi.End(ctx, r.command(), r.isNOOPs)
	if r.final = final; err != nil && r.c.dead() {
		r.lost = err
	}
	return err == nil
}

// isNOOPs reports whether a reply is to a NOOP of stayAlive, or whether what it took for the
// transfer's may have been one.
func (r *run) isNOOPs(reply ftp.Reply) (is, doubt bool) {
	is = r.isOwed(reply)
	return is, r.doubt
}
