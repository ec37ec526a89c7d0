package client

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// keepAlive is the beat at which NOOP is sent while a transfer runs.
func (c *Client) keepAlive() (beat <-chan time.Time, stop func()) {
	if c.opts.KeepAlive <= 0 || c.history.noNOOP.Load() {
		return nil, func() {}
	}
	t := time.NewTicker(c.opts.KeepAlive)
	return t.C, t.Stop
}

// maxOwed is how many NOOPs may be without an answer. Many servers read none before
// a transfer is over; some never do.
const maxOwed = 100

// stayAlive sends a NOOP beside the transfer. Each one has a reply, now or when the
// transfer is over, which must not be taken for another command's.
func (r *run) stayAlive() {
	if !r.begun || r.answered() || r.owed == maxOwed {
		return
	}
	if err := r.c.pi.Write(ftp.Command{Verb: "NOOP"}); err != nil {
		r.losing(err)
		return
	}
	r.owed++
}

// isOwed reports whether a reply is to a NOOP of stayAlive. A transfer that began
// ends with 226, 250, 4xx or a 55x. NOOP is answered by 200, or by what an unknown or
// untimely command is. Some servers answer 250: that does not end an upload whose bytes
// are still on their way, and of a download it is the end only until another one comes.
func (r *run) isOwed(reply ftp.Reply) bool {
	if r.owed == 0 {
		return false
	}
	code := reply.Code
	r.doubt = r.doubt || code == 250
	switch {
	case code == 200, pi.IsUnknown(reply), code == 530,
		r.final.Code != 0 && r.final.Code != 250 && code.Class() == ftp.Completion,
		code == 250 && r.final.Code == 0 && r.j.dir == ftp.Store && !r.done:
		r.owed--
		return true
	}
	return false
}

// collect takes the answers to the NOOPs that came too late to be given during the
// transfer. If they don't come, the server has dropped some of the NOOPs.
func (r *run) collect(ctx context.Context) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortWait)
	defer cancel()
	soon, cancelSoon := context.WithTimeout(after, noopWait)
	defer cancelSoon()
	for r.owed > 0 && !r.doubt {
		reply, err := r.c.pi.Next(soon, ftp.Command{Verb: "NOOP"})
		if err != nil {
			r.c.history.noNOOP.Store(true)
			break
		}
		r.isOwed(reply)
	}
	if r.c.dead() || r.owed == 0 && !r.doubt {
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
