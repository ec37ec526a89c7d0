package dtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/ftp"
)

// pump moves the bytes of one Job. Limits, deadlines, progress and cancellation are handled in its loops,
// not by readers and writers around the file or the socket, so that the kernel can move a file by
// itself.
//
// move picks one of three loops: kernel (sendfile or splice, chunk by chunk), send, or receive (through
// a buffer, with a stage and the framing of the mode). Before each step, each loop waits until the Rates permit
// it (pay) and calls extend, which sets the deadline and looks at the context.
type pump struct {
	job   Job
	conn  net.Conn
	tls   *secured // conn, if it is under TLS
	ctx   context.Context
	stall time.Duration
	start time.Time
	moved int64
	owes  int64 // bytes that have moved and are not yet charged to the Rates
}

// Chunks of the kernel's copy grow as long as they are quick: a fast peer needs few turns of the loop,
// and a slow one is not mistaken for one that has stalled. With many copies at once they stay small: a session that begins
// waits for its turn, and what was sent to a near peer is still in the processor's cache when the peer reads it.
const (
	minChunk  = 64 << 10
	maxChunk  = 4 << 20 // of all running copies together, unless that leaves less than fairChunk for each
	fairChunk = 128 << 10
	bufferLen = 256 << 10
	textLen   = 64 << 10                  // of ASCII, which may double; the result fits into a buffer
	smallLen  = blockMost + aheadMost + 1 // a block and what may be read beyond it
	// recordsLen bytes fit into a buffer as TLS records.
	recordsLen = bufferLen - 8<<10
)

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferLen); return &b }}

// smallBuffers holds buffers for small files, and for the blocks of MODE B.
var smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallLen); return &b }}

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
		err = context.Cause(p.ctx) // the deadline is in the past now: no other Job could use the connection
	}
	if err == nil && p.tls != nil && !keeps(&p.job) && p.job.Source != nil && p.tls.security.side == ftp.UserPI {
		if err = p.tls.finish(lastWords); err != nil {
			err = &BrokenError{plain(err)}
		}
	}
	if err != nil && p.tls != nil && !p.job.Reset {
		_ = p.tls.wire.Conn.Close() // without close_notify, which would say that the file is complete, and might block
	}
	if p.ctx.Err() != nil && err != nil {
		return context.Cause(p.ctx)
	}
	return err
}

// stopWith cancels the connection's reads and writes when ctx ends. stop undoes that; it returns
// false if ctx has ended.
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

// secure makes the TLS handshake if the data connection is to be under TLS.
func (p *pump) secure(conn *Conn) error {
	c, ok := p.conn.(*secured)
	if !ok {
		return nil
	}
	if c.ready { // the handshake was made by an earlier Job in block mode
		p.tls, c.wire.extend = c, p.extend
		return nil
	}
	c.receives = p.job.Sink != nil || keeps(&p.job) // in block mode an upload may follow
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
	c.wire.extend = p.extend
	return nil
}

func (p *pump) move(conn *Conn) error {
	stage := stageOf(&p.job)
	if stage == nil && p.job.Mode == ftp.Stream && p.inKernel() {
		return p.kernel()
	}
	f := p.frame(conn)
	defer f.release()
	if p.job.Source != nil {
		return p.send(stage, f)
	}
	return p.receive(stage, f)
}

// inKernel reports whether the kernel can move the bytes: between a regular file and a TCP connection, neither
// of them wrapped. Pipes and devices are excluded, because with them packages net and os may read ahead and lose
// those bytes at a deadline.
func (p *pump) inKernel() bool {
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

// extend moves the deadline of the connection to the Stall time from now, and returns the error of the context.
// It sets the deadline first and looks at the context then: the end of the context moves the deadline into
// the past (stopWith), and must not be undone.
func (p *pump) extend() error {
	conn := p.conn
	if p.tls != nil {
		conn = p.tls.wire.Conn
	}
	err := conn.SetDeadline(time.Now().Add(p.stall))
	if err != nil && !errors.Is(err, io.ErrClosedPipe) { // the peer of a net.Pipe has closed: Read returns io.EOF
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

// copying is the number of pumps in kernel.
var copying atomic.Int64

// mostOf returns the largest chunk while there are that many copies.
func mostOf(copies int64) int64 { return max(fairChunk, maxChunk/copies) }

// kernel copies by sendfile or splice, chunk by chunk.
func (p *pump) kernel() error {
	dst, src := io.Writer(p.conn), p.job.Source
	if src == nil {
		dst, src = p.job.Sink, p.conn
	}
	sender := newKernelSender(p.conn, p.job.Source)
	copying.Add(1)
	defer copying.Add(-1)
	chunk := int64(minChunk)
	for {
		runtime.Gosched() // other sessions may have their turn first: with a fast peer the next call takes milliseconds
		n := p.limit(min(chunk, mostOf(copying.Load())))
		if p.job.Size > 0 || p.job.Bounded {
			if n = min(n, p.job.size()-p.moved); n <= 0 {
				return p.bound()
			}
		}
		// The bytes are charged afterwards, as in read: of a small file far fewer than n move.
		if err := p.pay(p.owes); err != nil {
			return err
		}
		p.owes = 0
		if err := p.extend(); err != nil {
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
			chunk = minChunk // slow, but not stalled
		case err != nil:
			return failed(err)
		case took < chunkTime && n >= chunk:
			chunk = min(2*chunk, maxChunk)
		case took > 4*chunkTime:
			chunk = max(chunk/2, minChunk)
		}
	}
}

// size returns the largest number of bytes that the Job moves.
func (j *Job) size() int64 {
	if j.Least != nil {
		return min(j.Size, j.Least.Load())
	}
	return j.Size
}

// bound ends a Job that has moved Size bytes. If it receives, it reads once more to see whether the peer
// sends more than that.
func (p *pump) bound() error {
	if p.job.Sink == nil {
		return nil
	}
	if err := p.extend(); err != nil {
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
	in := buffers.Get().(*[]byte)
	defer buffers.Put(in)
	var out *[]byte
	size := int64(len(*in))
	switch {
	case st != nil:
		out = buffers.Get().(*[]byte)
		defer buffers.Put(out)
		size = textLen
	case p.tls != nil:
		size = recordsLen
	}
	if p.tls != nil {
		defer p.tls.wire.release() // so that close_notify is not held back
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

// write sends all of data. A write that has sent something before its deadline is continued. count is
// called with the number of bytes of each write; it may be nil.
func (p *pump) write(data []byte, count func(int64)) error {
	if err := p.pay(int64(len(data))); err != nil {
		return err
	}
	for len(data) > 0 {
		if err := p.extend(); err != nil {
			return err
		}
		n, err := p.conn.Write(data)
		if p.tls != nil && err == nil {
			if err = p.tls.wire.flush(); err != nil {
				n = 0 // after half a record nothing more can be sent
			}
		}
		if count != nil {
			count(int64(n))
		}
		data = data[n:]
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) || p.ctx.Err() != nil) {
			return netError("write", err)
		}
	}
	return nil
}

// read reads what has arrived. It returns io.EOF at the end of the connection.
func (p *pump) read(b []byte) (int, error) {
	// The bytes are charged afterwards: far fewer may arrive than b has room for.
	err := p.pay(p.owes)
	if p.owes = 0; err != nil {
		return 0, err
	}
	if err := p.extend(); err != nil {
		return 0, err
	}
	n, err := p.conn.Read(b[:p.limit(int64(len(b)))])
	p.owes = int64(n)
	return n, netError("read", err)
}

// receive copies to Sink through a buffer and, if there is one, the stage.
func (p *pump) receive(st stage, f framing) error {
	var out *[]byte
	if st != nil {
		out = buffers.Get().(*[]byte)
		defer buffers.Put(out)
	}
	taken := int64(0)
	for {
		data, readErr := f.read()
		if p.job.Bounded {
			if left := max(p.job.size()-taken, 0); int64(len(data)) > left {
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
