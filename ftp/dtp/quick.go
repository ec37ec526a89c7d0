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

// A small file is moved by the goroutine that takes the command, as far as the peer lets it do
// so at once: a goroutine of its own, and the socket in the runtime's poller, would cost more than
// the file does. What is not over then continues beside it, in Run.
//
//	StartNow   the data connection: the peer has called, or answers the call at once
//	Quick      the bytes: what the socket takes, or what comes, within patience
//	Run        the rest
//
// A client calls first and then sends its command, so it has CallNow, Send and Fetch in place of these,
// and Rest for the rest. Until the server has said that it begins, the client waits for replies alone.
//
// On Linux the data connection is a bare descriptor until Run (quick_linux.go), elsewhere it is
// one of package net all the time.

// Started is a Job on its data connection.
type Started struct {
	pump pump
	conn *Conn
	err  error  // of Job.Opened
	sock socket // while it is open there is no conn

	opener *Opener // of CallNow
}

// socket is a data connection that the runtime's poller does not know.
type socket struct {
	open   bool
	fd     int
	file   *os.File // of fd, once the runtime's poller knows it
	remote netip.AddrPort
}

// StartNow is for a peer that has called already, or does within patience: it puts the Job on its
// data connection, without calling Job.Opened. A peer that is to be called is called if it is
// near: it answers within microseconds. Nil means that there is no data connection yet and Run
// must be given the Opener; else the Opener is used up and Quick or the Started's Run must follow.
func (o *Opener) StartNow(job Job, patience time.Duration, near bool) *Started {
	job.Opened = nil
	if o.standing != nil {
		return begin(o.standing, job)
	}
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

// CallNow is StartNow for a client that dials. It is for a small file of which Job.Size is the size.
// The caller waits for at most pollTime, so a server that did not answer that soon is left to Open for
// its next calls. Nil means that Run must be given the Opener; else the Opener is used up, and Send or
// Fetch, Rest or Drop must follow. Only Rest calls Job.Opened.
func (o *Opener) CallNow(job Job) *Started {
	if o.stance != ftp.Dials || o.standing != nil || o.tls != nil || !clientsSmall(&job) {
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

// clientsSmall reports whether a client may move the Job by Send or Fetch.
func clientsSmall(j *Job) bool {
	_, sends := j.Source.(*os.File)
	_, fetches := j.Sink.(*os.File)
	plain := *j
	plain.Reset = false
	return (sends && j.Size > 0 || fetches && j.Bounded && j.Least == nil) && j.Size <= minChunk && untouched(&plain)
}

// Send sends the file as far as the socket takes it at once. False means that Rest must follow.
func (t *Started) Send() (Result, bool) {
	done, err := t.sendfile()
	if !done && err == nil {
		return Result{}, false
	}
	return t.ended(failed(err)), true
}

// Fetch receives the file, if it comes within fetchTime: it is for a peer that has said that it
// begins to send. vsftpd sends its final reply only when the client has closed the data connection, so
// the bytes can't wait for that. False means that Rest must follow.
func (t *Started) Fetch() (Result, bool) {
	m := t.opener.m
	m.small = slices.Grow(m.small[:0], int(t.pump.job.Size)+1) // one more, to see that it is not all
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

// Rest is Run for what CallNow began: the socket goes to the runtime's poller.
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

// Drop breaks the data connection off.
func (t *Started) Drop(why error) Result { return t.ended(why) }

// Quick moves a small file. False means that the Job is not over, or not of that kind, and Run must
// follow. An upload is waited for within patience, so the peer must have been told to begin.
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

// quickUpload takes what comes, without the pipe that splice needs.
func (t *Started) quickUpload(patience time.Duration) (Result, bool) {
	if _, tcp := t.pump.conn.(*net.TCPConn); !tcp && !t.sock.open {
		return Result{}, false
	}
	if ready := t.pump.job.Ready; ready != nil {
		t.pump.job.Ready = nil // Run need not ask again
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
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
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
			return t.goesOn()
		case err != nil:
			return t.ended(failed(&net.OpError{Op: "read", Err: err})), true
		}
	}
	return t.goesOn()
}

// goesOn leaves the rest to Run.
func (t *Started) goesOn() (Result, bool) {
	if t.sock.open {
		if err := t.adopt(); err != nil {
			return t.ended(failed(err)), true
		}
	}
	return Result{}, false
}

// ended closes the data connection of a Job that ended with err.
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

// smallFile reports whether the Job sends a bare file that fits into one chunk.
func smallFile(j *Job) bool {
	_, bare := j.Source.(*os.File)
	return bare && j.Size <= minChunk && untouched(j)
}

// isUpload reports whether the Job receives a bare file: what has to be waited for is the peer alone.
func isUpload(j *Job) bool {
	_, bare := j.Sink.(*os.File)
	return bare && !j.Bounded && untouched(j)
}

// untouched reports whether nothing transforms, limits or resets the bytes.
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
