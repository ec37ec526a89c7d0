package pi

import (
	"context"
	"fmt"
	"time"

	"miniftp/ftp"
)

// Send sends commands in one write, or none of them if one can't be encoded. On a watched connection it
// first consumes the replies that nobody has waited for, so that they are not mistaken for
// answers to these commands.
func (c *Conn) Send(cmds ...ftp.Command) error {
	for c.ahead != nil {
		select {
		case r, ok := <-c.ahead.replies:
			if !ok {
				return c.Lost()
			}
			if err := c.Take(ftp.Command{}, r); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	return c.Write(cmds...)
}

// Write is like Send, but consumes no replies: it is for callers that still expect replies to earlier commands.
// All commands that are sent on the control connection go through it.
func (c *Conn) Write(cmds ...ftp.Command) error {
	lines := c.out[:0]
	for _, cmd := range cmds {
		encoded, err := c.encode(cmd)
		if err != nil {
			return err
		}
		if lines, err = encoded.Append(lines); err != nil {
			return err
		}
	}
	c.out, c.left = lines[:0], maxReplies
	for _, cmd := range cmds {
		c.secrets.Learn(cmd)
		if c.cfg.Observer != nil {
			c.Tell(ftp.CommandGiven{Command: cmd.Masked()})
		}
	}
	err := c.conn.SetWriteDeadline(time.Now().Add(c.cfg.Timeout))
	if err == nil {
		_, err = c.conn.Write(lines)
	}
	if err != nil {
		return c.Fail(Cause(err))
	}
	return nil
}

// Do is Exchange that returns a 4xx or 5xx reply as an *ftp.Error. If the server asks for an account (332),
// Do sends that of Login.
func (c *Conn) Do(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	r, err := c.Exchange(ctx, verb, arg)
	if err == nil && r.Code == 332 && verb != "USER" && verb != "PASS" {
		if err = c.GiveAccount(ctx, verb, r); err == nil {
			r, err = c.Exchange(ctx, verb, arg)
		}
	}
	if err == nil {
		err = Refusal(verb, r)
	}
	return r, err
}

// GiveAccount sends ACCT after a 332 to a command (RFC 959 §4.1.1). If Login was given no account, the error
// is the 332.
func (c *Conn) GiveAccount(ctx context.Context, verb string, needs ftp.Reply) error {
	if c.account == "" || verb == "ACCT" {
		return &ftp.Error{Verb: verb, Reply: needs}
	}
	r, err := c.Exchange(ctx, "ACCT", c.account)
	if err == nil {
		err = Refusal("ACCT", r)
	}
	return err
}

// Exchange sends one command and waits for its final reply. A reply that can't be an answer to the command
// is ErrOutOfStep. If ctx ends, Exchange waits ShortWait longer for the reply, so that it is not
// mistaken for the answer to the next command.
func (c *Conn) Exchange(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	if ctx.Err() != nil {
		return ftp.Reply{}, context.Cause(ctx)
	}
	cmd := ftp.Command{Verb: verb, Arg: arg}
	if err := c.Send(cmd); err != nil {
		return ftp.Reply{}, err
	}
	r, err := c.Final(ctx, cmd)
	if err == nil && !FitsLoosely(verb, r.Code) {
		err = c.OutOfStep(verb, r)
	}
	if err != nil && ctx.Err() != nil && c.dead.Load() == nil {
		c.finishAll(ctx, cmd)
	}
	return r, err
}

// All sends commands, with Batch if batch is set and one by one otherwise, and returns their replies in order.
// A refusal (4xx, 5xx) is not an error.
func (c *Conn) All(ctx context.Context, batch bool, cmds ...ftp.Command) ([]ftp.Reply, error) {
	if batch && len(cmds) > 1 {
		return c.Batch(ctx, cmds...)
	}
	replies := make([]ftp.Reply, 0, len(cmds))
	for _, cmd := range cmds {
		r, err := c.Exchange(ctx, cmd.Verb, cmd.Arg)
		if err != nil {
			return replies, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

// Batch sends commands in one write and returns their replies in order. A refusal (4xx, 5xx) is not an error.
// No command may depend on the reply to an earlier one. Use it only with servers that are known
// to support it, since RFC 959 §5.4 requires a user to wait for each reply. If the server does
// not answer each command, the error is a *DeadError, and the replies before that are returned.
func (c *Conn) Batch(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := c.Send(cmds...); err != nil {
		return nil, err
	}
	replies := make([]ftp.Reply, 0, len(cmds))
	for i, cmd := range cmds {
		r, err := c.Final(ctx, cmd)
		if err == nil && !Fits(cmd.Verb, r.Code) {
			err = c.OutOfStep(cmd.Verb, r)
		}
		if err != nil {
			if c.dead.Load() == nil { // cancelled
				c.finishAll(ctx, cmds[i:]...)
			}
			return replies, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

// finishAll waits up to ShortWait for the replies to commands whose context has ended.
func (c *Conn) finishAll(ctx context.Context, cmds ...ftp.Command) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShortWait)
	defer cancel()
	for _, cmd := range cmds {
		if _, err := c.Final(after, cmd); err != nil {
			_ = c.Fail(fmt.Errorf("%w to %s", ErrTimeout, cmd.Verb))
			return
		}
	}
}

// Quit sends QUIT, waits briefly for the reply, and closes the connection.
func (c *Conn) Quit() error {
	ctx, cancel := context.WithTimeout(context.Background(), min(c.cfg.Timeout, quitWait))
	defer cancel()
	quit := ftp.Command{Verb: "QUIT"}
	if c.Send(quit) == nil {
		_, _ = c.Final(ctx, quit) // the connection closes, whatever the reply
	}
	return c.Close()
}
