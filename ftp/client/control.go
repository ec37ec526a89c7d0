package client

import (
	"context"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// This file is what a Client adds to its control connection: it forgets what a command
// invalidates, and decides whether several commands may be sent in one write.

// do is like exchange but returns a 4xx or 5xx reply as an *ftp.Error; see pi.Conn.Do.
func (c *Client) do(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	c.forgetVoided(verb)
	return c.pi.Do(ctx, verb, arg)
}

// exchange sends one command and waits for its final reply; see pi.Conn.Exchange.
func (c *Client) exchange(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	c.forgetVoided(verb)
	return c.pi.Exchange(ctx, verb, arg)
}

// doAll sends commands and returns their replies in order. A refusal is not an error. No command
// may depend on the reply to an earlier one. They are sent in one write if the server is known to
// support that (batches), else one by one. If the server then fails to answer each in turn, the
// connection is lost; history remembers it, and later connections send one command at a time.
func (c *Client) doAll(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	batch := len(cmds) > 1 && c.batches()
	for _, cmd := range cmds {
		if batch { // EPSV in the batch must not void the offer that it makes
			c.forgetDir(cmd.Verb)
		} else {
			c.forgetVoided(cmd.Verb)
		}
	}
	replies, err := c.pi.All(ctx, batch, cmds...)
	if batch && err != nil && len(replies) > 0 && c.pi.Err() != nil {
		c.history.lockStep.Store(true)
	}
	return replies, err
}

// forgetVoided forgets what the command makes invalid: the current directory and an unused offer.
func (c *Client) forgetVoided(verb string) {
	c.forgetDir(verb)
	if voidsOffer(verb) {
		c.dropOffer()
	}
}

// forgetDir forgets the current directory if the command changes it.
func (c *Client) forgetDir(verb string) {
	switch verb {
	case "CWD", "CDUP", "XCWD", "XCUP", "SMNT", "REIN", "USER":
		c.cwd = ""
	}
}

// emit sends an event to the Observer.
func (c *Client) emit(what ftp.Happening) { c.pi.Tell(what) }

// dead reports whether the control connection has failed.
func (c *Client) dead() bool { return c.pi.Err() != nil }

// die marks the connection as failed. Only the first cause is kept.
func (c *Client) die(cause error) error { return c.pi.Fail(cause) }

// Shorter names for functions of package pi.
func refusal(verb string, r ftp.Reply) error { return pi.Refusal(verb, r) }
func isReply(err error) bool                 { return pi.IsReply(err) }
func sendable(args ...string) error          { return pi.Sendable(args...) }
