package client

import (
	"context"
	"errors"

	"github.com/spf13/afero"
)

// This file decides how a Pool moves a file:
//
//	way         the file                             why                              if it does not work
//	chain       one of several, small, its size and  a round trip for as many files   one connection
//	            time known; nothing to resume; the   as are under way, in place of
//	            server says MODE B AHEAD             three to five for each
//	one         any                                  the kernel moves the bytes       the error is the
//	connection                                                                        transfer's
//	segments    a download that has run for a second  a line with a long round trip,  one connection
//	            and takes two more, whose version    or a limit for each connection,
//	            the server tells, if connections     is filled
//	            are free
//
// Segments are what becomes of one connection (segments.go). Both are tried again, by FileOptions.Retry: each try continues what the one
// before has left, if the file is still the same. A chain knows neither resuming nor retries:
// what goes wrong in it goes over one connection, and is counted as the first try there. No
// more files go that way at once than the Pool may have connections.

// Download is Client.Download over a connection of the Pool, over several for a large file if
// o.Connections allows, or together with other small files if there are Several.
func (p *Pool) Download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions) (Result, error) {
	if o.chainsDown() {
		if ch := p.chain(ctx); ch != nil {
			if res, err := ch.download(ctx, remote, fsys, local, o); !errors.Is(err, errNotChained) {
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
			res, err = c.download(ctx, remote, fsys, local, o)
			return err
		})
		return res, err
	})
}

// Upload is Client.Upload over a connection of the Pool, or together with other small files if
// there are Several.
func (p *Pool) Upload(ctx context.Context, fsys afero.Fs, local, remote string, o FileOptions) (Result, error) {
	if o.chainsUp() {
		if ch := p.chain(ctx); ch != nil {
			if res, err := ch.upload(ctx, fsys, local, remote, o); !errors.Is(err, errNotChained) {
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
			res, err = c.upload(ctx, fsys, local, remote, o)
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

// tried runs a try of a transfer as often as o.Retry says. again may say more about that; nil:
// nothing.
func (o FileOptions) tried(ctx context.Context, again func(error) bool, try func(o FileOptions) (Result, error)) (res Result, err error) {
	r := o.Retry
	if again != nil {
		r.Again = func(err error) bool { return again(err) && o.Retry.again(err) }
	}
	if o.tries == nil && r.Times > 0 {
		o.tries = new(Tries)
	}
	err = r.Do(ctx, func(int) (err error) {
		res, err = try(o)
		return err
	})
	return res, err
}
