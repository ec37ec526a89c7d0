package fxp

import (
	"cmp"
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// File is a file on a server, or the name for a new one.
type File struct {
	Pool *client.Pool
	// Client is a connection to use instead of one from a Pool. The Client is busy during the copy. After it,
	// it is ready for other operations, or dead. No other connection is made.
	Client *client.Client
	Path   string
}

// get returns a connection to the server, and the function that gives it back.
func (f *File) get(ctx context.Context) (*client.Client, func(), error) {
	if f.Client != nil {
		return f.Client, func() {}, nil
	}
	c, err := f.Pool.Get(ctx)
	return c, func() { f.Pool.Put(c) }, err
}

// Plan describes what is copied, and how.
type Plan struct {
	// From and To may be on one server; a Pool that is used for both needs at least two connections.
	// Either both use TLS or neither does, unless Through is set.
	From, To File
	// Through has the bytes pass through this program, which only buffers them. It requires no more of
	// the servers than a download and an upload, and either of them may use TLS.
	Through bool
	// KeepTime gives the copy the time of the file, if the servers support that.
	KeepTime bool
	// Retry says how often a failed copy is tried again. Each try starts over, with the version of the
	// file that the first one found.
	Retry client.Retry
	// Progress is called with the progress of a copy Through: bytes of the file done and in total, -1 if
	// unknown. It runs in another goroutine. In any other copy this program does not see the bytes.
	Progress func(done, total int64)
}

// Result describes how a copy went.
type Result struct {
	Bytes         int64         // size of the file; -1 if no server reports it
	Took          time.Duration // from the transfer commands to the final replies
	SourceListens bool          // the source listened and the destination dialed; else the reverse
	Protection    ftp.Protection
	Verified      string // what agreed: "sizes and replies" or "replies"
}

// ErrSameFile is returned for a copy of a file onto itself, because most servers would truncate it first.
var ErrSameFile = errors.New("source and destination are the same file")

// Copy copies a file. It tries both directions in which one server may dial the other, and with TLS each way to
// make one of the two the TLS client (CPSV, SSCN).
//
// The host in a 227 reply is passed on only if it is the one that the Client is connected to, unless
// Options.TrustPassiveHost is set. An existing file is replaced by a rename once the copy is whole. While the
// servers transfer, only their own time-outs apply; ctx ends the copy.
//
// If a server refuses something, the error is an *Error that names the server. If no way led to a data
// connection, it is a *NoWayError with the error of each; a copy with Through may still succeed. A copy onto
// itself is ErrSameFile and changes nothing. A copy that is shorter than the file is a
// *client.TruncatedError.
func Copy(ctx context.Context, p Plan) (res Result, err error) {
	if err := pi.Sendable(p.From.Path, p.To.Path); err != nil {
		return Result{}, err
	}
	retry, t := p.Retry, new(tries)
	retry.Again = func(err error) bool { return worthRetrying(err, p.Retry.Again) }
	err = retry.Do(ctx, func(int) (err error) {
		res, err = p.try(ctx, t)
		return err
	})
	return res, err
}

// worthRetrying reports whether another try may succeed: again decides, or client.Temporary if again is nil. If no
// way led to a data connection, another try can't succeed either.
func worthRetrying(err error, again func(error) bool) bool {
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
		return Result{}, errors.New("a copy needs two connections, even to one server")
	}
	if err := checkNames(ctx, from, p.From.Path, to, p.To.Path); err != nil {
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

// pair is one try of a copy in progress, direct or through this program.
type pair struct {
	from, to *end
	at       target    // the name that is written to, and the final one
	v        ftp.Entry // the version of the file
	keepTime bool
	res      Result
}

// look finds out what exists at both servers, before anything is changed.
func (p *pair) look(ctx context.Context) error {
	err := atOnce(func() error {
		if err := p.at.choose(ctx); err != nil {
			return p.to.failed(err)
		}
		return nil
	}, func() error { return p.source(ctx) })
	if err != nil {
		return err
	}
	if err := p.sameFile(ctx); err != nil {
		return err
	}
	p.to.arg = p.at.name
	return nil
}

// atOnce asks both servers at once, which takes one round trip instead of two. The error of to is returned first.
func atOnce(to, from func() error) error {
	done := make(chan error, 1)
	go func() { done <- from() }()
	no := to()
	return cmp.Or(no, <-done)
}

// source finds out which version of the file is copied.
func (p *pair) source(ctx context.Context) error {
	c := p.from.c
	now, err := c.Facts(ctx, p.from.arg)
	if err != nil {
		return p.from.failed(err)
	}
	if now.Size < 0 && hasSize(c) {
		_, err := c.Size(ctx, p.from.arg)
		if is550(err) && pi.IsReply(err) || err != nil && !pi.IsReply(err) {
			return p.from.failed(err) // stop here: STOR would leave an empty file at the destination
		}
	}
	if p.v = p.at.tries.first(now); now.Size >= 0 && now.Size < p.v.Size {
		return p.from.failed(&client.TruncatedError{Want: p.v.Size, Got: now.Size, Err: errShrunk})
	}
	return nil
}

// errShrunk is returned when a file has become shorter since the first try of its copy.
var errShrunk = errors.New("the file has become shorter since the copy began")

// sameFile returns ErrSameFile if the destination turns out to be the file that is copied.
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

// setTime gives the copy the time of the file. The copy succeeds even if the server refuses.
func (p *pair) setTime(ctx context.Context, name string) error {
	if !p.keepTime || p.v.Modified.IsZero() {
		return nil
	}
	if err := p.to.c.SetModTime(ctx, name, p.v.Modified); err != nil && !pi.IsReply(err) {
		return p.to.failed(err)
	}
	return nil
}

// place gives the copy its final name. again reports that the file has to be copied once more, directly to that
// name, because the user may not rename.
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
		p.at.made = false // it may be the only copy left: do not remove it
	} else if p.at.made && p.at.mayWriteOver(err, p.v) {
		p.at.writeOver()
		p.to.arg = p.at.dest
		return true, nil
	}
	return false, p.to.failed(err)
}

// size asks for the size of a file. It returns -1 if the server does not report it.
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

// hasSize reports whether the server supports SIZE, as far as is known. A server without FEAT is asked.
func hasSize(c *client.Client) bool {
	f := c.Features()
	return len(f) == 0 || f.Has("SIZE")
}

func is550(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 550
}

// checkNames returns ErrSameFile if both names are of the same file on the same server, as far as the names show.
func checkNames(ctx context.Context, from *client.Client, file string, to *client.Client, dest string) error {
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
