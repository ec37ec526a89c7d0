package client

import (
	"context"
	"time"
)

// Downloads are cut into segments sooner in tests.
func init() { cutting.sample, cutting.worth = 50*time.Millisecond, 0 }

// ShrinkFor sets how long a Pool stays small after a refused connection.
func ShrinkFor(d time.Duration) (before time.Duration) {
	before, shrinkFor = shrinkFor, d
	return before
}

// Renamed returns options with which an Upload renames the file once it is whole.
func Renamed(o FileOptions, to string) FileOptions {
	o.rename = to
	return o
}

// Tries is the state that several tries of one transfer share.
type Tries = tries

// Tried returns options for one of several tries that share t.
func Tried(o FileOptions, t *Tries) FileOptions {
	o.tries = t
	return o
}

// The limits of a chain, and the error for files that it does not move.
const (
	ChainWindow = chainWindow
	NearWindow  = nearWindow
	ChainMost   = chainMost
)

var ErrNotChained = errNotChained

// Chain is the chain of a Pool, without the ordinary way.
type Chain struct{ ch *chain }

// Chain returns the chain of a Pool, nil if the server does not support it.
func (p *Pool) Chain(ctx context.Context) *Chain {
	ch, err := p.newChain(ctx)
	if ch == nil || err != nil {
		return nil
	}
	return &Chain{ch}
}

// Download is chain.download.
func (c *Chain) Download(ctx context.Context, remote, local string, o FileOptions) (Result, error) {
	o.Several = true
	return c.ch.download(ctx, remote, o.fs(), local, o)
}

// Upload is chain.upload.
func (c *Chain) Upload(ctx context.Context, local, remote string, o FileOptions) (Result, error) {
	o.Several = true
	return c.ch.upload(ctx, o.fs(), local, remote, o)
}
