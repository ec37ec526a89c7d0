// Package connect gives a verb the connections that its flags and its URL ask for: the flags of
// client verbs, login and ~/.netrc, proxy, TLS, retries, and the work of several connections.
//
// It stands on target and watch. It must not know any verb.
package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Link is a server that verbs work with, through Do: it takes a connection out of a
// pool of at most --parallel, dials if need be, and dials again after one broke. It is
// safe for concurrent use.
type Link struct {
	Env       *verb.Env
	Ctx       context.Context
	Remote    *ftp.URL
	Opts      client.Options
	Pool      *client.Pool
	Retries   int
	Connected *atomic.Bool // a connection stood before
	At        string       // what it is used for, to say so before a retry
	Lent      bool         // the pool is the shell's
	Several   *Several
}

// On returns a copy of k for the named file or URL, which its messages name.
func (k *Link) On(name string) *Link {
	other := *k
	other.At = name
	return &other
}

// lender is a line of the shell, which has a connection that a verb may use.
type lender interface {
	// Lend returns nil if the shell's server is not the one that the verb wants.
	Lend(e *verb.Env, c *cli.Context, r *ftp.URL) (*Link, error)
}

// Open prepares the connection to r's server; nothing is dialed yet.
func Open(e *verb.Env, c *cli.Context, r *ftp.URL) (*Link, error) {
	if shell, ok := e.Line.(lender); ok {
		if k, err := shell.Lend(e, c, r); k != nil || err != nil {
			return k, err
		}
	}
	debug.SetGCPercent(50) // what a long listing leaves behind goes sooner; transfers leave nothing
	opts, err := Options(c)
	if err != nil {
		return nil, err
	}
	if opts.TLS, opts.TLSConfig, err = clientTLS(c, r); err != nil {
		return nil, err
	}
	if opts.Dial, err = viaProxy(c, r, opts.Mode); err != nil {
		return nil, err
	}
	if opts.User, opts.Password, err = Login(e, c, r); err != nil {
		return nil, err
	}
	k := &Link{Env: e, Ctx: c.Context, Remote: r, Opts: opts, Retries: c.Int("retries"), Connected: new(atomic.Bool), At: r.String()}
	k.Several = &Several{Drawn: c.Bool("explain") || explain.PictureName(c) != ""}
	if k.Opts.Observer, err = watch.Observer(e, c, ProxyName(c, r)); err != nil {
		return nil, err
	}
	k.Pool = client.NewPool(r.Addr, Parallel(c), &k.Opts)
	return k, nil
}

// ByHand returns the options of a connection to r's server for a verb that makes its connections
// itself. Without a user the login is anonymous.
func ByHand(e *verb.Env, c *cli.Context, r *ftp.URL) (client.Options, error) {
	k, err := Open(e, c, r)
	if err != nil {
		return client.Options{}, err
	}
	k.Close()
	o := k.Opts
	o.User = cmp.Or(o.User, "anonymous")
	if o.Password == "" && IsAnonymous(o.User) {
		o.Password = "anonymous@"
	}
	return o, nil
}

// OpenURL is Open for an argument of a verb.
func OpenURL(e *verb.Env, c *cli.Context, url string) (*Link, *ftp.URL, error) {
	r, err := target.Parse(url)
	if err != nil {
		return nil, nil, err
	}
	k, err := Open(e, c, r)
	return k, r, err
}

// Do runs f with a connection. When that breaks, it waits, longer each time, and
// runs f again with another one.
func (k *Link) Do(f func(cl *client.Client) error) error {
	return k.Retry().Do(k.Ctx, func(int) error {
		cl, err := k.Pool.Get(k.Ctx)
		if err != nil {
			return TLSHint(LoginHint(err, k.Opts), k.Opts)
		}
		if !k.Connected.Swap(true) {
			flags.ReleaseStart() // and what dialing and the login needed
		}
		defer k.Pool.Put(cl)
		return f(cl)
	})
}

// Move runs f, which moves a file over the pool and does what it can to have it whole. The
// first connection is made before, so that what stands in its way is told as always.
func (k *Link) Move(f func(p *client.Pool) (client.Result, error)) (client.Result, error) {
	if !k.Connected.Load() {
		if err := k.Do(func(*client.Client) error { return nil }); err != nil {
			return client.Result{}, err
		}
	}
	return f(k.Pool)
}

// Retry returns how often and when work on a broken connection is tried again.
func (k *Link) Retry() client.Retry {
	return client.Retry{
		Times: k.Retries, Wait: k.Env.Wait,
		Again: func(err error) bool {
			// A host that can't be found will not be a moment later, unless it was there a
			// moment ago.
			return client.Temporary(err) || k.Connected.Load() && errors.As(err, new(*client.ConnectError))
		},
		Told: func(err error, wait time.Duration) { k.Env.Note("%v; trying again in %v", verb.At(k.At, err), wait) },
	}
}

// Close closes the connections of k, unless they are the shell's.
func (k *Link) Close() {
	if !k.Lent {
		_ = k.Pool.Close()
	}
}

// Found is a remote path that a URL named, with what is known of it.
type Found struct {
	Path  string
	Entry ftp.Entry // zero if the path was named and not listed
}

// Size returns the size of the file, 0 if it has to be asked for: the size of a link is not that of the
// file that it leads to.
func (f Found) Size() int64 {
	if f.Entry.Type != ftp.FileEntry {
		return 0
	}
	return max(f.Entry.Size, 0)
}

// Stat returns what the server tells about a path.
func (k *Link) Stat(path string) (entry ftp.Entry, err error) {
	err = k.Do(func(cl *client.Client) (err error) {
		entry, err = cl.Stat(k.Ctx, path)
		return err
	})
	return entry, err
}

// IsDir reports whether a path is a directory, as far as the server tells.
func (k *Link) IsDir(path string) bool {
	entry, err := k.Stat(path)
	return err == nil && entry.IsDir()
}

// Expand finds what a URL names: one path, or all that its pattern matches.
func (k *Link) Expand(r *ftp.URL) (*client.Paths, error) {
	all := new(client.Paths)
	if r.Pattern == "" {
		return all, all.Add(client.WalkEntry{Path: r.Path})
	}
	err := k.Do(func(cl *client.Client) (err error) {
		all, err = cl.Match(k.Ctx, r.Pattern)
		return err
	})
	if err != nil {
		return nil, verb.At(r.String(), err)
	}
	if all.Len() > 0 {
		return all, nil
	}
	one := client.WalkEntry{Path: r.Path} // it may be a name with odd characters in it
	one.Entry, err = k.Stat(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("nothing matches: %w", err)
	}
	if err != nil {
		return nil, verb.At(r.Given(), err)
	}
	return all, all.Add(one)
}

// eachPath is verb.Each for what a URL names.
func eachPath(e *verb.Env, files *client.Paths, f func(client.WalkEntry) error) error {
	defer files.Close()
	var first error
	for file, bad := range files.All() {
		err := verb.Each(e, []client.WalkEntry{file}, func(file client.WalkEntry) error {
			if bad != nil {
				return bad
			}
			return f(file)
		})
		first = verb.FirstError(first, err)
		if err != nil && (verb.Fatal(err) || e.Ctx.Err() != nil) {
			break
		}
	}
	return first
}

// Naming says whether a URL may be a pattern.
type Naming int

const (
	// Literal takes a URL for a name.
	Literal Naming = iota
	// Glob takes it for a pattern. One that nothing matches is an error.
	Glob
	// GlobOrNone is Glob, but a pattern that nothing matches names nothing.
	GlobOrNone
)

// EachURL runs f for everything that the URLs name, over as few control
// connections as there are servers.
func EachURL(e *verb.Env, c *cli.Context, urls []string, f func(k *Link, r *ftp.URL, file Found) error) error {
	return EachFound(e, c, urls, Glob, NewCrew(e, 1), f)
}

// EachFound is EachURL for an f that leaves work to a crew: a connection is closed
// when that is done.
func EachFound(e *verb.Env, c *cli.Context, urls []string, how Naming, work *Crew, f func(k *Link, r *ftp.URL, file Found) error) error {
	var k *Link
	done := func() {
		_ = work.Wait()
		if k != nil {
			k.Close()
			k = nil
		}
	}
	remotes := make([]*ftp.URL, 0, len(urls))
	for _, u := range urls {
		r, err := target.Parse(u)
		if err != nil {
			return err
		}
		if how == Literal {
			r.Pattern = ""
		}
		remotes = append(remotes, r)
	}
	err := verb.Each(e, remotes, func(r *ftp.URL) error {
		if k == nil || !k.Remote.SameServer(r) {
			done()
			var err error
			if k, err = Open(e, c, r); err != nil {
				return err
			}
		}
		files, err := k.Expand(r)
		if how == GlobOrNone && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return eachPath(e, files, func(file client.WalkEntry) error {
			return f(k.On(r.Join(file.Path)), r, Found{Path: file.Path, Entry: file.Entry})
		})
	})
	done()
	return verb.FirstError(work.Wait(), err)
}

// MayEnter returns the reason why a directory can't be the current one.
func (k *Link) MayEnter(dir string) error {
	return k.Do(func(cl *client.Client) error {
		if path.IsAbs(dir) {
			return cl.ChangeDir(k.Ctx, dir)
		}
		if dir == "" {
			return nil
		}
		e, err := cl.Stat(k.Ctx, dir) // paths are relative to the login: it must stay there
		if err == nil && !e.IsDir() {
			err = errors.New("is not a directory")
		}
		return err
	})
}
