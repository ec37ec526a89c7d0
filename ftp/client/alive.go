package client

import (
	"context"
	"time"

	"miniftp/ftp"
)

// keepAlive is the beat at which NOOP is sent while a transfer runs.
func (c *Client) keepAlive() (beat <-chan time.Time, stop func()) {
	if c.opts.KeepAlive <= 0 || c.knows.noNOOP {
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
	if err := r.c.write(ftp.Command{Verb: "NOOP"}); err != nil {
		r.losing(err)
		return
	}
	r.owed++
}

// isOwed reports whether a reply is to a NOOP of stayAlive. A transfer that began
// ends with 226, 250, 4xx or a 55x; NOOP is answered by 200, or by what an unknown or
// untimely command is.
func (r *run) isOwed(reply ftp.Reply) bool {
	if r.owed == 0 {
		return false
	}
	switch code := reply.Code; {
	case code == 200, code/10 == 50, code == 530, r.final.Code != 0 && code.Class() == ftp.Completion:
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
	soon, cancelSoon := context.WithTimeout(after, shortWait/4)
	defer cancelSoon()
	for r.owed > 0 {
		reply, err := r.c.await(soon, ftp.Command{Verb: "NOOP"})
		switch {
		case r.c.dead.Load() != nil:
			return
		case err != nil:
			r.c.knows.noNOOP = true
			if err := r.c.resync(after); err != nil && r.c.dead.Load() == nil {
				_ = r.c.die(err)
			}
			return
		}
		r.isOwed(reply)
	}
}

// resync finds the place among the replies again when it is not known how many are
// owed: only PWD is answered by 257.
func (c *Client) resync(ctx context.Context) error {
	pwd := ftp.Command{Verb: "PWD"}
	if err := c.write(pwd); err != nil {
		return err
	}
	return c.untilPWD(ctx)
}

// untilPWD passes over replies until the one to PWD.
func (c *Client) untilPWD(ctx context.Context) error {
	for {
		r, err := c.await(ctx, ftp.Command{Verb: "PWD"})
		if err != nil || r.Code == 257 {
			return err
		}
	}
}
