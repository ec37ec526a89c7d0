package dtp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"miniftp/ftp"
)

// This file moves small files in the goroutine that handles the command. A goroutine of its own, and
// registering the socket with the runtime's poller, would cost more than the file itself. The steps of a
// server are:
//
//	StartNow   opens the data connection if the peer has connected, or answers at once when it is dialed
//	Quick      moves the bytes that the socket takes, or that arrive, within patience
//	Run        moves the rest, usually in a goroutine
//
// A client dials before it sends its command. Its steps are CallNow, then Send or Fetch, then Rest. Until the
// server has replied that the transfer begins, the client waits only for replies.
//
// On Linux the data connection is a bare descriptor until Run or Rest (quick_linux.go). Elsewhere it is
// always a connection of package net.

// Started is a Job whose data connection is open.
type Started struct {
	pump pump
	conn *Conn  // nil while sock is open
	err  error  // of Job.Opened
	sock socket // the bare descriptor

	opener *Opener // of CallNow
}

// socket is a data connection that is not registered with the runtime's poller.
type socket struct {
	open   bool
	fd     int
	file   *os.File // of fd, once it is registered
	remote netip.AddrPort
}

// StartNow opens the data connection for the Job if that is possible at once: if the peer has connected, or does
// so within patience, or if it is near and answers within microseconds when it is dialed. It does not call
// Job.Opened. If StartNow returns nil there is no data connection yet: pass the Opener to the function Run.
// Otherwise the Opener is used up: call Quick, or Started.Run, on the result.
func (o *Opener) StartNow(job Job, patience time.Duration, near bool) *Started {
	job.Opened = nil
	if c := o.kept; c != nil {
		o.kept = nil // Close must not drop what the Job reads
		return begin(c, job)
	}
	// To wait on a bare descriptor takes a system call, for the bytes of an upload as well as for the answer when
	// this end dials. Only a near peer ends that wait soon.
	if o.tls == nil && (smallFile(&job) || near && isUpload(&job)) && (near || o.stance == ftp.Listens) {
		if t := o.startQuick(job, patience); t != nil {
			return t
		}
	}
	if o.stance != ftp.Listens {
		return nil
	}
	start := time.Now()
	nc, err := o.accept(context.Background(), start.Add(patience))
	if err != nil {
		return nil
	}
	o.giveBack()
	return begin(o.opened(nc, start), job)
}

// CallNow is StartNow for a client that dials. The file must be small, and Job.Size its size. CallNow waits
// for at most pollTime. If the server has not answered by then, the next farCalls calls of CallNow return nil at
// once. If CallNow returns nil, pass the Opener to Run. Otherwise the Opener is used up: call Send, Fetch, Rest
// or Drop on the result. Only Rest calls Job.Opened.
func (o *Opener) CallNow(job Job) *Started {
	if o.stance != ftp.Dials || o.kept != nil || o.tls != nil || !clientsSmall(&job) {
		return nil
	}
	if o.m.far > 0 {
		o.m.far--
		return nil
	}
	t := o.startQuick(job, pollTime)
	if t == nil {
		o.m.far = farCalls
		return nil
	}
	t.opener = o
	return t
}

// clientsSmall reports whether Send or Fetch can move the Job.
func clientsSmall(j *Job) bool {
	_, sends := j.Source.(*os.File)
	_, fetches := j.Sink.(*os.File)
	plain := *j
	plain.Reset = false // every client sets it, and ended resets the bare descriptor, too
	return (sends && j.Size > 0 || fetches && j.Bounded && j.Least == nil) && j.Size <= minChunk && untouched(&plain)
}

// Send sends as much of the file as the socket takes at once. It reports whether the Job has ended; if
// not, Rest must follow.
func (t *Started) Send() (Result, bool) {
	done, err := t.sendfile()
	if !done && err == nil {
		return Result{}, false
	}
	return t.ended(failed(err)), true
}

// Fetch receives the file if it arrives within fetchTime. Call it after the server's 150 and do not wait for the
// final reply first: vsftpd sends that only when the client has closed the data connection. Fetch reports whether
// the Job has ended; if not, Rest must follow.
func (t *Started) Fetch() (Result, bool) {
	m := t.opener.m
	m.small = slices.Grow(m.small[:0], int(t.pump.job.Size)+1) // one byte more, to see whether the file is longer
	buf := m.small[:cap(m.small)]
	for {
		n, err := t.sock.waitFor(buf, fetchTime)
		more := int64(n) > t.pump.job.Size-t.pump.moved
		if more {
			n, err = int(t.pump.job.Size-t.pump.moved), ErrMore
		}
		t.pump.count(int64(n))
		if n > 0 {
			if _, err := t.pump.job.Sink.Write(buf[:n]); err != nil {
				return t.ended(&LocalError{err}), true
			}
		}
		switch {
		case more:
			return t.ended(err), true
		case errors.Is(err, io.EOF):
			return t.ended(nil), true
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Result{}, false
		case err != nil:
			return t.ended(failed(&net.OpError{Op: "read", Err: err})), true
		}
	}
}

// Rest is Run for a Job that CallNow has started. It registers the socket with the runtime's poller.
func (t *Started) Rest(ctx context.Context) Result {
	if err := t.adopt(); err != nil {
		return Result{Bytes: t.pump.moved, Opened: true, Began: t.pump.start, Err: failed(err)}
	}
	o := t.opener
	t.conn = &Conn{Conn: t.pump.conn, Mode: o.Mode(), Stance: o.stance, o: o}
	if t.pump.job.Opened != nil {
		t.err = t.pump.job.Opened(t.conn)
	}
	return t.Run(ctx)
}

// Drop ends the Job with the error why.
func (t *Started) Drop(why error) Result { return t.ended(why) }

// Quick moves a small file. It reports whether the Job has ended; if not, or if the Job is not of that kind,
// Run must follow. For an upload it waits up to patience, so the peer must have been told to begin.
func (t *Started) Quick(patience time.Duration) (Result, bool) {
	switch {
	case t.err != nil:
		return Result{}, false
	case isUpload(&t.pump.job):
		return t.quickUpload(patience)
	case t.sock.open:
		return t.quickDownload()
	}
	return Result{}, false
}

// quickUpload receives with reads, without the pipe that splice needs.
func (t *Started) quickUpload(patience time.Duration) (Result, bool) {
	if _, tcp := t.pump.conn.(*net.TCPConn); !tcp && !t.sock.open {
		return Result{}, false
	}
	if ready := t.pump.job.Ready; ready != nil {
		t.pump.job.Ready = nil // Run must not call it again
		if err := ready(); err != nil {
			return t.ended(err), true
		}
	}
	read := t.sock.receive
	if !t.sock.open {
		if err := t.pump.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return t.ended(failed(err)), true
		}
		read = func(b []byte, _ time.Duration) (int, error) { return t.pump.conn.Read(b) }
	}
	buf := smallBuffers.Get().(*[]byte)
	defer smallBuffers.Put(buf)
	for t.pump.moved < minChunk {
		n, err := read(*buf, patience)
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
			return t.leaveRest()
		case err != nil:
			return t.ended(failed(&net.OpError{Op: "read", Err: err})), true
		}
	}
	return t.leaveRest()
}

// leaveRest leaves the rest to Run.
func (t *Started) leaveRest() (Result, bool) {
	if t.sock.open {
		if err := t.adopt(); err != nil {
			return t.ended(failed(err)), true
		}
	}
	return Result{}, false
}

// ended closes the data connection of a Job that has ended with err, and returns its Result.
func (t *Started) ended(err error) Result {
	var closeErr error
	switch {
	case t.sock.open:
		if err != nil && t.pump.job.Reset {
			t.sock.reset()
		}
		closeErr = t.sock.close()
	case t.pump.conn != nil:
		closeErr = t.pump.conn.Close()
	}
	if err == nil && closeErr != nil {
		err = &BrokenError{plain(closeErr)}
	}
	return Result{Bytes: t.pump.moved, Opened: true, Began: t.pump.start, Took: time.Since(t.pump.start), Err: err}
}

// smallFile reports whether the Job sends an *os.File of at most minChunk bytes, or of unknown size.
func smallFile(j *Job) bool {
	_, bare := j.Source.(*os.File)
	return bare && j.Size <= minChunk && untouched(j)
}

// isUpload reports whether the Job receives into an *os.File, so that only the peer makes it wait.
func isUpload(j *Job) bool {
	_, bare := j.Sink.(*os.File)
	return bare && !j.Bounded && untouched(j)
}

// untouched reports whether the bytes are neither transformed nor limited, and the Job does not reset.
func untouched(j *Job) bool {
	if j.Type == ftp.ASCII || j.Mode != ftp.Stream || j.Reset {
		return false
	}
	for _, r := range j.Rates {
		if r != nil {
			return false
		}
	}
	return true
}
