package client

import (
	"context"
	"errors"
	"path"
	"strings"

	"miniftp/ftp"
)

// CopyThrough copies a file of one server to another one through this program, as it
// comes: nothing is kept here but a buffer. It needs no more of the servers than a
// download and an upload do, and either of them may use TLS. The errors are those of
// Copy.
func CopyThrough(ctx context.Context, from *Client, file string, to *Client, dest string, o CopyOptions) (CopyResult, error) {
	if err := sendable(file, dest); err != nil {
		return CopyResult{}, err
	}
	if from == to {
		return CopyResult{}, errors.New("a copy takes two connections, also to one server")
	}
	if err := apart(ctx, from, file, to, dest); err != nil {
		return CopyResult{}, err
	}
	th := &through{from: from, file: file, to: to, at: target{c: to, dest: dest}, o: o}
	var res CopyResult
	err := th.look(ctx)
	if err == nil {
		res, err = th.stream(ctx)
	}
	if err == nil {
		err = th.settle(ctx, &res)
	}
	if err != nil {
		err = to.claim(func() error { return th.at.remove(err) })
	}
	return res, err
}

// through is one CopyThrough under way.
type through struct {
	from, to *Client
	file     string
	at       target
	o        CopyOptions
	v        version // of the file
}

func (th *through) source(err error) error {
	return &CopyError{Source: true, Addr: th.from.pi.Addr(), Err: err}
}

func (th *through) target(err error) error { return &CopyError{Addr: th.to.pi.Addr(), Err: err} }

// claim runs f while nobody else may use the Client.
func (c *Client) claim(f func() error) error {
	if err := c.begin(); err != nil && !c.dead() {
		return err
	} else if err == nil {
		defer c.end()
	}
	return f()
}

// look finds out what there is at both ends.
func (th *through) look(ctx context.Context) error {
	if err := th.to.claim(func() error { return th.at.choose(ctx, th.o.Tries) }); err != nil {
		return th.target(err)
	}
	err := th.from.claim(func() error {
		now, err := th.from.version(ctx, th.file)
		if th.v = th.o.Tries.first(now); err == nil && shrunk(th.v, now) {
			err = &TruncatedError{Want: th.v.size, Got: now.size, Err: errShrunk}
		}
		return err
	})
	if err != nil {
		return th.source(err)
	}
	return th.sameFile(ctx)
}

func (th *through) sameFile(ctx context.Context) error {
	return th.from.claim(func() error {
		same, err := th.at.isFile(ctx, th.from, th.file, th.v)
		switch {
		case err != nil:
			return th.source(err)
		case same:
			return th.target(ErrSameFile)
		}
		return nil
	})
}

// stream copies the bytes.
func (th *through) stream(ctx context.Context) (CopyResult, error) {
	r, err := th.from.Open(ctx, th.file, 0)
	if err != nil {
		return CopyResult{}, th.source(err)
	}
	sent, err := th.to.StoreWith(ctx, Transfer{Path: th.at.name, Size: th.v.size, Progress: th.o.Progress}, r)
	lost := r.Close()
	th.at.made = sent.Bytes > 0 || err == nil || !isReply(err)
	res := CopyResult{Bytes: sent.Bytes, Took: sent.Took, Verified: "replies"}
	if th.from.pi.Security() != nil && th.to.pi.Security() != nil {
		res.Protection = ftp.Private
	}
	var local *LocalError
	switch {
	case ctx.Err() != nil:
		return res, context.Cause(ctx)
	case errors.As(err, &local):
		return res, th.source(firstOf(lost, local.Err))
	case err != nil:
		return res, th.target(err)
	case lost != nil:
		return res, th.source(lost)
	case sent.Bytes < th.v.size:
		return res, th.source(&TruncatedError{Want: th.v.size, Got: sent.Bytes, Err: errShrunk})
	}
	if n, err := th.to.Size(ctx, th.at.name); err == nil {
		if n != sent.Bytes {
			return res, th.target(&TruncatedError{Want: sent.Bytes, Got: n, Final: sent.Final})
		}
		res.Verified = "sizes and replies"
	}
	return res, th.sameFile(ctx)
}

// settle gives the whole copy its time and its name.
func (th *through) settle(ctx context.Context, res *CopyResult) error {
	over := false
	err := th.to.claim(func() error {
		if th.o.KeepTime && !th.v.modified.IsZero() {
			if err := th.to.setModTime(ctx, th.at.name, th.v.modified); err != nil && !isReply(err) {
				return th.target(err)
			}
		}
		if th.at.name == th.at.dest {
			return nil
		}
		err := th.to.place(ctx, th.at.name, th.at.dest, th.at.replaces, nil)
		if err == nil {
			return nil
		}
		var left *LeftError
		if errors.As(err, &left) {
			th.at.made = false // it may be all that is left
		} else if over = th.at.mayWriteOver(err, th.v); over { // not every user may rename
			th.at.writeOver()
		}
		return th.target(err)
	})
	if over {
		if *res, err = th.stream(ctx); err == nil {
			err = th.settle(ctx, res)
		}
	}
	return err
}

// ErrSameFile is a copy of a file onto itself: most servers would empty it first.
var ErrSameFile = errors.New("that is the file itself")

// apart is ErrSameFile if both names are of one file of one server, as far as names
// tell.
func apart(ctx context.Context, from *Client, file string, to *Client, dest string) error {
	if from.pi.Addr() != to.pi.Addr() || from.opts.User != to.opts.User {
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
		return &CopyError{Addr: to.pi.Addr(), Err: ErrSameFile}
	}
	return nil
}
