package dtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"miniftp/ftp"
)

// The pump moves the bytes of one Job. Limits, deadlines, progress and cancel
// live in its loops, not in readers and writers round the file or the socket,
// so that the kernel may move a file by itself.
type pump struct {
	job   Job
	conn  net.Conn
	tls   *secured // conn, if it is under TLS
	ctx   context.Context
	stall time.Duration
	start time.Time
	moved int64
	owes  int64 // bytes that moved and are not yet charged to the rates
}

// Chunks of the kernel's copy grow while they are quick, so that a fast peer
// costs few turns of the loop, and a slow one is not taken for an idle one.
const (
	minChunk  = 64 << 10
	maxChunk  = 4 << 20
	bufferLen = 256 << 10
	textLen   = 64 << 10 // of ASCII; twice as much fits into a buffer
	// recordsLen of plain bytes fit into a buffer as TLS records.
	recordsLen = bufferLen - 8<<10
)

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferLen); return &b }}

func (p *pump) run(conn *Conn) error {
	stop := p.stopWith(p.ctx)
	err := p.secure(conn)
	if err == nil && p.job.Ready != nil {
		err = p.job.Ready()
	}
	if err == nil {
		err = p.settle(p.move(conn))
	}
	if !stop() && err == nil && keeps(&p.job) {
		err = context.Cause(p.ctx) // the deadline is in the past: nothing more will go over it
	}
	if err == nil && p.tls != nil && !keeps(&p.job) && p.job.Source != nil && p.tls.security.side == ftp.UserPI {
		if err = p.tls.finish(lastWords); err != nil {
			err = &BrokenError{plain(err)}
		}
	}
	if err != nil && p.tls != nil && !p.job.Reset {
		_ = p.tls.wire.Conn.Close() // close_notify would call it whole, and wait for who stands still
	}
	if p.ctx.Err() != nil && err != nil {
		return context.Cause(p.ctx)
	}
	return err
}

// stopWith cancels the connection's reads and writes when ctx ends. stop ends that;
// false means that it was too late.
func (p *pump) stopWith(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	conn, fired := p.conn, make(chan struct{})
	after := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past); close(fired) })
	return func() bool {
		if after() {
			return true
		}
		<-fired
		return false
	}
}

// secure shakes hands if the data connection is to be under TLS.
func (p *pump) secure(conn *Conn) error {
	c, ok := p.conn.(*secured)
	if !ok {
		return nil
	}
	if c.ready { // a data connection that was kept
		p.tls, c.wire.await = c, p.await
		return nil
	}
	c.receives = p.job.Sink != nil || keeps(&p.job) // which an upload may follow
	if err := c.SetDeadline(time.Now().Add(conn.o.m.cfg.timeout())); err != nil {
		return &BrokenError{plain(err)}
	}
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	if err := c.shakeHands(); err != nil {
		conn.o.m.emit(ftp.DataFailed{Mode: conn.Mode, Stance: conn.Stance, Addr: conn.o.addr, Err: err})
		return err
	}
	conn.o.m.emit(ftp.DataSecured{TLS: Describe(c.ConnectionState())})
	p.tls, c.ready = c, true
	c.wire.await = p.await
	return nil
}

func (p *pump) move(conn *Conn) error {
	stage := stageOf(&p.job)
	if stage == nil && p.job.Mode == ftp.Stream && p.bare() {
		return p.kernel()
	}
	f := p.frame(conn)
	defer f.release()
	if p.job.Source != nil {
		return p.send(stage, f)
	}
	return p.receive(stage, f)
}

// bare reports whether the kernel can move the bytes: from a regular file to a
// TCP connection or back, with nothing wrapped round either. Of what is no regular
// file package net and os may read ahead, and lose that at a deadline.
func (p *pump) bare() bool {
	if _, ok := p.conn.(*net.TCPConn); !ok {
		return false
	}
	file, _ := p.job.Source.(*os.File)
	if file == nil {
		file, _ = p.job.Sink.(*os.File)
	}
	if file == nil {
		return false
	}
	fi, err := file.Stat()
	return err == nil && fi.Mode().IsRegular()
}

// await makes ready for the next bytes: deadline, then cancel. A cancel sets a
// deadline of its own, so it is looked at last.
func (p *pump) await() error {
	conn := p.conn
	if p.tls != nil {
		conn = p.tls.wire.Conn
	}
	err := conn.SetDeadline(time.Now().Add(p.stall))
	if err != nil && !errors.Is(err, io.ErrClosedPipe) { // a net.Pipe's peer is gone: Read tells it better
		return failed(err)
	}
	return p.ctx.Err()
}

func (p *pump) count(n int64) {
	p.moved += n
	if p.job.Progress != nil && n > 0 {
		p.job.Progress(p.moved)
	}
}

// kernel copies by sendfile or splice, chunk by chunk.
func (p *pump) kernel() error {
	dst, src := io.Writer(p.conn), p.job.Source
	if src == nil {
		dst, src = p.job.Sink, p.conn
	}
	sender := newKernelSender(p.conn, p.job.Source)
	chunk := int64(minChunk)
	runtime.Gosched() // who wants to begin comes first: a fast peer lets the kernel send for long
	for {
		n := p.limit(chunk)
		if p.job.Size > 0 || p.job.Bounded {
			if n = min(n, p.job.size()-p.moved); n <= 0 {
				return p.bound()
			}
		}
		// Charged afterwards, as in read: of a small file far less than n moves.
		if err := p.pay(p.owes); err != nil {
			return err
		}
		p.owes = 0
		if err := p.await(); err != nil {
			return err
		}
		start := time.Now()
		var copied int64
		var err error
		if sender != nil {
			if copied, err = sender.send(n); errors.Is(err, errNoSendfile) {
				sender, err = nil, nil
			}
		} else {
			copied, err = io.CopyN(dst, src, n)
		}
		p.count(copied)
		p.owes = copied
		switch took := time.Since(start); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && copied > 0 && p.ctx.Err() == nil:
			chunk = minChunk // slow, but not still
		case err != nil:
			return failed(err)
		case took < chunkTime:
			chunk = min(2*chunk, maxChunk)
		case took > 4*chunkTime:
			chunk = max(chunk/2, minChunk)
		}
	}
}

// size is how many bytes a Job moves at most.
func (j *Job) size() int64 {
	if j.Least != nil {
		return min(j.Size, j.Least.Load())
	}
	return j.Size
}

// bound ends a Job that has moved Size bytes. A Sink gets no more of them, but the peer may
// have more.
func (p *pump) bound() error {
	if p.job.Sink == nil {
		return nil
	}
	if err := p.await(); err != nil {
		return err
	}
	switch n, err := p.conn.Read(make([]byte, 1)); {
	case n > 0:
		return ErrMore
	case errors.Is(err, io.EOF):
		return nil
	default:
		return netError("read", err)
	}
}

// send copies from Source through a buffer and, if there is one, the stage.
func (p *pump) send(st stage, f framing) error {
	in, out := borrow(st)
	defer giveBack(in, out)
	size := int64(len(*in))
	switch {
	case st != nil:
		size = textLen
	case p.tls != nil:
		size = recordsLen
	}
	if p.tls != nil {
		defer p.tls.wire.give() // close_notify leaves at once
	}
	src, left := p.job.Source, int64(-1)
	if p.job.Size > 0 {
		left = p.job.Size
	}
	for {
		if p.tls != nil && p.moved >= minChunk {
			p.tls.wire.gather()
		}
		most := p.limit(size)
		if left >= 0 {
			most = min(most, left)
		}
		n, readErr := src.Read((*in)[:most])
		if left -= int64(n); left == 0 && readErr == nil {
			readErr = io.EOF // all of Size
		}
		data := (*in)[:n]
		if st != nil {
			data = st.append((*out)[:0], data)
			if readErr != nil {
				data = st.flush(data)
			}
		}
		if err := f.write(data); err != nil {
			return err
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return f.end()
		case readErr != nil:
			return &LocalError{readErr}
		}
		if err := f.flush(); err != nil {
			return err
		}
	}
}

// write sends data whole; a write that got on before its deadline goes on. told is
// given how much went, each time; it may be nil.
func (p *pump) write(data []byte, told func(int64)) error {
	if err := p.pay(int64(len(data))); err != nil {
		return err
	}
	for len(data) > 0 {
		if err := p.await(); err != nil {
			return err
		}
		n, err := p.conn.Write(data)
		if p.tls != nil && err == nil {
			if err = p.tls.wire.flush(); err != nil {
				n = 0 // lost: behind half a record there is no going on
			}
		}
		if told != nil {
			told(int64(n))
		}
		data = data[n:]
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) || p.ctx.Err() != nil) {
			return netError("write", err)
		}
	}
	return nil
}

// read takes what has come; io.EOF is the end of the connection.
func (p *pump) read(b []byte) (int, error) {
	// Paid afterwards: what comes may be far less than what is asked for.
	err := p.pay(p.owes)
	if p.owes = 0; err != nil {
		return 0, err
	}
	if err := p.await(); err != nil {
		return 0, err
	}
	n, err := p.conn.Read(b[:p.limit(int64(len(b)))])
	p.owes = int64(n)
	return n, netError("read", err)
}

// receive copies to Sink through a buffer and, if there is one, the stage.
func (p *pump) receive(st stage, f framing) error {
	in, out := borrow(st)
	defer giveBack(in, out)
	taken := int64(0)
	for {
		n, readErr := f.read(*in)
		data := (*in)[:n]
		if p.job.Bounded {
			if left := max(p.job.size()-taken, 0); int64(n) > left {
				data, readErr = data[:left], ErrMore
			}
			taken += int64(len(data))
		}
		if st != nil {
			data = st.append((*out)[:0], data)
			if errors.Is(readErr, io.EOF) {
				data = st.flush(data)
			}
		}
		if len(data) > 0 {
			if _, err := p.job.Sink.Write(data); err != nil {
				return &LocalError{err}
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return nil
		case readErr != nil:
			return readErr
		}
	}
}
