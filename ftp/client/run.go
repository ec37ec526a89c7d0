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

// run is a transfer in progress. It watches two connections at once, control and data. Each has a
// state, and each event is a method that changes it:
//
//	control connection                         data connection
//	  waiting for a reply                        opening, or already moving bytes
//	  begun: a 150 was received, or a 200        moving bytes: an upload waits for begun
//	    in its place (weak)                        (goAhead), a download does not
//	  answered: a final reply was received,      done: it has ended, with or without an error,
//	    or the connection failed (lost)            or this side closed it (stopped)
//
// begin, serverDone, serverFailed and controlLost handle what arrives on the control connection. dataEnded handles
// the end of the bytes. graceEnded handles the end of a wait for the connection that is behind.
// Either connection may finish first. The transfer has ended when it is both answered and done, or
// when the data connection has failed. Then settle makes sure that neither connection has anything
// of this transfer outstanding, and verdict decides whether the transfer was complete.
//
// The goroutine that runs watch owns all fields. The one that moves the bytes uses only ctx, conn, moved,
// goAhead and results, and reads c and j.
type run struct {
	c       *Client
	j       *job
	ctx     context.Context // of the data connection
	cancel  context.CancelCauseFunc
	conn    atomic.Pointer[dtp.Conn]
	viaEPSV bool
	moved   atomic.Int64 // bytes moved over the data connection so far

	goAhead   chan struct{} // closed when an upload may send
	results   chan dtp.Result
	small     *dtp.Started     // a small file not yet moved; nil: a goroutine moves the bytes
	impatient <-chan time.Time // when it fires, a goroutine moves the small file
	grace     <-chan time.Time // when it fires, stop waiting for the data or for a better reply

	begun        bool      // a preliminary reply came
	weak         ftp.Reply // a 200 in place of a preliminary reply
	final        ftp.Reply
	lost         error // why the control connection failed
	data         dtp.Result
	done         bool  // the data connection has ended, and data is set
	stopped      error // why this side closed the data connection
	aborted      bool  // ABOR was sent: the final reply may only confirm it
	pendingNOOPs int   // NOOPs whose replies are pending
	doubt        bool  // a reply (250) could answer either a NOOP or the transfer
}

// start begins to open the data connection while the caller sends the transfer command.
func (c *Client) start(j *job, o *dtp.Opener) *run {
	// With TLS the handshake comes first, and it waits for the command anyway (opened). In the other modes
	// the server could take bytes of a refused file for those of the next.
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
	// A server must not fill the disk by sending more than it announced.
	if j.dir == ftp.Retrieve && j.typ == ftp.Image && j.want >= j.offset && !j.unbounded {
		d.Size, d.Bounded, d.Least = j.want-j.offset, true, j.limit
	}
	report := j.progressFunc()
	d.Progress = func(n int64) {
		r.moved.Store(n)
		if report != nil {
			report(n)
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

// moveSmall moves the bytes of a small file if they have not been moved yet. On Linux such a file needs no
// goroutine of its own if the data connection was open at once: the goroutine that reads the replies moves
// the bytes when the server says that it begins. An early upload is sent before that.
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
		r.moveInBackground()
	}
}

// moveInBackground starts a goroutine for the bytes of a small file that moveSmall did not move.
func (r *run) moveInBackground() {
	if t := r.small; t != nil {
		r.small = nil
		go func() { r.results <- t.Rest(r.ctx) }()
	}
}

// opened runs in the goroutine of the data connection, before the TLS handshake and the first
// byte. An upload waits for the server's 150, except for a small file to a server that is known to
// accept it early (batchers). A TLS handshake waits too: pyftpdlib closes a connection whose
// handshake starts before the command arrives. For a download that wait is limited, because some
// servers send no 150.
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

// watch waits for the end of the data and for the final reply, in any order. It returns early if
// the data connection fails, and returns the cause if ctx ends.
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
			r.sendNOOP()
		case reply, ok := <-replies:
			if ok {
				r.reply(reply)
			} else {
				replies = nil
				r.controlLost(r.c.pi.Lost())
			}
		case r.data = <-r.results:
			r.dataEnded()
			if r.j.dir == ftp.Store && r.data.Err == nil {
				p.Allow(r.c.pi.WorkTimeout()) // the server may check the file or move it into place
			}
			p.Restart()
			if r.data.Err != nil && ctx.Err() != nil {
				return context.Cause(ctx) // the cause rather than its effect on the data
			}
		case <-r.grace:
			r.graceEnded()
		case <-r.impatient:
			r.moveInBackground()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.C():
			if !r.onlyReplyMissing() {
				p.Restart()
			} else if p.Over() {
				r.controlLost(r.c.pi.Silent(r.j.verb, p.Limit()))
			}
		}
	}
	return nil
}

// over reports whether nothing is left to wait for.
func (r *run) over() bool { return r.done && (r.answered() || r.data.Err != nil) }

// answered reports whether no better reply can come.
func (r *run) answered() bool { return r.final.Code != 0 || r.lost != nil }

// onlyReplyMissing reports whether only a reply can move the transfer forward. Otherwise the
// time-out of the data connection applies.
func (r *run) onlyReplyMissing() bool {
	return !r.answered() && (r.done || r.j.dir == ftp.Store && !r.begun)
}

// reply handles one reply to the transfer command. Its order matters: replies to NOOPs are sorted
// out first, and a second final reply is ignored.
func (r *run) reply(reply ftp.Reply) {
	if err := r.c.pi.Take(r.command(), reply); err != nil {
		r.controlLost(err)
		return
	}
	switch class := reply.Code.Class(); {
	case r.takeNOOPReply(reply):
	case r.doubt && r.final.Code != 0: // the earlier final reply was that of a NOOP
		r.final = reply
	case r.final.Code != 0: // ignore a second final reply
	case class == ftp.Preliminary:
		r.begin(reply)
	case class == ftp.Completion && !pi.FitsLoosely(r.j.verb, reply.Code):
		r.controlLost(r.c.pi.OutOfStep(r.j.verb, reply))
	case reply.Code == 200 && !r.begun: // some servers send 200 before the 150, or in its place
		r.weak = reply
		r.begin(reply)
		if r.done {
			r.grace = time.After(shortWait)
		}
	case class == ftp.Completion:
		r.final = reply
		r.agreed()
		r.moveSmall()
		r.serverDone()
	default:
		r.final = reply
		r.serverFailed()
	}
}

// serverDone handles a final reply of success. A retrieve continues until the data connection ends. If
// that does not happen, graceEnded checks whether the known size has arrived. An upload gets a
// moment to notice that the server has closed the connection. If there was no 150, nothing else
// may follow: for an empty or unreadable directory some servers send only a 226, and neither side
// would ever close the data connection.
func (r *run) serverDone() {
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

// begin handles the reply that lets the transfer begin.
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

// agreed runs the job's agreed function once.
func (r *run) agreed() {
	if r.j.agreed != nil {
		r.j.agreed()
		r.j.agreed = nil
	}
}

// serverFailed handles a final reply of failure. Bytes that the server sent before may still be on their
// way, and a later resume can use them. So a download that has begun gets a moment to end by itself.
func (r *run) serverFailed() {
	if r.j.dir == ftp.Retrieve && r.begun && r.final.Code != 425 {
		r.moveSmall()
		r.grace = time.After(shortWait)
		return
	}
	r.stop(r.refusal())
}

// errAllCame stops a download of which all bytes and a final reply of success have arrived, but whose data
// connection does not end. The verdict counts it as complete.
var errAllCame = errors.New("all bytes have arrived")

// errNothingCame stops a retrieve that the server reports as complete without having begun it.
var errNothingCame = errors.New("the server reported the transfer as complete without a 150 reply, and sent no data")

// refusal returns the final reply as an error unless it reports success. A 3xx reply is an error
// too: a server may ask for an account by 332.
func (r *run) refusal() error {
	if r.final.Code.Class() == ftp.Intermediate {
		return &ftp.Error{Verb: r.j.verb, Reply: r.final}
	}
	return refusal(r.j.verb, r.final)
}

// controlLost handles the failure of the control connection. A download that has begun may still
// arrive completely, so it continues.
func (r *run) controlLost(err error) {
	if r.final.Code != 0 && !errors.Is(err, ErrClosed) {
		return // after the final reply the failure does not concern this transfer
	}
	r.lost = err
	if r.j.dir == ftp.Store || !r.begun || errors.Is(err, ErrClosed) {
		r.stop(err)
	}
}

// dataEnded handles the end of the data connection. If only a 200 came so far, a real final reply
// gets a moment to follow.
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

// graceEnded handles the end of a wait for the connection that is behind. In this order:
//
//	the server reported success, sent no 150 and no byte    → stop, nothing came
//	the server reported success, the data has not ended     → stop if all bytes came, else wait again
//	the server reported failure, or success of an upload    → stop the data connection
//	the data ended, and only a weak 200 came                → the 200 is the final reply
func (r *run) graceEnded() {
	r.grace = nil
	if !r.done && r.j.dir == ftp.Retrieve && !r.begun && r.refusal() == nil && r.moved.Load() == 0 && r.wants() != 0 {
		r.stop(errNothingCame)
		return
	}
	if !r.done && r.j.dir == ftp.Retrieve && r.refusal() == nil && r.final.Code != 0 {
		if r.j.opened == nil && r.j.offset+r.moved.Load() == r.wants() {
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

// stop closes the data connection before its end. In stream mode the server takes the close for
// the end of the file, so the connection of an upload is reset instead: a short upload must not
// look complete.
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
