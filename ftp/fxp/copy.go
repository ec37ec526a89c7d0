package fxp

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// File is a file of a server, or the name that one is to have.
type File struct {
	Pool *client.Pool
	// Client is a connection of the caller's, in place of a Pool. It is busy during the copy,
	// and at rest or dead afterwards; no other one is made.
	Client *client.Client
	Path   string
}

// get is a connection to the server, and what gives it back.
func (f *File) get(ctx context.Context) (*client.Client, func(), error) {
	if f.Client != nil {
		return f.Client, func() {}, nil
	}
	c, err := f.Pool.Get(ctx)
	return c, func() { f.Pool.Put(c) }, err
}

// Plan says what is copied, and how.
type Plan struct {
	// From and To may be on one server; one Pool for both needs two connections or more.
	// Both use TLS, or neither, unless the copy goes Through.
	From, To File
	// Through has the bytes come here and go on from here: nothing is kept but a buffer. It
	// needs no more of the servers than a download and an upload do, and either of them may
	// use TLS.
	Through bool
	// KeepTime sets the copy's time to the file's, where the servers know times.
	KeepTime bool
	// Retry says how often a copy that broke is tried again. Each try begins anew, with the
	// file that the first one found.
	Retry client.Retry
	// Progress is told how far a copy Through is: bytes of the file done and in total, -1
	// if unknown. It runs in another goroutine. Of another copy nobody sees the bytes.
	Progress func(done, total int64)
}

// Result is how a copy went.
type Result struct {
	Bytes         int64         // size of the file; -1 if no server tells
	Took          time.Duration // from the transfer commands to their final replies
	SourceListens bool          // the source listened and the destination dialed; else the other way round
	Protection    ftp.Protection
	Verified      string // what agreed: "sizes and replies" or "replies"
}

// ErrSameFile is a copy of a file onto itself: most servers would empty it first.
var ErrSameFile = errors.New("that is the file itself")

// Copy copies a file. Both ways round are tried, and under TLS each way to make one of the two
// servers the TLS client (CPSV, SSCN).
//
// A host that a 227 names is relayed only if it is the one that the Client is connected to,
// unless its Options.TrustPassiveHost says otherwise. A file that is there already is replaced
// by a rename, once the copy is whole. While the servers are at work there is no time-out but
// theirs: ctx ends the copy.
//
// What one of the servers refuses is an *Error that says which; where no way led to a data
// connection, there is a *NoWayError with all of them, and a copy Through may do better. A copy
// onto itself is ErrSameFile, and changes nothing. A copy that is not as large as the file is a
// *client.TruncatedError.
func Copy(ctx context.Context, p Plan) (res Result, err error) {
	if err := pi.Sendable(p.From.Path, p.To.Path); err != nil {
		return Result{}, err
	}
	retry, t := p.Retry, new(tries)
	retry.Again = func(err error) bool { return mayEndBetter(err, p.Retry.Again) }
	err = retry.Do(ctx, func(int) (err error) {
		res, err = p.try(ctx, t)
		return err
	})
	return res, err
}

// mayEndBetter reports whether another try may: not where no way was found, whatever again
// says; nil is client.Temporary.
func mayEndBetter(err error, again func(error) bool) bool {
	if again == nil {
		again = client.Temporary
	}
	var noWay *NoWayError
	return !errors.As(err, &noWay) && again(err)
}

// try is one try of a copy.
func (p *Plan) try(ctx context.Context, t *tries) (Result, error) {
	from, done, err := p.From.get(ctx)
	if err != nil {
		return Result{}, err
	}
	defer done()
	to, done, err := p.To.get(ctx)
	if err != nil {
		return Result{}, err
	}
	defer done()
	if from == to {
		return Result{}, errors.New("a copy takes two connections, also to one server")
	}
	if err := apart(ctx, from, p.From.Path, to, p.To.Path); err != nil {
		return Result{}, err
	}
	both := pair{
		from: &end{c: from, source: true, verb: "RETR", arg: p.From.Path},
		to:   &end{c: to, verb: "STOR", arg: p.To.Path},
		at:   target{c: to, dest: p.To.Path, tries: t}, keepTime: p.KeepTime,
	}
	if p.Through {
		return (&through{pair: both, progress: p.Progress}).run(ctx)
	}
	return (&direct{pair: both}).run(ctx)
}

// pair is one try of a copy under way, whichever way it goes.
type pair struct {
	from, to *end
	at       target    // where to.arg is
	v        ftp.Entry // the version of the file
	keepTime bool
	res      Result
}

// look finds out what there is at both ends, before anything is changed there.
func (p *pair) look(ctx context.Context) error {
	if err := p.at.choose(ctx); err != nil {
		return p.to.failed(err)
	}
	if err := p.source(ctx); err != nil {
		return err
	}
	if err := p.sameFile(ctx); err != nil {
		return err
	}
	p.to.arg = p.at.name
	return nil
}

// source finds out which version of the file is copied.
func (p *pair) source(ctx context.Context) error {
	c := p.from.c
	if hasSize(c) {
		_, err := c.Size(ctx, p.from.arg)
		if is550(err) && pi.IsReply(err) || err != nil && !pi.IsReply(err) {
			return p.from.failed(err) // a STOR in vain could leave an empty file
		}
	}
	now, err := c.Facts(ctx, p.from.arg)
	if err != nil {
		return p.from.failed(err)
	}
	if p.v = p.at.tries.first(now); now.Size >= 0 && now.Size < p.v.Size {
		return p.from.failed(&client.TruncatedError{Want: p.v.Size, Got: now.Size, Err: errShrunk})
	}
	return nil
}

// errShrunk is returned when a file has become shorter since the first try of its copy.
var errShrunk = errors.New("the file has become shorter since the copy began")

func (p *pair) sameFile(ctx context.Context) error {
	same, err := p.at.isFile(ctx, p.from.c, p.from.arg, p.v)
	switch {
	case err != nil:
		return p.from.failed(err)
	case same:
		return p.to.failed(ErrSameFile)
	}
	return nil
}

// setTime gives the copy the time of the file. It is whole without it.
func (p *pair) setTime(ctx context.Context, name string) error {
	if !p.keepTime || p.v.Modified.IsZero() {
		return nil
	}
	if err := p.to.c.SetModTime(ctx, name, p.v.Modified); err != nil && !pi.IsReply(err) {
		return p.to.failed(err)
	}
	return nil
}

// place gives the copy its final name. again: it has to be copied once more, straight to that
// name, as not every user may rename.
func (p *pair) place(ctx context.Context) (again bool, err error) {
	if p.at.name == p.at.dest {
		return false, nil
	}
	err = p.to.c.Replace(ctx, p.at.name, p.at.dest, p.at.replaces)
	if err == nil {
		p.at.made = false
		return false, nil
	}
	var left *client.LeftError
	if errors.As(err, &left) {
		p.at.made = false // it may be all that is left
	} else if p.at.made && p.at.mayWriteOver(err, p.v) {
		p.at.writeOver()
		p.to.arg = p.at.dest
		return true, nil
	}
	return false, p.to.failed(err)
}

// size asks for the size of a file; -1 where the server does not tell.
func size(ctx context.Context, c *client.Client, name string) (int64, error) {
	if !hasSize(c) {
		return -1, nil
	}
	n, err := c.Size(ctx, name)
	if pi.IsReply(err) {
		return -1, nil
	}
	return n, err
}

// hasSize: the server knows SIZE, as far as is known. One without FEAT is asked.
func hasSize(c *client.Client) bool {
	f := c.Features()
	return len(f) == 0 || f.Has("SIZE")
}

func is550(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 550
}

// apart is ErrSameFile if both names are of one file of one server, as far as names
// tell.
func apart(ctx context.Context, from *client.Client, file string, to *client.Client, dest string) error {
	if from.Addr() != to.Addr() || from.Options().User != to.Options().User {
		return nil
	}
	var at [2]string
	for i, one := range []struct {
		c    *client.Client
		path string
	}{{from, file}, {to, dest}} {
		if at[i] = one.path; !strings.HasPrefix(one.path, "/") {
			dir, err := one.c.Pwd(ctx)
			if err != nil {
				return err
			}
			at[i] = dir + "/" + one.path
		}
	}
	if path.Clean(at[0]) == path.Clean(at[1]) {
		return &Error{Addr: to.Addr(), Greeting: to.Greeting(), Err: ErrSameFile}
	}
	return nil
}
