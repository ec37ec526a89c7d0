package client

import (
	"context"
	"errors"
	"time"

	"miniftp/ftp"
)

// CopyThrough copies a file of one server to another one through this program, as it
// comes: nothing is kept here but a buffer. It needs no more of the servers than a
// download and an upload do, and either of them may use TLS. The errors are those of
// Copy.
func CopyThrough(ctx context.Context, from *Client, path string, to *Client, dest string, o CopyOptions) (CopyResult, error) {
	source := func(err error) error { return &CopyError{Source: true, Addr: from.addr, Err: err} }
	target := func(err error) error { return &CopyError{Addr: to.addr, Err: err} }
	if err := sendable(path, dest); err != nil {
		return CopyResult{}, err
	}
	if from == to {
		return CopyResult{}, errors.New("a copy takes two connections, also to one server")
	}
	t := Transfer{Path: dest, Size: -1, Progress: o.Progress}
	if n, err := from.Size(ctx, path); err == nil {
		t.Size = n
	} else if !isReply(err) {
		return CopyResult{}, source(err)
	}
	var at time.Time
	if o.KeepTime {
		at, _ = from.ModTime(ctx, path) // a time that nobody tells can't be kept
	}
	r, err := from.Open(ctx, path, 0)
	if err != nil {
		return CopyResult{}, source(err)
	}
	sent, err := to.StoreWith(ctx, t, r)
	lost := r.Close()
	res := CopyResult{Bytes: sent.Bytes, Took: sent.Took, Verified: "replies"}
	var local *LocalError
	switch {
	case ctx.Err() != nil:
		return res, context.Cause(ctx)
	case errors.As(err, &local):
		return res, source(firstOf(lost, local.Err))
	case err != nil:
		return res, target(err)
	case lost != nil:
		return res, source(lost)
	}
	if n, err := to.Size(ctx, dest); err == nil {
		if n != sent.Bytes {
			return res, target(&TruncatedError{Want: sent.Bytes, Got: n, Final: sent.Final})
		}
		res.Verified = "sizes and replies"
	}
	if from.security != nil && to.security != nil {
		res.Protection = ftp.Private
	}
	if !at.IsZero() {
		if err := to.SetModTime(ctx, dest, at); err != nil && !isReply(err) {
			return res, target(err)
		}
	}
	return res, nil
}
