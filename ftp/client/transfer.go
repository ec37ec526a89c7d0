package client

import (
	"context"
	"io"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Transfer says more about a transfer than its path.
type Transfer struct {
	Path string
	// Offset is where in the file to begin (REST, RFC 3659 §5). A server that
	// refuses it gives an *ftp.Error whose Verb is REST. A server that ignores it
	// is not noticed here; Download and Upload do.
	Offset int64
	// Size is the expected size of the whole file in bytes. 0 or -1: unknown; the
	// server is asked before a retrieve, if it knows SIZE. A retrieve takes no more bytes.
	Size int64
	// ASCII makes lines end in CRLF on the wire and LF at either end. Sizes can't
	// be compared then.
	ASCII bool
	// Progress is told now and then how far the transfer is: bytes of the file
	// done and in total, -1 if unknown. It runs in another goroutine.
	Progress func(done, total int64)
}

// Result is how a transfer went.
type Result struct {
	Bytes int64         // that went over the data connection
	Took  time.Duration // from the opened data connection to the final reply
	Mode  ftp.DataMode
	Final ftp.Reply
	// Verified is what agreed: "size and reply", "reply" where the size is not known, or
	// "size" if the file has grown and only the bytes that were announced were taken.
	Verified string

	cutShort bool // TLS did not end as it should
}

// Retrieve copies the file at path to dst and returns the number of bytes. Give
// an *os.File bare, so that the kernel can move the bytes. An error means that
// the file is not whole: an *ftp.Error if the server refused, a *TruncatedError,
// ErrUnconfirmed, or a *LocalError from dst.
func (c *Client) Retrieve(ctx context.Context, path string, dst io.Writer) (int64, error) {
	res, err := c.RetrieveWith(ctx, Transfer{Path: path}, dst)
	return res.Bytes, err
}

// RetrieveWith is Retrieve with an offset, a size, a type or a progress function.
func (c *Client) RetrieveWith(ctx context.Context, t Transfer, dst io.Writer) (Result, error) {
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	return c.retrieve(ctx, t, &job{sink: dst})
}

// retrieve fills in the rest of j, which has a sink, and runs it.
func (c *Client) retrieve(ctx context.Context, t Transfer, j *job) (Result, error) {
	if err := sendable(t.Path); err != nil {
		return Result{}, err
	}
	j.take("RETR", ftp.Retrieve, t)
	if j.want < 0 && !t.ASCII {
		var err error
		if j.want, _, err = c.look(ctx, t.Path, false); err != nil {
			return Result{}, err
		}
	}
	return c.transfer(ctx, j)
}

// Store copies src to the file at path, replacing it, and returns the number of
// bytes. Give an *os.File bare, so that the kernel can move the bytes. When ctx
// ends while src blocks in a Read, Store returns without waiting for it.
func (c *Client) Store(ctx context.Context, path string, src io.Reader) (int64, error) {
	res, err := c.StoreWith(ctx, Transfer{Path: path}, src)
	return res.Bytes, err
}

// StoreWith is Store with an offset, a size, a type or a progress function. With
// an Offset src holds what belongs there; the bytes before it stay as they are.
func (c *Client) StoreWith(ctx context.Context, t Transfer, src io.Reader) (Result, error) {
	return c.storeAs(ctx, "STOR", t, src)
}

// Append adds src to the end of the file at path, which is made if missing (APPE).
func (c *Client) Append(ctx context.Context, path string, src io.Reader) (int64, error) {
	res, err := c.storeAs(ctx, "APPE", Transfer{Path: path}, src)
	return res.Bytes, err
}

// StoreUnique copies src to a new file whose name the server chooses (STOU); path
// is a hint, "" for none. name is what the server says it chose (RFC 1123
// §4.1.2.9), "" if it doesn't say.
func (c *Client) StoreUnique(ctx context.Context, path string, src io.Reader) (name string, n int64, err error) {
	if err := c.begin(); err != nil {
		return "", 0, err
	}
	defer c.end()
	j := &job{source: src}
	res, err := c.store(ctx, "STOU", Transfer{Path: path}, j)
	return uniqueName(j.began, res.Final), res.Bytes, err
}

func (c *Client) storeAs(ctx context.Context, verb string, t Transfer, src io.Reader) (Result, error) {
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	return c.store(ctx, verb, t, &job{source: src})
}

// store fills in the rest of j, which has a source, and runs it.
func (c *Client) store(ctx context.Context, verb string, t Transfer, j *job) (Result, error) {
	j.take(verb, ftp.Store, t)
	return c.transfer(ctx, j)
}

// job is one transfer as the Client runs it: exactly one of source and sink is set.
type job struct {
	verb, arg string
	dir       ftp.Direction
	typ       ftp.Type // to ask the server for, and of the bytes unless raw
	anyType   bool     // the verb does not depend on TYPE
	unbounded bool     // more bytes than want are taken, for sink to judge
	anyMode   bool     // it is short: it may come as the transfer mode is
	raw       bool     // the bytes are not to be converted
	offset    int64
	want      int64 // bytes of the whole file, -1 if unknown
	source    io.Reader
	length    int64 // bytes in source, 0: until its end
	early     bool  // source is sent before the server says that it begins; rewind is set
	sink      io.Writer
	progress  func(done, total int64)
	// opened runs before the first byte of a retrieve; ctx ends with the transfer.
	opened func(ctx context.Context, conn *dtp.Conn) error
	agreed func()       // runs when the server said that it begins
	rewind func() error // source or sink to where they were at the start; nil: can't

	began   ftp.Reply // the first preliminary reply
	skipped int64     // bytes that opened took off the connection
}

// take fills in what is to be done.
func (j *job) take(verb string, dir ftp.Direction, t Transfer) {
	j.verb, j.arg, j.dir = verb, t.Path, dir
	j.offset, j.want, j.progress, j.typ = t.Offset, -1, t.Progress, ftp.Image
	if t.ASCII {
		j.typ = ftp.ASCII
	} else if t.Size > 0 {
		j.want = t.Size
	}
}

// transfer runs a job from TYPE to the verdict. Block mode keeps its data connection
// between transfers, and the server may have closed it meanwhile: then the job is done
// again over a new one. So it is once the server has got the account that it asked for.
func (c *Client) transfer(ctx context.Context, j *job) (Result, error) {
	res, closed, err := c.attempt(ctx, j)
	if isReply(err) && res.Final.Code == 332 && c.opts.Account != "" && j.again(res) {
		if err = c.pi.GiveAccount(ctx, j.verb, res.Final); err == nil {
			res, closed, err = c.attempt(ctx, j)
		}
	}
	if closed && ctx.Err() == nil && !c.dead() && j.again(res) {
		res, _, err = c.attempt(ctx, j)
	}
	return res, err
}

// again makes a job ready to be done again, if none of its bytes would be lost or come
// twice.
func (j *job) again(res Result) bool {
	ok := res.Bytes == 0 && j.skipped == 0 && !j.early && (j.dir == ftp.Retrieve || j.began.Code == 0)
	if !ok && j.rewind != nil {
		ok = j.rewind() == nil
	}
	j.skipped, j.began = 0, ftp.Reply{}
	return ok
}

// attempt is transfer without the second try. closed reports whether the failure may come
// of a kept data connection that the server had closed.
func (c *Client) attempt(ctx context.Context, j *job) (res Result, closed bool, err error) {
	if err := sendable(j.arg); err != nil {
		return Result{}, false, err
	}
	opener, err := c.prepare(ctx, j)
	if err != nil {
		c.data.Close()
		return Result{}, false, err
	}
	stood := opener.Stands()
	r := c.start(j, opener)
	if err = c.pi.Send(ftp.Command{Verb: j.verb, Arg: j.arg}); err == nil {
		err = r.watch(ctx)
	}
	r.settle(ctx, err)
	err = r.verdict(err)
	c.pi.TransferEnded()
	res = Result{Bytes: r.data.Bytes, Took: lasted(r.data), Mode: c.opts.Mode, Final: r.final, cutShort: r.data.CutShort}
	if err == nil {
		res.Verified = r.verified()
	} else if j.early && !r.begun {
		res.Bytes = 0 // nobody has taken them
	}
	c.tell(ftp.TransferDone{
		Verb: j.verb, Path: j.arg, Direction: j.dir, Mode: c.opts.Mode,
		Offset: j.offset, Bytes: res.Bytes, Took: res.Took, Err: err,
	})
	c.keep(r.data.Kept, err)
	closed = stood && res.Bytes == 0 && err != nil && (!isReply(err) || r.final.Code/10 == 42)
	return res, closed, err
}

// lasted returns the time since the data connection of d was ready; it is to be called when
// the final reply is there. The bytes of an upload are written long before that: up to
// megabytes of them wait in the buffers of the sockets.
func lasted(d dtp.Result) time.Duration {
	if d.Began.IsZero() {
		return 0
	}
	return time.Since(d.Began)
}

// prepare is everything before the transfer command: the type, the data
// connection's address, the restart point.
func (c *Client) prepare(ctx context.Context, j *job) (*dtp.Opener, error) {
	if !j.anyMode || !c.staysInBlocks() {
		if err := c.setMode(ctx, c.mode()); err != nil {
			return nil, err
		}
	}
	get := c.ready
	if c.data.Stands() {
		get = c.readyStanding
	}
	if err := get(ctx, j); err != nil {
		return nil, err
	}
	return c.data.Take()
}

// told is the Job's Progress.
func (j *job) told() func(int64) {
	if j.progress == nil {
		return nil
	}
	return func(n int64) { j.progress(j.offset+j.skipped+n, j.want) }
}

func (c *Client) setType(ctx context.Context, t ftp.Type) error {
	if c.pi.Params().Type == t {
		return nil
	}
	_, err := c.do(ctx, "TYPE", t.String())
	return err
}

// start lets the data connection come about, beside the control connection.
func (c *Client) start(j *job, o *dtp.Opener) *run {
	j.early = j.early && c.pi.Security() == nil && c.pi.Params().Mode == ftp.Stream
	r := &run{
		c: c, j: j, viaEPSV: c.opts.Mode == ftp.Passive && c.opts.Verbs != ClassicVerbs && !c.history.noEPSV.Load(),
		goAhead: make(chan struct{}), results: make(chan dtp.Result, 1),
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	d := dtp.Job{
		Source: j.source, Sink: j.sink, Size: j.length, Type: j.typ, Mode: c.pi.Params().Mode, Level: c.opts.Level,
		Stall: c.opts.Timeout, Rates: []*rate.Limiter{c.rate}, Opened: r.opened,
		Reset: true,
	}
	if j.raw {
		d.Type = ftp.Image
	}
	if j.dir == ftp.Retrieve && j.typ == ftp.Image && j.want >= j.offset && !j.unbounded {
		d.Size, d.Bounded = j.want-j.offset, true
	}
	told := j.told()
	d.Progress = func(n int64) {
		r.came.Store(n)
		if told != nil {
			told(n)
		}
	}
	go func() { r.results <- dtp.Run(r.ctx, o, d) }()
	return r
}

// opened runs in the data connection's goroutine, before the first byte and the
// TLS handshake. An upload waits for the server's 150, except for a small file to a server
// that was measured to bear it. A handshake waits for the 150, too, since pyftpdlib hangs up
// on one that comes before the command; the wait is limited, since some servers send no 150.
func (r *run) opened(conn *dtp.Conn) error {
	r.conn.Store(conn)
	if r.j.dir == ftp.Store && !r.j.early || r.c.pi.Security() != nil {
		var impatient <-chan time.Time
		if r.j.dir == ftp.Retrieve {
			impatient = time.After(shortWait)
		}
		select {
		case <-r.goAhead:
		case <-impatient:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
	}
	if r.j.opened != nil {
		return r.j.opened(r.ctx, conn)
	}
	return nil
}
