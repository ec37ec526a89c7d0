package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync/atomic"
)

// errStopped ends a transfer whose reader was closed early.
var errStopped = errors.New("stopped before the end")

// stream is a retrieve whose caller reads the bytes as they arrive.
type stream struct {
	*io.PipeReader
	cancel context.CancelCauseFunc
	agreed chan struct{} // closed when the server begins to send
	ended  chan struct{} // closed when the transfer has ended; err is set before
	err    error
	whole  atomic.Bool // all bytes have arrived; only the verdict is missing
}

// stream runs a retrieve in its own goroutine, which writes the bytes to a pipe and calls done at
// the end. The Client stays busy until then.
func (c *Client) stream(ctx context.Context, run func(ctx context.Context, j *job) error, done func()) *stream {
	ctx, cancel := context.WithCancelCause(ctx)
	pr, pw := io.Pipe()
	s := &stream{PipeReader: pr, cancel: cancel, agreed: make(chan struct{}), ended: make(chan struct{})}
	// A caller that has stopped reading must not keep a cancelled transfer waiting.
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

// Close ends the transfer and returns its verdict, or nil if Close itself ended it early.
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

// Open returns a reader of the file at path from offset on. The caller must close it. The Client
// is busy until the transfer has ended: at the end of the file, at an error, or at Close. Read
// returns io.EOF only if the file is whole; otherwise it returns the error, and so does Close.
// Closing early aborts the transfer and is not an error. ctx limits the whole transfer.
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

// Create returns a writer to the file at path, from offset on. With offset 0 it replaces the file;
// otherwise the server keeps the bytes before offset. The caller must close the writer, and the
// Client is busy until then. The file is whole if Close returns nil; its errors are those of Store.
// A Write after the transfer has failed returns the cause. If ctx ends, the transfer is aborted in
// a way that the server does not mistake for the end of the file.
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

// uploadStream is a store whose caller writes the bytes.
type uploadStream struct {
	*io.PipeWriter
	ctx   context.Context
	ended chan struct{} // closed when the transfer has ended; err is set before
	err   error
}

// Close ends the file and returns the result of the transfer.
func (u *uploadStream) Close() error {
	_ = u.PipeWriter.CloseWithError(context.Cause(u.ctx)) // a cancelled upload must not look like a whole file
	<-u.ended
	return u.err
}

// CloseWithError aborts the transfer, so that the server does not take the file for whole.
func (u *uploadStream) CloseWithError(err error) error {
	_ = u.PipeWriter.CloseWithError(err)
	<-u.ended
	return nil
}
