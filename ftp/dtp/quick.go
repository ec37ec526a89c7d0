package dtp

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"miniftp/ftp"
)

// Early takes a small file that comes within patience, without a goroutine and
// without the pipe that splice needs: it is for whoever has just told the peer to
// begin. False means that the Job is not over, or not of that kind, and Run must
// follow.
func (t *Transfer) Early(patience time.Duration) (Result, bool) {
	if !t.smallUpload() {
		return Result{}, false
	}
	if ready := t.pump.job.Ready; ready != nil {
		t.pump.job.Ready = nil // Run need not ask again
		if err := ready(); err != nil {
			return t.ended(err), true
		}
	}
	if err := t.pump.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return t.ended(failed(err)), true
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for t.pump.moved < minChunk {
		n, err := t.pump.conn.Read(*buf)
		t.pump.count(int64(n))
		if n > 0 {
			if _, err := t.pump.job.Sink.Write((*buf)[:n]); err != nil {
				return t.ended(&LocalError{err}), true
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return t.ended(nil), true
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Result{}, false
		case err != nil:
			return t.ended(failed(&net.OpError{Op: "read", Err: err})), true
		}
	}
	return Result{}, false
}

// smallUpload reports whether the Job may be taken by Early: what has to be waited
// for there is the peer alone.
func (t *Transfer) smallUpload() bool {
	j := &t.pump.job
	_, bare := j.Sink.(*os.File)
	_, tcp := t.pump.conn.(*net.TCPConn)
	return bare && tcp && t.err == nil && j.Type != ftp.ASCII && j.Mode == ftp.Stream && !limited(j)
}

// ended closes the data connection of a Job that ended with err.
func (t *Transfer) ended(err error) Result {
	if closeErr := t.pump.conn.Close(); err == nil && closeErr != nil {
		err = &BrokenError{plain(closeErr)}
	}
	return Result{Bytes: t.pump.moved, Opened: true, Began: t.pump.start, Took: time.Since(t.pump.start), Err: err}
}

// limited reports whether a rate limits the Job.
func limited(j *Job) bool {
	for _, r := range j.Rates {
		if r != nil {
			return true
		}
	}
	return false
}
