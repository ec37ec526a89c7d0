package client

import (
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
