package client

import (
	"context"
	"errors"
)

// This file decides how a Pool moves a file:
//
//	chain            small files of which there are several: their size and time are known,
//	                 nothing is resumed, and the server says MODE B AHEAD. A round trip
//	                 serves as many files as are under way, where each would take three to five.
//	                 What does not work goes over one connection.
//	one connection   all others. The kernel moves the bytes.
//	segments         a download that turns out to take long, while connections are free:
//	                 others join the first one (segments.go). They fill a line with long round
//	                 trips, or one of which each connection has a share. If they do not fit
//	                 together, the file is fetched over one connection.
//
// FileOptions.Retry is about one connection and its segments: each try continues what the one
// before has left, if the file is still the same. A chain knows neither resuming nor retries; what
// goes wrong in it has its first try afterwards. No more files are outside of the chain at once
// than the Pool may have connections.

// Download is Client.Download over a connection of the Pool, over several for a large file if
// o.Connections allows, or together with other small files if there are Several.
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

// Upload is Client.Upload over a connection of the Pool, or together with other small files if
// there are Several.
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

// Parallel returns how many Downloads or Uploads should run at once: several hundred if small
// files can share a connection to this server, which it is asked for, and otherwise as many as
// the Pool may have connections. It pays from about eight small files on.
func (p *Pool) Parallel(ctx context.Context) int {
	if p.chain(ctx) != nil {
		return chainWindow
	}
	return p.Size()
}

// chain returns the chain for small files, nil if there is none. The server is asked once.
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

// turn waits until there may be a connection for one more file. done gives it back.
func (p *Pool) turn(ctx context.Context) (done func(), err error) {
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// spare returns how many connections no file has taken.
func (p *Pool) spare() int { return min(cap(p.turns), p.Size()) - len(p.turns) }
