package client

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"miniftp/ftp"
)

// CopyThrough copies a file of one server to another one through this program, as it
// comes: nothing is kept here but a buffer. It needs no more of the servers than a
// download and an upload do, and either of them may use TLS. The errors are those of
// Copy.
func CopyThrough(ctx context.Context, from *Client, file string, to *Client, dest string, o CopyOptions) (CopyResult, error) {
	source := func(err error) error { return &CopyError{Source: true, Addr: from.addr, Err: err} }
	target := func(err error) error { return &CopyError{Addr: to.addr, Err: err} }
	if err := sendable(file, dest); err != nil {
		return CopyResult{}, err
	}
	if from == to {
		return CopyResult{}, errors.New("a copy takes two connections, also to one server")
	}
	if err := apart(ctx, from, file, to, dest); err != nil {
		return CopyResult{}, err
	}
	t := Transfer{Path: dest, Size: -1, Progress: o.Progress}
	if n, err := from.Size(ctx, file); err == nil {
		t.Size = n
	} else if !isReply(err) {
		return CopyResult{}, source(err)
	}
	var at time.Time
	if o.KeepTime {
		at, _ = from.ModTime(ctx, file) // a time that nobody tells can't be kept
	}
	r, err := from.Open(ctx, file, 0)
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

// ErrSameFile is a copy of a file onto itself: most servers would empty it first.
var ErrSameFile = errors.New("that is the file itself")

// apart is ErrSameFile if both names are of one file of one server, as far as names
// tell.
func apart(ctx context.Context, from *Client, file string, to *Client, dest string) error {
	if from.addr != to.addr || from.opts.User != to.opts.User {
		return nil
	}
	var at [2]string
	for i, one := range []struct {
		c    *Client
		path string
	}{{from, file}, {to, dest}} {
		if at[i] = one.path; !strings.HasPrefix(one.path, "/") {
			dir, err := one.c.Pwd(ctx)
			if err != nil {
				return err
			}
			at[i] = join(dir, one.path)
		}
	}
	if path.Clean(at[0]) == path.Clean(at[1]) {
		return &CopyError{Addr: to.addr, Err: ErrSameFile}
	}
	return nil
}
