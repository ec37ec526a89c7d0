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

// Job is one transfer: bytes from Source to the data connection, or from the
// data connection to Sink. Exactly one of the two is set.
//
// A bare *os.File is moved by the kernel (sendfile, splice) as long as no stage
// transforms the bytes: give it as it is, not wrapped. A Source that is not a
// file is read with a buffer of at least 64 KiB, and what a Read returns is sent
// at once.
type Job struct {
	Source io.Reader
	Sink   io.Writer
	// Size is how many bytes of Source to send at most; where it is all of them it
	// saves the read that finds the end. 0: until the end.
	Size int64
	// Bounded has Sink take no more than Size bytes. If more come, the Job ends with
	// ErrMore.
	Bounded bool
	// Least, if not nil, lowers Size of a Bounded Job while it runs, as long as it is less.
	Least *atomic.Int64
	// Type is the representation type: in ASCII lines end in CRLF on the wire
	// and in LF at either end.
	Type ftp.Type
	// Mode is how the bytes are laid on the wire (RFC 959 §3.4). In block mode a Job
	// that ended well leaves the data connection in Result.Kept.
	Mode ftp.TransferMode
	// Level is how hard Deflate tries, 1 to 9; 0: 6.
	Level int
	// Marks has a long Source sent with restart markers in block mode, which tell the
	// byte of the file; Offset is where in it Source begins.
	Marks  bool
	Offset int64
	// Marker is told the restart markers of the sender when all before them is in Sink.
	Marker func(string)
	// Stall ends the transfer when no byte moved for that long; 0: DefaultStall.
	Stall time.Duration
	// Rates limit the bytes per second, each for all Jobs that share it; see
	// NewRate. A nil one does not limit.
	Rates []*rate.Limiter
	// Opened is called once the data connection stands, before the first byte and
	// before a TLS handshake. An error ends the Job.
	Opened func(*Conn) error
	// Ready is called behind Opened and the handshake. An error ends the Job.
	Ready func() error
	// Progress is told, now and then, how many bytes have moved so far.
	Progress func(int64)
	// Reset makes a Job that fails end in a reset. Of an upload the close is all
	// that tells the server where the file ends (RFC 959 §3.4.1): a plain one would
	// make a short file look whole. Of a download under TLS, ProFTPD takes a reset in
	// its stride, but ends the session if it writes after a plain close, which is
	// EPIPE to it. A server that fails has its reply to say so.
	Reset bool
}

// Result is how a Job ended.
type Result struct {
	Bytes  int64         // that went over the data connection
	Opened bool          // the data connection stood
	Began  time.Time     // when the Job began on it
	Took   time.Duration // from Began to the end of its bytes
	// CutShort: the peer's end of the file came without TLS close_notify, so
	// somebody else may have cut it short. Only the other signs can tell.
	CutShort bool
	// Kept is the data connection, for Manager.Keep: block mode leaves it open.
	Kept *Conn
	Err  error // nil: all of Source was sent, or the peer ended the file
}

// Errors of a Job, beside *OpenError. Cancelling the Job's context ends it with
// the context's cause.
var (
	// ErrStalled is a data connection on which nothing moved for too long.
	ErrStalled = errors.New("the data connection stood still")
	// ErrMore is returned when a Job that is Bounded has all its bytes, and more came.
	ErrMore = errors.New("more bytes came than were expected")
)

// LocalError is a failure of Source or Sink, not of the data connection.
type LocalError struct{ Err error }

func (e *LocalError) Error() string { return e.Err.Error() }
func (e *LocalError) Unwrap() error { return e.Err }

// BrokenError is a data connection that broke.
type BrokenError struct{ Err error }

func (e *BrokenError) Error() string { return fmt.Sprintf("the data connection broke: %v", e.Err) }
func (e *BrokenError) Unwrap() error { return e.Err }

// NewRate limits to so many bytes a second; nil (no limit) for 0 or less.
func NewRate(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := min(max(bytesPerSecond/8, 1<<10), maxChunk)
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst))
}

// SetRate changes a limit of NewRate, also for the Jobs that run. The burst only
// grows, as they may be waiting for one of the size it had.
func SetRate(l *rate.Limiter, bytesPerSecond int64) {
	l.SetBurst(max(l.Burst(), NewRate(bytesPerSecond).Burst()))
	l.SetLimit(rate.Limit(bytesPerSecond))
}

// Run opens the data connection, moves the Job's bytes and closes it. It returns
// early when ctx ends. The Opener is used up whatever happens.
func Run(ctx context.Context, o *Opener, job Job) Result {
	conn, err := o.Open(ctx)
	if err != nil {
		return Result{Err: err}
	}
	return RunOn(ctx, conn, job)
}

// RunOn is Run for a data connection that stands already; it closes conn, but in
// block mode.
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

// Run moves the Job's bytes, or those that Quick left, and closes the data
// connection, but in block mode. It returns early when ctx ends.
func (t *Started) Run(ctx context.Context) Result {
	if t.sock.open {
		if res, over := t.Quick(0); over {
			return res
		}
	}
	kept := false
	defer func() {
		if !kept {
			_ = t.pump.conn.Close() // Source and Sink may panic
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
			t.pump.tls.wire.await = nil // this Job's deadlines and cancel are no longer its own
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

// failed says on whose side err happened. The kernel's copy reports both sides'
// errors from one call, so the error itself has to tell.
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
	case errors.As(err, &op) && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.EBADF): // sendfile tells of the file, too
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
