package client

import (
	"context"
	"errors"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// This file ends a run: after watch, nothing of a transfer may be left on either connection.

// settle makes sure that no goroutine and no pending reply of this transfer is left after watch.
// If that fails, the Client is dead. why is set if the transfer was cancelled.
func (r *run) settle(ctx context.Context, why error) {
	defer r.cancel(nil)
	if why != nil {
		r.stop(why)
		defer r.join()
	}
	if r.final.Code != 0 && (r.pendingNOOPs > 0 || r.doubt) && r.lost == nil {
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
			return // the server noticed as well and sent its final reply
		}
	}
	r.abort(ctx)
}

// join waits for the goroutine of the data connection. A Read of a source may block forever, so
// for an upload the wait is limited; the goroutine is then left behind with its connection closed.
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

// command returns the command that the replies of the transfer answer.
func (r *run) command() ftp.Command { return ftp.Command{Verb: r.j.verb, Arg: r.j.arg} }

// abort ends the transfer with ABOR; see pi.Conn.Abort.
func (r *run) abort(ctx context.Context) {
	r.aborted = true
	r.final, r.lost = r.c.pi.Abort(ctx, r.command(), r.noopReply)
}

// finish waits for the transfer's final reply.
func (r *run) finish(ctx context.Context) bool {
	final, _, err := r.c.pi.End(ctx, r.command(), r.noopReply)
	if r.final = final; err != nil && r.c.dead() {
		r.lost = err
	}
	return err == nil
}

// noopReply is takeNOOPReply for package pi. It also reports whether the answer is uncertain, for this or an
// earlier reply.
func (r *run) noopReply(reply ftp.Reply) (is, doubt bool) {
	is = r.takeNOOPReply(reply)
	return is, r.doubt
}
