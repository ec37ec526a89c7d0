package dtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
)

// Job is one transfer: bytes from Source to the data connection, or from the data connection to
// Sink. Exactly one of the two is set.
//
// The kernel moves the bytes of an *os.File (sendfile, splice) if nothing transforms them, so do not wrap
// the file. A Source that is not a file is read with a buffer of at least 64 KiB, and what a
// Read returns is sent at once.
type Job struct {
	Source io.Reader
	Sink   io.Writer
	// Size is the largest number of bytes of Source to send; 0: all. If Source has exactly Size bytes, that
	// saves the read that finds the end.
	Size int64
	// Bounded limits Sink to Size bytes. If more arrive, the Job ends with ErrMore.
	Bounded bool
	// Least, if not nil, lowers Size of a Bounded Job while it runs.
	Least *atomic.Int64
	// Type is the representation type. In ASCII, lines end in CRLF on the wire and in LF in Source and Sink.
	Type ftp.Type
	// Mode is the transfer mode (RFC 959 §3.4). In block mode a Job that ends without an error leaves the
	// data connection in Result.Kept.
	Mode ftp.TransferMode
	// Level is the compression level of Deflate, 1 to 9; 0: 6.
	Level int
	// Marks inserts restart markers into a long Source in block mode. A marker is the position in the
	// file; Offset is where Source begins in it.
	Marks  bool
	Offset int64
	// Marker is called with each restart marker of the sender, once all bytes before it are in Sink.
	Marker func(string)
	// Stall ends the transfer if no byte moves for that long; 0: DefaultStall.
	Stall time.Duration
	// Rates limit the bytes per second, each over all Jobs that share it; see NewRate. A nil entry
	// is no limit.
	Rates []*rate.Limiter
	// Opened is called when the data connection is open, before the TLS handshake and the first
	// byte. An error ends the Job.
	Opened func(*Conn) error
	// Ready is called after Opened and the TLS handshake. An error ends the Job.
	Ready func() error
	// Progress is called now and then with the number of bytes that have moved.
	Progress func(int64)
	// Reset makes a Job that fails end with a TCP reset. A client sets it, for two reasons. An upload ends with
	// the data connection (RFC 959 §3.4.1), so an ordinary close would make a short file look complete to the
	// server. During a download under TLS, ProFTPD ends the session if it writes after an ordinary close
	// (EPIPE), but accepts a reset. A server does not need it, since its reply says that the transfer failed.
	Reset bool
}

// Result describes how a Job ended.
type Result struct {
	Bytes  int64         // moved over the data connection
	Opened bool          // the data connection was opened
	Began  time.Time     // when the Job began on the data connection
	Took   time.Duration // from Began to the last byte
	// CutShort reports that the peer ended the connection without TLS close_notify, so anybody on the
	// way may have ended it. The caller has to look for other signs that the file is complete.
	CutShort bool
	// Kept is the data connection that block mode leaves open, for Manager.Keep.
	Kept *Conn
	Err  error // nil: all of Source was sent, or the peer ended the file
}

// Errors of a Job, besides *OpenError. If its context ends, a Job ends with the context's cause.
var (
	// ErrStalled is returned when no byte moved for the Job's Stall time.
	ErrStalled = errors.New("the data connection stood still")
	// ErrMore is returned when more than the Size bytes of a Bounded Job arrive.
	ErrMore = errors.New("more bytes came than were expected")
)

// LocalError is a failure of Source or Sink, not of the data connection.
type LocalError struct{ Err error }

func (e *LocalError) Error() string { return e.Err.Error() }
func (e *LocalError) Unwrap() error { return e.Err }

// BrokenError is a failure of the data connection.
type BrokenError struct{ Err error }

func (e *BrokenError) Error() string { return fmt.Sprintf("the data connection broke: %v", e.Err) }
func (e *BrokenError) Unwrap() error { return e.Err }

// NewRate returns a limit of that many bytes per second, or nil (no limit) for 0 or less.
func NewRate(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := min(max(bytesPerSecond/8, 1<<10), maxChunk)
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst))
}

// SetRate changes a limit made by NewRate, for running Jobs too. The burst never shrinks, because a
// running Job may be waiting for a burst of the old size.
func SetRate(l *rate.Limiter, bytesPerSecond int64) {
	l.SetBurst(max(l.Burst(), NewRate(bytesPerSecond).Burst()))
	l.SetLimit(rate.Limit(bytesPerSecond))
}

// Run opens the data connection, moves the Job's bytes and closes the connection. It returns early
// if ctx ends. The Opener can't be used again, whatever the result.
func Run(ctx context.Context, o *Opener, job Job) Result {
	conn, err := o.Open(ctx)
	if err != nil {
		return Result{Err: err}
	}
	return RunOn(ctx, conn, job)
}

// RunOn is Run on a data connection that is open already. It closes conn, except in block mode.
func RunOn(ctx context.Context, conn *Conn, job Job) Result {
	begun := false
	defer func() {
		if !begun {
			_ = conn.Close() // Opened has panicked
		}
	}()
	t := begin(conn, job)
	begun = true
	return t.Run(ctx)
}

func newPump(job Job, conn net.Conn) pump {
	p := pump{job: job, conn: conn, stall: job.Stall, start: time.Now()}
	if p.stall <= 0 {
		p.stall = DefaultStall
	}
	return p
}

func begin(conn *Conn, job Job) *Started {
	t := &Started{pump: newPump(job, conn.Conn), conn: conn}
	if job.Opened != nil {
		t.err = job.Opened(conn)
	}
	return t
}

// Run moves the Job's bytes, or those that Quick has left, and closes the data connection, except
// in block mode. It returns early if ctx ends.
func (t *Started) Run(ctx context.Context) Result {
	if t.sock.open {
		if res, over := t.Quick(0); over {
			return res
		}
	}
	kept := false
	defer func() {
		if !kept {
			_ = t.pump.conn.Close() // Source or Sink may have panicked
		}
	}()
	t.pump.ctx = ctx
	err := t.err
	if err == nil {
		err = t.pump.run(t.conn)
	}
	res := Result{Bytes: t.pump.moved, Opened: true, Began: t.pump.start, Took: time.Since(t.pump.start), Err: err}
	if err == nil && keeps(&t.pump.job) {
		kept, res.Kept = true, t.conn
		if t.pump.tls != nil {
			t.pump.tls.wire.extend = nil // the deadlines and the context were this Job's
		}
		return res
	}
	if err != nil && t.pump.job.Reset && t.conn != nil {
		t.conn.Reset()
	}
	if closeErr := t.pump.conn.Close(); err == nil && closeErr != nil {
		res.Err = &BrokenError{plain(closeErr)}
	}
	if t.conn != nil {
		t.conn.ahead.drop()
	}
	if c := t.pump.tls; c != nil && t.pump.job.Sink != nil && t.pump.job.Mode == ftp.Stream {
		res.CutShort = c.cutShort()
	}
	return res
}

// failed returns err as ErrStalled, a *BrokenError or a *LocalError. sendfile and splice return the errors of the
// file and of the connection alike, so the error itself has to show which one failed.
func failed(err error) error {
	var path *os.PathError
	var op *net.OpError
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrStalled
	case errors.As(err, &errno) && isNetErrno(errno), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return &BrokenError{plain(err)}
	case errors.As(err, &path):
		return &LocalError{err}
	// EIO and EBADF are errors of the file, which sendfile returns.
	case errors.As(err, &op) && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.EBADF):
		return &BrokenError{plain(err)}
	}
	return &LocalError{err}
}

func isNetErrno(e syscall.Errno) bool {
	switch e {
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT, syscall.ENOTCONN,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENETRESET:
		return true
	}
	return false
}
