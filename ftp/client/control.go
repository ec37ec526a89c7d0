package client

import (
	"context"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// This file is what a Client adds to its control connection: what a command voids that the
// Client knows, and whether the server may be sent several commands at once.

// do is exchange with a 4xx or 5xx reply as an *ftp.Error; see pi.Conn.Do.
func (c *Client) do(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	c.outdate(verb)
	return c.pi.Do(ctx, verb, arg)
}

// exchange sends one command and waits for its final reply; see pi.Conn.Exchange.
func (c *Client) exchange(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	c.outdate(verb)
	return c.pi.Exchange(ctx, verb, arg)
}

// doAll sends commands and returns their replies, in order; a refusal is no error. No
// command may depend on the reply to one before it. They leave in one write if the server
// is known to bear that, else one by one. A server that turns out not to answer each of them
// in its turn gets one command at a time from then on, over another connection.
func (c *Client) doAll(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	batch := len(cmds) > 1 && c.batches()
	for _, cmd := range cmds {
		if batch { // an offer in it is not outdated by itself
			c.leaveDir(cmd.Verb)
		} else {
			c.outdate(cmd.Verb)
		}
	}
	replies, err := c.pi.All(ctx, batch, cmds...)
	if batch && err != nil && len(replies) > 0 && c.pi.Err() != nil {
		c.history.lockStep.Store(true)
	}
	return replies, err
}

// outdate forgets what a command voids.
func (c *Client) outdate(verb string) {
	c.leaveDir(verb)
	if outdates(verb) {
		c.dropOffer()
	}
}

// leaveDir forgets the current directory if a command changes it.
func (c *Client) leaveDir(verb string) {
	switch verb {
	case "CWD", "CDUP", "XCWD", "XCUP", "SMNT", "REIN", "USER":
		c.cwd = ""
	}
}

// tell passes an event on to the Observer.
func (c *Client) tell(what ftp.Happening) { c.pi.Tell(what) }

// dead reports whether the control connection is gone.
func (c *Client) dead() bool { return c.pi.Err() != nil }

// die gives the connection up; the first cause is the one that lasts.
func (c *Client) die(cause error) error { return c.pi.Fail(cause) }

// refusal, isReply and sendable are those of the control connection.
func refusal(verb string, r ftp.Reply) error { return pi.Refusal(verb, r) }
func isReply(err error) bool                 { return pi.IsReply(err) }
func sendable(args ...string) error          { return pi.Sendable(args...) }
