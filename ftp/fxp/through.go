package fxp

import (
	"context"
	"errors"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// through is a copy whose bytes pass through this program.
type through struct {
	pair
	progress func(done, total int64)
}

func (th *through) run(ctx context.Context) (Result, error) {
	err := th.look(ctx)
	for again := true; again && err == nil; {
		if err = th.stream(ctx); err == nil {
			if err = th.setTime(ctx, th.at.name); err == nil {
				again, err = th.place(ctx)
			}
		}
	}
	if err != nil {
		err = th.at.remove(err)
	}
	return th.res, err
}

// stream copies the bytes.
func (th *through) stream(ctx context.Context) error {
	from, to := th.from.c, th.to.c
	r, err := from.Open(ctx, th.from.arg, 0)
	if err != nil {
		return th.from.failed(err)
	}
	sent, err := to.StoreWith(ctx, client.Transfer{Path: th.at.name, Size: th.v.Size, Progress: th.progress}, r)
	lost := r.Close()
	th.at.made = sent.Bytes > 0 || err == nil || !pi.IsReply(err)
	th.res = Result{Bytes: sent.Bytes, Took: sent.Took, Verified: "replies"}
	if th.from.isPrivate() && th.to.isPrivate() {
		th.res.Protection = ftp.Private
	}
	var local *client.LocalError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &local) && lost != nil:
		return th.from.failed(lost)
	case errors.As(err, &local):
		return th.from.failed(local.Err)
	case err != nil:
		return th.to.failed(err)
	case lost != nil:
		return th.from.failed(lost)
	case sent.Bytes < th.v.Size:
		return th.from.failed(&client.TruncatedError{Want: th.v.Size, Got: sent.Bytes, Err: errShrunk})
	}
	if n, err := to.Size(ctx, th.at.name); err == nil {
		if n != sent.Bytes {
			return th.to.failed(&client.TruncatedError{Want: sent.Bytes, Got: n, Final: sent.Final})
		}
		th.res.Verified = "sizes and replies"
	}
	return th.sameFile(ctx)
}
