// Package connect opens the connections that client verbs use. It has the flags of client verbs, the login
// with ~/.netrc, proxies, TLS, retries, and running several transfers at once.
//
// It uses packages target and watch, and must not depend on any verb.
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

	"miniftp/cmd/miniftp/internal/bridge"
	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/resident"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/internal/calm"
)

// Link is a verb's access to a server. Do runs a function with a connection from a pool of at most
// --parallel connections, which are opened when they are needed and replaced when they break. A Link is
// safe for concurrent use, except for Expect.
type Link struct {
	Env       *verb.Env
	Ctx       context.Context
	Remote    *target.Remote
	Opts      client.Options
	Pool      *client.Pool
	Retries   int
	Connected *atomic.Bool // a connection was established before
	At        string       // the file or URL that messages name
	Lent      bool         // the pool belongs to the shell
	Several   *Several
	Bridge    *bridge.Bridge // to the storage of Remote; nil: Remote is on a server
}

// On returns a copy of k whose messages name the given file or URL.
func (k *Link) On(name string) *Link {
	other := *k
	other.At = name
	return &other
}

// lender is implemented by the shell, which lends its connections to the verbs that it runs.
type lender interface {
	// Lend returns nil if the shell is connected to another server than that of r.
	Lend(e *verb.Env, c *cli.Context, r *target.Remote) (*Link, error)
}

// Open returns a Link to the server or storage of r. It does not connect yet, but it opens a storage.
func Open(e *verb.Env, c *cli.Context, r *target.Remote) (*Link, error) {
	if shell, ok := e.Line.(lender); ok {
		if k, err := shell.Lend(e, c, r); k != nil || err != nil {
			return k, err
		}
	}
	if r.Storage == "" {
		calm.Client(true)
	}
	return open(e, c, r)
}

func open(e *verb.Env, c *cli.Context, r *target.Remote) (*Link, error) {
	debug.SetGCPercent(50) // frees the garbage of long listings sooner; transfers make none
	if r.Storage != "" {
		return openStorage(e, c, r)
	}
	opts, err := Options(c)
	if err != nil {
		return nil, err
	}
	if opts.TLS, opts.TLSConfig, err = clientTLS(c, &r.URL); err != nil {
		return nil, err
	}
	if opts.Dial, err = viaProxy(c, &r.URL, opts.Mode); err != nil {
		return nil, err
	}
	if opts.User, opts.Password, err = Login(e, c, &r.URL); err != nil {
		return nil, err
	}
	k := &Link{Env: e, Ctx: c.Context, Remote: r, Opts: opts, Retries: c.Int("retries"), Connected: new(atomic.Bool), At: r.String()}
	k.Several = &Several{Drawn: c.Bool("explain") || explain.PictureName(c) != ""}
	if k.Opts.Observer, err = watch.Observer(e, c, ProxyName(c, &r.URL)); err != nil {
		return nil, err
	}
	k.Pool = client.NewPool(r.Addr, Parallel(c), &k.Opts)
	resident.Release() // what the options needed
	return k, nil
}

// ByHand returns the options for connections to the server of r, for verbs that open their connections
// themselves. Without a user the login is anonymous.
func ByHand(e *verb.Env, c *cli.Context, r *ftp.URL) (client.Options, error) {
	k, err := open(e, c, &target.Remote{URL: *r})
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

// OpenURL parses a URL and calls Open.
func OpenURL(e *verb.Env, c *cli.Context, url string) (*Link, *target.Remote, error) {
	r, err := target.ParseRemote(url)
	if err != nil {
		return nil, nil, err
	}
	k, err := Open(e, c, r)
	return k, r, err
}

// Do runs f with a connection. If f fails with an error that is worth a retry, such as a broken connection, Do
// waits, longer each time, and runs f again with another connection, up to --retries times.
func (k *Link) Do(f func(cl *client.Client) error) error {
	return k.Retry().Do(k.Ctx, func(int) error {
		cl, err := k.Pool.Get(k.Ctx)
		if err != nil {
			return TLSHint(LoginHint(err, k.Opts), k.Opts)
		}
		if !k.Connected.Swap(true) {
			resident.Release() // and what dialing and the login needed
		}
		defer k.Pool.Put(cl)
		return f(cl)
	})
}

// Move runs f, which transfers a file over connections of the pool and retries by itself. Move first opens a
// connection, so that errors in connecting get the same hints as in Do.
func (k *Link) Move(f func(p *client.Pool) (client.Result, error)) (client.Result, error) {
	if !k.Connected.Load() {
		if err := k.Do(func(*client.Client) error { return nil }); err != nil {
			return client.Result{}, err
		}
	}
	return f(k.Pool)
}

// Retry returns the rule for retries: which errors are worth one, how many, and after which waits.
func (k *Link) Retry() client.Retry {
	return client.Retry{
		Times: k.Retries, Wait: k.Env.Wait,
		Again: func(err error) bool {
			// Errors in connecting that are not temporary, such as an unknown host, are worth a
			// retry only if connecting has succeeded before.
			return client.Temporary(err) || k.Connected.Load() && errors.As(err, new(*client.ConnectError))
		},
		Notify: func(err error, wait time.Duration) { k.Env.Note("%v; trying again in %v", verb.At(k.At, err), wait) },
	}
}

// Close closes the connections of k, unless they belong to the shell.
func (k *Link) Close() {
	if k.Lent {
		return
	}
	_ = k.Pool.Close()
	if k.Bridge != nil {
		_ = k.Bridge.Close()
	}
}

// Found is a remote path that a URL names, with its entry if that is known.
type Found struct {
	Path  string
	Entry ftp.Entry // zero if the path is not from a listing
}

// Size returns the size of the file, or 0 if it is unknown. The size of a link counts as unknown, because
// it is not that of the file that the link leads to.
func (f Found) Size() int64 {
	if f.Entry.Type != ftp.FileEntry {
		return 0
	}
	return max(f.Entry.Size, 0)
}

// Stat returns the server's entry for a path.
func (k *Link) Stat(path string) (entry ftp.Entry, err error) {
	err = k.Do(func(cl *client.Client) (err error) {
		entry, err = cl.Stat(k.Ctx, path)
		return err
	})
	return entry, err
}

// IsDir reports whether the server says that a path is a directory.
func (k *Link) IsDir(path string) bool {
	entry, err := k.Stat(path)
	return err == nil && entry.IsDir()
}

// Expand returns the paths that a URL names: one path, or all that match its pattern.
func (k *Link) Expand(r *target.Remote) (*client.Paths, error) {
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
	one := client.WalkEntry{Path: r.Path} // the pattern may be a name with such characters in it
	one.Entry, err = k.Stat(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("nothing matches: %w", err)
	}
	if err != nil {
		return nil, verb.At(r.Given(), err)
	}
	return all, all.Add(one)
}

// EachPath runs f for each path, as verb.Each does for a list, and closes files.
func EachPath(e *verb.Env, files *client.Paths, f func(client.WalkEntry) error) error {
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

// Naming says whether a URL is a name or a pattern.
type Naming int

const (
	// Literal treats a URL as a name.
	Literal Naming = iota
	// Glob treats a URL as a pattern. If nothing matches, that is an error.
	Glob
	// GlobOrNone is like Glob, but if nothing matches, that is not an error.
	GlobOrNone
)

// EachURL runs f for each path that the URLs name. Consecutive URLs of one server share a connection.
func EachURL(e *verb.Env, c *cli.Context, urls []string, f func(k *Link, r *target.Remote, file Found) error) error {
	return EachFound(e, c, urls, Glob, NewWorkers(e, 1), f)
}

// EachFound is like EachURL, but f may hand work to Workers. A Link is closed only when that work is done.
func EachFound(e *verb.Env, c *cli.Context, urls []string, how Naming, work *Workers, f func(k *Link, r *target.Remote, file Found) error) error {
	var k *Link
	done := func() {
		_ = work.Wait()
		if k != nil {
			k.Close()
			k = nil
		}
	}
	remotes := make([]*target.Remote, 0, len(urls))
	for _, u := range urls {
		r, err := target.ParseRemote(u)
		if err != nil {
			return err
		}
		if how == Literal {
			r.Pattern = ""
		}
		remotes = append(remotes, r)
	}
	err := verb.Each(e, remotes, func(r *target.Remote) error {
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
		return EachPath(e, files, func(file client.WalkEntry) error {
			return f(k.On(r.Join(file.Path)), r, Found{Path: file.Path, Entry: file.Entry})
		})
	})
	done()
	return verb.FirstError(work.Wait(), err)
}

// MayEnter returns an error if dir can't become the current directory of the shell.
func (k *Link) MayEnter(dir string) error {
	return k.Do(func(cl *client.Client) error {
		if path.IsAbs(dir) {
			return cl.ChangeDir(k.Ctx, dir)
		}
		if dir == "" {
			return nil
		}
		e, err := cl.Stat(k.Ctx, dir) // not CWD: the session must stay in the login directory, to which paths are relative
		if err == nil && !e.IsDir() {
			err = errors.New("not a directory")
		}
		return err
	})
}
