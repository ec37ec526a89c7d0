package client

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// maxOverlap is how many bytes both sides must agree on before a file is continued. This detects a
// server that accepts REST but sends from the beginning, and a file that has been replaced.
const maxOverlap = 4096

// overlap is the bytes just before those that are missing. A transfer that continues a file begins
// with them. They are compared before any other byte is taken.
type overlap struct {
	n     int
	check func(got []byte) error // compares all n bytes
	short error                  // returned if fewer than n bytes arrive

	stall  time.Duration
	sink   io.Writer // takes the rest of the file; nil if the kernel moves it
	got    []byte
	agreed bool
	err    error // the result of check
}

// expect makes a job compare o before the rest goes to sink. In stream mode o is read from the
// connection first, so that the kernel can move the rest. In the other modes the bytes on the
// connection are encoded, so the overlap is a writer in front of sink.
func (c *Client) expect(j *job, sink io.Writer, o *overlap) {
	if o.n == 0 {
		o.agreed, j.sink = true, sink
		return
	}
	if c.mode() == ftp.Stream {
		o.stall, j.sink = c.opts.Timeout, sink
		j.opened = func(ctx context.Context, conn *dtp.Conn) error { return o.read(ctx, conn, j) }
		return
	}
	o.sink, j.sink = sink, o
}

// settle adjusts the result of the transfer: it does not count the overlap, and a failed comparison
// takes precedence.
func (o *overlap) settle(res *Result, err error) error {
	if o.sink != nil {
		res.Bytes = max(0, res.Bytes-int64(o.n))
	}
	switch {
	case o.err != nil:
		return o.err
	case err == nil && !o.agreed:
		return o.short
	}
	return err
}

func (o *overlap) compare() error {
	o.err = o.check(o.got)
	o.agreed = o.err == nil
	return o.err
}

// read reads the overlap from the data connection.
func (o *overlap) read(ctx context.Context, conn *dtp.Conn, j *job) error {
	if err := conn.SetReadDeadline(time.Now().Add(o.stall)); err != nil {
		return &dtp.BrokenError{Err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	o.got = make([]byte, o.n)
	n, err := io.ReadFull(conn, o.got)
	j.skipped = int64(n)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return dtp.ErrStalled
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return o.short
	case err != nil:
		return &dtp.BrokenError{Err: pi.Cause(err)}
	}
	return o.compare()
}

// Write compares the overlap in the modes other than stream, and passes on the rest.
func (o *overlap) Write(b []byte) (int, error) {
	n := min(len(b), o.n-len(o.got))
	o.got = append(o.got, b[:n]...)
	if n > 0 && len(o.got) == o.n {
		if err := o.compare(); err != nil {
			return 0, err
		}
	}
	if n == len(b) {
		return n, nil
	}
	more, err := o.sink.Write(b[n:])
	return n + more, err
}

// lastBytes reads the bytes before end that both sides must agree on.
func lastBytes(f io.ReaderAt, end int64) ([]byte, error) {
	b := make([]byte, min(end, maxOverlap))
	if _, err := f.ReadAt(b, end-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return nil, &LocalError{Err: err}
	}
	return b, nil
}
