package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// link is a server that verbs work with, through do: it takes a connection out of a
// pool of at most --parallel, dials if need be, and dials again after one broke. It is
// safe for concurrent use.
type link struct {
	e       *env
	ctx     context.Context
	remote  *remote
	opts    client.Options
	pool    *client.Pool
	retries int
	stood   *atomic.Bool // a connection stood before
	at      string       // what it is used for, to say so before a retry
	lent    bool         // the pool is the shell's
	many    *many
}

// on is k, used for what has that name.
func (k *link) on(name string) *link {
	other := *k
	other.at = name
	return &other
}

// lender is a line of the shell, which has a connection that a verb may use.
type lender interface {
	// Lend returns nil if the shell's server is not the one that the verb wants.
	Lend(e *env, c *cli.Context, r *remote) (*link, error)
}

// open prepares the connection to r's server; nothing is dialed yet.
func (e *env) open(c *cli.Context, r *remote) (*link, error) {
	if shell, ok := e.line.(lender); ok {
		if k, err := shell.Lend(e, c, r); k != nil || err != nil {
			return k, err
		}
	}
	debug.SetGCPercent(50) // what a long listing leaves behind goes sooner; transfers leave nothing
	opts, err := clientOptions(c)
	if err != nil {
		return nil, err
	}
	if opts.TLS, opts.TLSConfig, err = clientTLS(c, r); err != nil {
		return nil, err
	}
	if opts.Dial, err = viaProxy(c, r, opts.Mode); err != nil {
		return nil, err
	}
	if opts.User, opts.Password, err = e.login(c, r); err != nil {
		return nil, err
	}
	k := &link{e: e, ctx: c.Context, remote: r, opts: opts, retries: c.Int("retries"), stood: new(atomic.Bool), at: r.String()}
	k.many = &many{drawn: c.Bool("explain") || pictureName(c) != ""}
	if k.opts.Observer, err = e.watch(c, proxyShown(c, r)); err != nil {
		return nil, err
	}
	k.pool = client.NewPool(r.addr, &k.opts, parallel(c))
	return k, nil
}

// openArg is open for a verb's argument.
func (e *env) openArg(c *cli.Context, url string) (*link, *remote, error) {
	r, err := parseRemote(url)
	if err != nil {
		return nil, nil, err
	}
	k, err := e.open(c, r)
	return k, r, err
}

// do runs f with a connection. When that breaks, it waits, longer each time, and
// runs f again with another one; try counts from 0.
func (k *link) do(f func(cl *client.Client, try int) error) error {
	return k.retry().Do(k.ctx, func(try int) error {
		cl, err := k.pool.Get(k.ctx)
		if err != nil {
			return tlsHint(loginHint(err, k.opts), k.opts)
		}
		k.stood.Store(true)
		defer k.pool.Put(cl)
		return f(cl, try)
	})
}

// doPool is do for what takes several connections.
func (k *link) doPool(f func(p *client.Pool, try int) error) error {
	if err := k.do(func(*client.Client, int) error { return nil }); err != nil {
		return err // whatever stands in the way of the first connection is told as always
	}
	return k.retry().Do(k.ctx, func(try int) error { return f(k.pool, try) })
}

// retry is how often and when what broke is tried again.
func (k *link) retry() client.Retry {
	return client.Retry{
		Times: k.retries, Wait: k.e.wait,
		Again: func(err error) bool {
			// A host that can't be found will not be a moment later, unless it was there a
			// moment ago.
			var connect *client.ConnectError
			return client.Temporary(err) || k.stood.Load() && errors.As(err, &connect)
		},
		Told: func(err error, wait time.Duration) { k.e.note("%v; trying again in %v", at(k.at, err), wait) },
	}
}

func (k *link) close() {
	if !k.lent {
		_ = k.pool.Close()
	}
}

// found is a remote path that a URL named, with what is known of it.
type found struct {
	path  string
	entry ftp.Entry // zero if the path was named and not listed
}

// size is the file's size, 0 if it has to be asked for: a link's is not that of
// the file that it leads to.
func (f found) size() int64 {
	if f.entry.Type != ftp.FileEntry {
		return 0
	}
	return max(f.entry.Size, 0)
}

// isDir reports whether a path is a directory, as far as the server tells.
func (k *link) isDir(path string) bool {
	dir := false
	_ = k.do(func(cl *client.Client, _ int) error {
		entry, err := cl.Stat(k.ctx, path)
		dir = err == nil && entry.IsDir()
		return err
	})
	return dir
}

// expand finds what a URL names: one path, or all that its pattern matches.
func (k *link) expand(r *remote) (*client.Paths, error) {
	all := new(client.Paths)
	if r.pattern == "" {
		return all, all.Add(client.WalkEntry{Path: r.path})
	}
	err := k.do(func(cl *client.Client, _ int) (err error) {
		all, err = cl.Match(k.ctx, r.pattern)
		return err
	})
	if err != nil {
		return nil, at(r.String(), err)
	}
	if all.Len() > 0 {
		return all, nil
	}
	one := client.WalkEntry{Path: r.path} // it may be a name with odd characters in it
	err = k.do(func(cl *client.Client, _ int) (err error) {
		one.Entry, err = cl.Stat(k.ctx, r.path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("nothing matches: %w", err)
	}
	if err != nil {
		return nil, at(r.given(), err)
	}
	return all, all.Add(one)
}

// eachPath is each for what a URL names.
func eachPath(e *env, files *client.Paths, f func(client.WalkEntry) error) error {
	defer files.Close()
	var first error
	for file, bad := range files.All() {
		err := each(e, []client.WalkEntry{file}, func(file client.WalkEntry) error {
			if bad != nil {
				return bad
			}
			return f(file)
		})
		first = firstError(first, err)
		if err != nil && (fatal(err) || e.ctx.Err() != nil) {
			break
		}
	}
	return first
}

// naming says whether a URL may be a pattern.
type naming int

const (
	asNamed     naming = iota
	globs              // one that nothing matches is an error
	globsOrNone        // one that nothing matches names nothing
)

// eachURL runs f for everything that the URLs name, over as few control
// connections as there are servers.
func (e *env) eachURL(c *cli.Context, urls []string, f func(k *link, r *remote, file found) error) error {
	return e.eachNamed(c, urls, globs, e.newCrew(1), f)
}

// eachNamed is eachURL for an f that leaves work to a crew: a connection is closed
// when that is done.
func (e *env) eachNamed(c *cli.Context, urls []string, how naming, work *crew, f func(k *link, r *remote, file found) error) error {
	var k *link
	done := func() {
		_ = work.wait()
		if k != nil {
			k.close()
			k = nil
		}
	}
	remotes := make([]*remote, 0, len(urls))
	for _, u := range urls {
		r, err := parseRemote(u)
		if err != nil {
			return err
		}
		if how == asNamed {
			r.pattern = ""
		}
		remotes = append(remotes, r)
	}
	err := each(e, remotes, func(r *remote) error {
		if k == nil || !k.remote.sameServer(r) {
			done()
			var err error
			if k, err = e.open(c, r); err != nil {
				return err
			}
		}
		files, err := k.expand(r)
		if how == globsOrNone && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return eachPath(e, files, func(file client.WalkEntry) error {
			return f(k.on(r.join(file.Path)), r, found{path: file.Path, entry: file.Entry})
		})
	})
	done()
	return firstError(work.wait(), err)
}

// mayEnter is why a directory can't be the current one.
func (k *link) mayEnter(dir string) error {
	return k.do(func(cl *client.Client, _ int) error {
		if path.IsAbs(dir) {
			return cl.ChangeDir(k.ctx, dir)
		}
		if dir == "" {
			return nil
		}
		e, err := cl.Stat(k.ctx, dir) // paths are relative to the login: it must stay there
		if err == nil && !e.IsDir() {
			err = errors.New("is not a directory")
		}
		return err
	})
}
