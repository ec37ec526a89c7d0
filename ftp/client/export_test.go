package client

import (
	"context"
	"time"
)

// Downloads are cut up sooner in tests.
func init() { cutting.sample, cutting.worth = 50*time.Millisecond, 0 }

// ShrinkFor sets how long a Pool stays small after a refused connection.
func ShrinkFor(d time.Duration) (before time.Duration) {
	before, shrinkFor = shrinkFor, d
	return before
}

// Renamed has an Upload rename the file once it is whole, as Mirror may.
func Renamed(o FileOptions, to string) FileOptions {
	o.rename = to
	return o
}

// Tries is what several tries of one transfer share.
type Tries = tries

// Tried has a transfer share what its tries know with others.
func Tried(o FileOptions, t *Tries) FileOptions {
	o.tries = t
	return o
}

// The limits of a chain, and how it says that it was none for it.
const (
	ChainWindow = chainWindow
	ChainMost   = chainMost
)

var ErrNotChained = errNotChained

// Chain is the chain of a Pool, without the other ways.
type Chain struct{ ch *chain }

// Chain makes a chain; nil if the server has none.
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
