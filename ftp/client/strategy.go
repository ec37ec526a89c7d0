package client

import (
	"context"
	"errors"
)

// This file decides how a Pool moves a file:
//
//	chain            Several small files whose sizes and times are known, none of which is
//	                 resumed, if the server has the feature MODE B AHEAD. All files under way
//	                 share each round trip, where each alone would take three to five. A file
//	                 that the chain can't move goes over one connection.
//	one connection   All other files. The kernel moves the bytes.
//	segments         A download that turns out to take long, while connections are free: other
//	                 connections join the first one (segments.go). This helps if the round trips
//	                 are long or each connection gets a share of the line. If the parts do not
//	                 fit together, the file is fetched again over one connection.
//
// FileOptions.Retry applies to one connection and its segments: each try continues the partial file
// of the one before, if the remote file has not changed. A chain neither resumes nor retries; a
// file that fails in it gets its first try afterwards. Outside of the chain, no more files are
// under way at once than the Pool may have connections.

// Download is like Client.Download over a connection of the Pool. A large file is fetched over
// several connections if o.Connections allows, and small files share one if o.Several is set.
func (p *Pool) Download(ctx context.Context, remote, local string, o FileOptions) (Result, error) {
	if o.chainsDown() {
		if ch := p.chain(ctx); ch != nil {
			if res, err := ch.download(ctx, remote, o.fs(), local, o); !errors.Is(err, errNotChained) {
				return res, err
			}
		}
	}
	done, err := p.turn(ctx)
	if err != nil {
		return Result{}, err
	}
	defer done()
	o.pool, o.Connections = p, min(o.Connections, p.spare()+1)
	return o.tried(ctx, nil, func(o FileOptions) (res Result, err error) {
		err = p.Do(ctx, func(c *Client) (err error) {
			res, err = c.download(ctx, remote, o.fs(), local, o)
			return err
		})
		return res, err
	})
}

// Upload is like Client.Upload over a connection of the Pool. Small files share one connection if
// o.Several is set.
func (p *Pool) Upload(ctx context.Context, local, remote string, o FileOptions) (Result, error) {
	if o.chainsUp() {
		if ch := p.chain(ctx); ch != nil {
			if res, err := ch.upload(ctx, o.fs(), local, remote, o); !errors.Is(err, errNotChained) {
				return res, err
			}
		}
	}
	done, err := p.turn(ctx)
	if err != nil {
		return Result{}, err
	}
	defer done()
	return o.tried(ctx, nil, func(o FileOptions) (res Result, err error) {
		err = p.Do(ctx, func(c *Client) (err error) {
			res, err = c.upload(ctx, o.fs(), local, remote, o)
			return err
		})
		return res, err
	})
}

// Parallel returns how many Downloads or Uploads should run at once. If small files can share a
// connection to this server, which Parallel asks the server, it is 32 for a server that replies at
// once and more for one that is far; otherwise it is the number of connections that the Pool may
// have. Sharing pays from about eight small files on.
func (p *Pool) Parallel(ctx context.Context) int {
	if ch := p.chain(ctx); ch != nil {
		return ch.parallel
	}
	return p.Size()
}

// chain returns the chain for small files, nil if there is none. It asks the server once.
func (p *Pool) chain(ctx context.Context) *chain {
	select {
	case p.chaining <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-p.chaining }()
	if !p.chained.asked {
		ch, err := p.newChain(ctx)
		if err != nil {
			return nil
		}
		p.chained.asked, p.chained.chain = true, ch
	}
	if ch := p.chained.chain; ch != nil && !ch.isOff() {
		return ch
	}
	return nil
}

// turn waits until one more file may use a connection. The caller must call done after it.
func (p *Pool) turn(ctx context.Context) (done func(), err error) {
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// spare returns how many connections are not in use by a file.
func (p *Pool) spare() int { return min(cap(p.turns), p.Size()) - len(p.turns) }
