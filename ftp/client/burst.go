package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"miniftp/ftp"
)

// errDropped is a server that answered the first of several commands and then nothing.
var errDropped = errors.New("the server does not answer commands that come together")

// doAll sends commands in one write and takes their replies, in order; a refusal is no
// error. What a command means may not hang on the reply to one before it, and each must be
// one that can be done twice: a server that drops what comes in one piece with another
// command, or answers out of turn, is asked for all of it again, one by one.
func (c *Client) doAll(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	replies, err := c.burst(ctx, cmds)
	for err == nil && len(replies) < len(cmds) {
		var r ftp.Reply
		cmd := cmds[len(replies)]
		if r, err = c.exchange(ctx, cmd.Verb, cmd.Arg); err == nil {
			replies = append(replies, r)
		}
	}
	return replies, err
}

// burst is doAll as far as the server goes along.
func (c *Client) burst(ctx context.Context, cmds []ftp.Command) ([]ftp.Reply, error) {
	if len(cmds) < 2 || c.lore.single.Load() {
		return nil, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := c.takeIn(ctx); err != nil {
		return nil, err
	}
	if err := c.send(cmds...); err != nil {
		return nil, err
	}
	replies := make([]ftp.Reply, 0, len(cmds))
	for i, cmd := range cmds {
		r, err := c.answerSoon(ctx, cmd, i > 0)
		switch {
		case errors.Is(err, errDropped), err == nil && !fits(cmd.Verb, r.Code):
			c.lore.lockStep()
			return nil, c.realign(ctx)
		case err != nil && c.dead.Load() == nil: // cancelled
			c.awaitAll(ctx, cmds[i:])
			return nil, err
		case err != nil:
			return nil, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

// answerSoon is answer with errDropped for a reply that does not come soon.
func (c *Client) answerSoon(ctx context.Context, cmd ftp.Command, soon bool) (ftp.Reply, error) {
	if soon {
		short, cancel := context.WithTimeoutCause(ctx, c.soon(), errDropped)
		defer cancel()
		ctx = short
	}
	return c.answer(ctx, cmd)
}

// soon is how long a reply may take that should come right behind another one.
func (c *Client) soon() time.Duration { return min(shortWait, c.opts.Timeout/2) }

// awaitAll waits a moment longer for the replies to commands that a cancel cut short.
func (c *Client) awaitAll(ctx context.Context, cmds []ftp.Command) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortWait)
	defer cancel()
	for _, cmd := range cmds {
		if _, err := c.answer(after, cmd); err != nil {
			_ = c.die(fmt.Errorf("%w to %s", ErrTimeout, cmd.Verb))
			return
		}
	}
}

// fits reports whether a reply can be one to that verb. One that says yes in words of
// another command's shows that the replies are out of step.
func fits(verb string, code ftp.Code) bool {
	if code.Class() == ftp.TransientFail || code.Class() == ftp.PermanentFail {
		return true
	}
	switch verb {
	case "SIZE":
		return code == 213
	case "MDTM", "MFMT":
		return code == 213 || code == 200 || code == 250 || code == 253
	case "EPSV":
		return code == 229
	case "PASV":
		return code == 227 || code == 229
	case "REST", "RNFR":
		return code == 350
	case "TYPE", "PORT", "EPRT", "OPTS", "PBSZ", "PROT":
		return code/10 == 20 || code == 250
	}
	return code != 229 && code != 227
}

// realign finds the place among the replies again after a surprise. It waits as long as
// for any reply, or, when ctx ends, for a moment longer; then the Client is dead.
func (c *Client) realign(ctx context.Context) error {
	pwd := ftp.Command{Verb: "PWD"}
	if err := c.write(pwd); err != nil {
		return err
	}
	err := c.untilPWD(ctx)
	if err == nil || c.dead.Load() != nil {
		return err
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortWait)
	defer cancel()
	if late := c.untilPWD(after); late != nil && c.dead.Load() == nil {
		_ = c.die(fmt.Errorf("%w to PWD", ErrTimeout))
	}
	return err
}
