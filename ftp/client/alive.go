package client

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// keepAlive returns a ticker that says when to send NOOP during a transfer; nil: never.
func (c *Client) keepAlive() (beat <-chan time.Time, stop func()) {
	if c.opts.KeepAlive <= 0 || c.history.noNOOP.Load() {
		return nil, func() {}
	}
	t := time.NewTicker(c.opts.KeepAlive)
	return t.C, t.Stop
}

// maxPendingNOOPs is how many NOOPs may wait for a reply. Many servers read none before the transfer has
// ended, and some never do.
const maxPendingNOOPs = 100

// sendNOOP sends a NOOP during the transfer. Its reply may come now or after the transfer, and
// must not be mistaken for the reply to another command.
func (r *run) sendNOOP() {
	if !r.begun || r.answered() || r.pendingNOOPs == maxPendingNOOPs {
		return
	}
	if err := r.c.pi.Write(ftp.Command{Verb: "NOOP"}); err != nil {
		r.controlLost(err)
		return
	}
	r.pendingNOOPs++
}

// takeNOOPReply reports whether a reply answers a pending NOOP of sendNOOP, and counts it. A transfer that has
// begun ends with 226, 250, 4xx or 55x. NOOP is answered by 200, or by the code for an unknown or untimely
// command. Some servers answer NOOP by 250. During an upload a 250 can't be the final reply while bytes are
// still to be sent; during a download it is taken for the final reply unless another one follows (doubt). After
// a final reply other than 250, each success answers a NOOP.
func (r *run) takeNOOPReply(reply ftp.Reply) bool {
	if r.pendingNOOPs == 0 {
		return false
	}
	code := reply.Code
	r.doubt = r.doubt || code == 250
	switch {
	case code == 200, pi.IsUnknown(reply), code == 530,
		r.final.Code != 0 && r.final.Code != 250 && code.Class() == ftp.Completion,
		code == 250 && r.final.Code == 0 && r.j.dir == ftp.Store && !r.done:
		r.pendingNOOPs--
		return true
	}
	return false
}

// collect reads the pending replies to NOOPs after the transfer. If they do not come, the server has
// dropped some of the NOOPs: then no more are sent, and Realign finds out where the replies are.
func (r *run) collect(ctx context.Context) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortWait)
	defer cancel()
	soon, cancelSoon := context.WithTimeout(after, noopWait)
	defer cancelSoon()
	for r.pendingNOOPs > 0 && !r.doubt {
		reply, err := r.c.pi.Next(soon, ftp.Command{Verb: "NOOP"})
		if err != nil {
			r.c.history.noNOOP.Store(true)
			break
		}
		r.takeNOOPReply(reply)
	}
	if r.c.dead() || r.pendingNOOPs == 0 && !r.doubt {
		return
	}
	var err error
	if r.final, err = r.c.pi.Realign(after, r.final, r.doubt); err == nil {
		return
	}
	if r.c.dead() {
		r.lost = err
	} else {
		_ = r.c.die(err)
	}
}
