package client

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// transfer runs a job, from TYPE to the verdict. It makes a second attempt in two cases: if the
// server asked for an account by 332 and has got it now, and if the data connection that block
// mode keeps between transfers had been closed by the server.
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

// attempt runs a job once. closed reports whether the cause of the failure may be that the server
// had closed a kept data connection.
func (c *Client) attempt(ctx context.Context, j *job) (res Result, closed bool, err error) {
	if err := sendable(j.arg); err != nil {
		return Result{}, false, err
	}
	opener, err := c.prepare(ctx, j)
	if err != nil {
		c.data.Close()
		return Result{}, false, err
	}
	wasOpen := opener.IsOpen()
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
		res.Bytes = 0 // the server has not accepted them
	}
	c.emit(ftp.TransferDone{
		Verb: j.verb, Path: j.arg, Direction: j.dir, Mode: c.opts.Mode,
		Offset: j.offset, Bytes: res.Bytes, Took: res.Took, Err: err,
	})
	c.keep(r.data.Kept, err)
	// Only a failure before the first byte can mean that the connection was closed before this transfer:
	// no reply at all, or 425 or 426.
	closed = wasOpen && res.Bytes == 0 && err != nil && (!isReply(err) || r.final.Code/10 == 42)
	return res, closed, err
}

// lasted returns the time since the data connection of d was ready. It must be called after the
// final reply. The end of the writes would be too early for an upload: megabytes may still wait in
// the buffers of the sockets.
func lasted(d dtp.Result) time.Duration {
	if d.Began.IsZero() {
		return 0
	}
	return time.Since(d.Began)
}

// prepare does everything that precedes the transfer command: the mode, the type, the address of
// the data connection and the restart point.
func (c *Client) prepare(ctx context.Context, j *job) (*dtp.Opener, error) {
	if !j.anyMode || !c.staysInBlocks() {
		if err := c.setMode(ctx, c.mode()); err != nil {
			return nil, err
		}
	}
	get := c.ready
	if c.data.HasOpen() {
		get = c.readyOpen
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
