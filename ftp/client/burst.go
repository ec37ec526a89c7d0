package client

import (
	"context"
	"fmt"

	"miniftp/ftp"
)

// doAll sends commands and returns their replies, in order; a refusal is no error. No
// command may depend on the reply to one before it. They leave in one write if the server
// is known to bear that, else one by one.
func (c *Client) doAll(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	if len(cmds) > 1 && c.batches() {
		return c.burst(ctx, cmds)
	}
	replies := make([]ftp.Reply, 0, len(cmds))
	for _, cmd := range cmds {
		r, err := c.exchange(ctx, cmd.Verb, cmd.Arg)
		if err != nil {
			return replies, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

// burst sends commands in one write. A server that does not answer each of them in its
// turn gets one command at a time from then on, over another connection.
func (c *Client) burst(ctx context.Context, cmds []ftp.Command) ([]ftp.Reply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := c.send(cmds...); err != nil {
		return nil, err
	}
	replies := make([]ftp.Reply, 0, len(cmds))
	for i, cmd := range cmds {
		r, err := c.answer(ctx, cmd)
		if err == nil && !fits(cmd.Verb, r.Code) {
			err = c.outOfStep(cmd.Verb, r)
		}
		switch {
		case err == nil:
		case c.dead.Load() == nil: // cancelled
			c.awaitAll(ctx, cmds[i:])
			return nil, err
		default:
			if i > 0 {
				c.history.lockStep.Store(true)
			}
			return nil, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

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
