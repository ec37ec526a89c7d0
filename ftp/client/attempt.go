package client

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// transfer runs a job from TYPE to the verdict. Block mode keeps its data connection
// between transfers, and the server may have closed it meanwhile: then the job is done
// again over a new one. So it is once the server has got the account that it asked for.
func (c *Client) transfer(ctx context.Context, j *job) (Result, error) {
	res, closed, err := c.attempt(ctx, j)
	if isReply(err) && res.Final.Code == 332 && c.opts.Account != "" && j.again(res) {
		if err = c.pi.GiveAccount(ctx, j.verb, res.Final); err == nil {
			res, closed, err = c.attempt(ctx, j)
		}
	}
	if closed && ctx.Err() == nil && !c.dead() && j.again(res) {
		res, _, err = c.attempt(ctx, j)
	}
	return res, err
}

// attempt is transfer without the second try. closed reports whether the failure may come
// of a kept data connection that the server had closed.
func (c *Client) attempt(ctx context.Context, j *job) (res Result, closed bool, err error) {
	if err := sendable(j.arg); err != nil {
		return Result{}, false, err
	}
	opener, err := c.prepare(ctx, j)
	if err != nil {
		c.data.Close()
		return Result{}, false, err
	}
	stood := opener.Stands()
	r := c.start(j, opener)
	if err = c.pi.Send(ftp.Command{Verb: j.verb, Arg: j.arg}); err == nil {
		err = r.watch(ctx)
	}
	r.settle(ctx, err)
	err = r.verdict(err)
	c.pi.TransferEnded()
	res = Result{Bytes: r.data.Bytes, Took: lasted(r.data), Mode: c.opts.Mode, Final: r.final, cutShort: r.data.CutShort}
	if err == nil {
		res.Verified = r.verified()
	} else if j.early && !r.begun {
		res.Bytes = 0 // nobody has taken them
	}
	c.tell(ftp.TransferDone{
		Verb: j.verb, Path: j.arg, Direction: j.dir, Mode: c.opts.Mode,
		Offset: j.offset, Bytes: res.Bytes, Took: res.Took, Err: err,
	})
	c.keep(r.data.Kept, err)
	closed = stood && res.Bytes == 0 && err != nil && (!isReply(err) || r.final.Code/10 == 42)
	return res, closed, err
}

// lasted returns the time since the data connection of d was ready; it is to be called when
// the final reply is there. The bytes of an upload are written long before that: up to
// megabytes of them wait in the buffers of the sockets.
func lasted(d dtp.Result) time.Duration {
	if d.Began.IsZero() {
		return 0
	}
	return time.Since(d.Began)
}

// prepare is everything before the transfer command: the type, the data
// connection's address, the restart point.
func (c *Client) prepare(ctx context.Context, j *job) (*dtp.Opener, error) {
	if !j.anyMode || !c.staysInBlocks() {
		if err := c.setMode(ctx, c.mode()); err != nil {
			return nil, err
		}
	}
	get := c.ready
	if c.data.Stands() {
		get = c.readyStanding
	}
	if err := get(ctx, j); err != nil {
		return nil, err
	}
	return c.data.Take()
}

func (c *Client) setType(ctx context.Context, t ftp.Type) error {
	if c.pi.Params().Type == t {
		return nil
	}
	_, err := c.do(ctx, "TYPE", t.String())
	return err
}
