package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync/atomic"
)

// errStopped ends a transfer that its reader has had enough of.
var errStopped = errors.New("stopped before the end")

// stream is a retrieve that is read as it comes.
type stream struct {
	*io.PipeReader
	cancel context.CancelCauseFunc
	agreed chan struct{} // closed when the server began to send
	ended  chan struct{} // closed when the transfer is over; err is set then
	err    error
	whole  atomic.Bool // every byte came; only the verdict is missing
}

// stream runs a retrieve in a goroutine of its own and hands its bytes to a
// pipe. The Client stays taken until the goroutine calls done.
func (c *Client) stream(ctx context.Context, run func(ctx context.Context, j *job) error, done func()) *stream {
	ctx, cancel := context.WithCancelCause(ctx)
	pr, pw := io.Pipe()
	s := &stream{PipeReader: pr, cancel: cancel, agreed: make(chan struct{}), ended: make(chan struct{})}
	// A reader that does not read must not keep a cancelled transfer waiting.
	stop := context.AfterFunc(ctx, func() { _ = pw.CloseWithError(context.Cause(ctx)) })
	go func() {
		s.err = run(ctx, &job{sink: pw, agreed: func() { close(s.agreed) }})
		stop()
		_ = pw.CloseWithError(s.err) // the verdict in place of io.EOF
		cancel(nil)
		done()
		close(s.ended)
	}()
	return s
}

// Close ends the transfer and returns its verdict; nil if it was stopped early.
func (s *stream) Close() error {
	if !s.whole.Load() {
		s.cancel(errStopped)
	}
	_ = s.CloseWithError(errStopped)
	<-s.ended
	if errors.Is(s.err, errStopped) {
		return nil
	}
	return s.err
}

// Open reads the file at path from offset on. The Client is busy until the
// transfer is over: at the end of the file, at an error, or when the reader is
// closed, which has to happen in any case. Read gives io.EOF only when the file
// came whole, else the verdict; Close returns the same. Closing early breaks the
// transfer off and is no error. ctx bounds the whole transfer.
func (c *Client) Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	var s *stream
	ready := make(chan struct{})
	t := Transfer{Path: path, Offset: offset, Progress: func(done, total int64) {
		<-ready
		s.whole.Store(total >= 0 && done >= total)
	}}
	s = c.stream(ctx, func(ctx context.Context, j *job) error {
		_, err := c.retrieve(ctx, t, j)
		return err
	}, c.end)
	close(ready)
	select {
	case <-s.agreed:
		return s, nil
	case <-s.ended:
		if s.err != nil {
			return nil, s.err
		}
		return s, nil
	}
}

// Create writes the file at path from offset on, 0 for the whole; with one the bytes
// before it stay as they are. The Client is busy until the writer is closed, which has
// to happen in any case: Close gives the verdict, as of Store, and the file is there
// when it is nil. A Write after the transfer has failed gives the reason. When ctx
// ends, the transfer is broken off, and is no whole file to the server.
func (c *Client) Create(ctx context.Context, path string, offset int64) (io.WriteCloser, error) {
	if err := sendable(path); err != nil {
		return nil, err
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	pr, pw := io.Pipe()
	u := &uploadStream{PipeWriter: pw, ctx: ctx, ended: make(chan struct{})}
	agreed := make(chan struct{})
	go func() {
		_, err := c.store(ctx, "STOR", Transfer{Path: path, Offset: offset}, &job{source: pr, agreed: func() { close(agreed) }})
		u.err = err
		_ = pr.CloseWithError(cmp.Or(err, io.ErrClosedPipe))
		c.end()
		close(u.ended)
	}()
	select {
	case <-agreed:
		return u, nil
	case <-u.ended:
		return nil, cmp.Or(u.err, errEarly)
	}
}

// uploadStream is a store that is written as it goes.
type uploadStream struct {
	*io.PipeWriter
	ctx   context.Context
	ended chan struct{} // closed when the transfer is over; err is set then
	err   error
}

// Close ends the file and returns the verdict of the transfer.
func (u *uploadStream) Close() error {
	_ = u.PipeWriter.CloseWithError(context.Cause(u.ctx)) // which must not pass for the end
	<-u.ended
	return u.err
}

// CloseWithError breaks the transfer off: what came is not a whole file.
func (u *uploadStream) CloseWithError(err error) error {
	_ = u.PipeWriter.CloseWithError(err)
	<-u.ended
	return nil
}
