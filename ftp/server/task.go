package server

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// task is work that runs beside the session, on its own goroutine: a transfer, a login, a hash, or the search
// of a listing. A session has at most one.
//
// The goroutine of the task only runs work. It reports to the owner of the session through two channels, opened
// and done, and wakes it. Everything else is the owner's: it sends the replies, calls finish and closes the
// files. The life of a task:
//
//	start       the owner starts work
//	opened      the data connection is open, or a restart marker came: the owner sends the 150 (or 110)
//	done        work has returned: the owner calls finish, exactly once, and sends the final reply
//
// finish may start the next task of the same command; it returns a zero reply then (see sendFound). abort
// cancels the context of work at any time.
type task struct {
	cmd     ftp.Command
	path    string
	dir     ftp.Direction
	offset  int64
	total   int64   // 0: unknown
	unique  bool    // STOU: the 150 names the file
	renamed bool    // an upload with another name than the client has sent: its replies name the file, too
	doubt   Doubt   // of an upload that counts as whole nevertheless
	digest  *digest // of an upload; may be nil
	login   bool    // USER or PASS: ABOR does not stop it, the end of the server does
	// forPort is set while PASV or EPSV waits for a port: the end of the session stops it, and so does the end of the
	// client's side unless more commands are held.
	forPort bool
	inTurn  bool // no command is answered before it ends, not even NOOP
	// afterHangUp, if not 0, is how long the task may continue after the client has closed its side of the
	// control connection: the client may be gone. A transfer needs no such limit, because its data connection
	// shows when the client is gone.
	afterHangUp time.Duration
	opener      *dtp.Opener           // of the data connection; nil: no transfer
	reused      bool                  // the data connection was open before (125 instead of 150)
	protection  ftp.Protection        // of the data connection
	begin       func() error          // called before the first byte moves; may be nil
	beside      func(context.Context) // called by start, before work runs on its own goroutine; may be nil
	remote      bool                  // the storage may make the transfer wait: it must not run on the owner's goroutine
	ending      bool                  // the end of an upload: neither ABOR nor the end of the connection stops it
	gate        bool                  // the check of an upload that is whole (gate.go)
	work        func(ctx context.Context, j *task) dtp.Result
	finish      func(dtp.Result) ftp.Reply // called by the owner, exactly once

	// partial is the code of the only reply of the task, of which opened has lines; 0: opened has whole replies.
	partial ftp.Code
	begun   bool // a line of that reply was sent

	opened chan ftp.Reply  // the 150 when the data connection is open, and then a 110 for each restart marker
	done   chan dtp.Result // the result of work
	moved  atomic.Int64
	wake   func()          // wakes the owner
	ctx    context.Context // of the work
	cancel context.CancelCauseFunc
}

// Why a task was stopped.
var (
	errAborted  = errors.New("aborted")
	errPanicked = errors.New("internal error")
	errKicked   = errors.New("ended by the administrator")
	// errCutShort: under TLS only close_notify says that an upload is whole; anyone can send a FIN.
	errCutShort = errors.New("the TLS data connection ended without close_notify")
)

// abort cancels the work of the task, unless it is ending. Any goroutine may call it.
func (j *task) abort(why error) {
	if !j.ending {
		j.cancel(why)
	}
}

// inputEnded is called when the client has closed its side of the control connection.
func (j *task) inputEnded() {
	if j.afterHangUp > 0 {
		t := time.AfterFunc(j.afterHangUp, func() { j.abort(errHungUp) })
		context.AfterFunc(j.ctx, func() { t.Stop() })
	}
}

// start runs j beside the session. It returns the zero reply, because the replies come later.
func (s *session) start(j *task) ftp.Reply {
	// With room for one element neither a 150 nor the end blocks the task. A second restart marker blocks it
	// until the owner has taken the first (mark), so there is at most one reply in opened.
	j.opened, j.done = make(chan ftp.Reply, 1), make(chan dtp.Result, 1)
	j.ctx, j.cancel = context.WithCancelCause(s.ctx())
	j.wake = s.alarm.wake
	s.task = j
	if j.opener != nil || j.forPort {
		s.running.Store(j)
		if s.kicked.Load() || j.forPort && s.stopping.Load() { // they may have been set before the task was stored
			j.abort(errKicked)
		}
	}
	if j.beside != nil {
		j.beside(j.ctx)
	}
	if s.inputEnded { // the client's side closed before this task began
		j.inputEnded()
	}
	go func() {
		defer s.alarm.wake()
		defer func() {
			if p := recover(); p != nil {
				s.set.Log.Error("a transfer panicked", "session", s.control.ID, "panic", p, "stack", string(debug.Stack()))
				j.done <- dtp.Result{Err: errPanicked}
			}
		}()
		j.done <- j.work(j.ctx, j)
	}()
	return ftp.Reply{}
}

// replyEarly sends a reply of a task before its end, or a line of its reply.
func (s *session) replyEarly(j *task, r ftp.Reply) {
	if j.partial == 0 {
		s.reply(j.cmd, r)
		return
	}
	j.begun = true
	s.appendLine(j, r.Text())
	s.flush()
}

// appendLine adds a line of the reply of a task that is not the last one.
func (s *session) appendLine(j *task, text string) {
	line, _, _ := bytes.Cut(ftp.NewReply(j.partial, text, "").Append(nil), []byte("\r\n"))
	s.out = append(append(s.out, line...), "\r\n"...)
}

// breakOff ends a session whose task has failed after a part of its reply was sent. The first line of a reply has its
// code, and the last line must have the same (RFC 959 §4.2), so the failure can only be shown by having no last line.
func (s *session) breakOff(j *task, r ftp.Reply) {
	s.appendLine(j, "FAILED: "+r.Text())
	s.dead = &ftp.Error{Verb: j.cmd.Verb, Reply: r}
}

// progress sends a line of the reply of a task that has a partial one. It does not wait.
func (j *task) progress(line string) {
	select {
	case j.opened <- ftp.NewReply(j.partial, line):
		j.wake()
	default:
	}
}

// hasNews reports whether handleTaskNews has something to do.
func (j *task) hasNews() bool { return len(j.opened) > 0 || len(j.done) > 0 }

// handleTaskNews handles the news of the task. The 150 comes before the end.
func (s *session) handleTaskNews() {
	select {
	case r := <-s.task.opened:
		s.replyEarly(s.task, r)
		return
	default:
	}
	select {
	case res := <-s.task.done:
		s.finishTask(res)
	default:
	}
}

// waitTask waits for news of the task without reading from the client. A login is aborted if the server stops,
// or after lastLogin if the client has closed its side.
func (s *session) waitTask() {
	s.flush()
	var stopped <-chan struct{}
	var late <-chan time.Time
	if s.task.login {
		stopped = s.srv.stopped
		if s.inputEnded {
			timer := time.NewTimer(lastLogin)
			defer timer.Stop()
			late = timer.C
		}
	}
	select {
	case r := <-s.task.opened:
		s.replyEarly(s.task, r)
		return
	case res := <-s.task.done:
		s.finishTask(res)
		return
	case <-stopped:
	case <-late:
	}
	s.task.abort(errHungUp)
	s.finishTask(<-s.task.done)
}

// finishTask ends the task and sends its final reply.
func (s *session) finishTask(res dtp.Result) {
	j := s.task
	s.running.Store(nil)
	s.task = nil // first, so that after a panic below end does not wait for the task
	s.idleBy = time.Time{}
	select {
	case r := <-j.opened:
		s.replyEarly(j, r)
	default:
	}
	// The data connection goes back first, because finish may start the next transfer of a chain.
	s.keep(res.Kept)
	// In stream mode the end of the data connection alone does not say that the upload is whole.
	if res.Err == nil && j.dir == ftp.Store && j.opener != nil && !j.ending && !j.gate && s.params.Mode == ftp.Stream {
		res.Err = s.whole(j, res)
	}
	var why error
	if j.ctx != nil { // nil if the transfer was done without starting work
		why = context.Cause(j.ctx)
	}
	r := j.finish(res)
	j.cancel(nil)
	if why != nil && s.task != nil {
		s.task.abort(why) // finish has started a follow-up task: what stopped this one stops it, too
	}
	if j.opener != nil && s.task == nil {
		err := res.Err
		if err == nil && r.Code.Class() > ftp.Completion {
			err = &ftp.Error{Verb: j.cmd.Verb, Reply: r}
		}
		done := ftp.TransferDone{
			Verb: j.cmd.Verb, Path: j.path, Direction: j.dir, Mode: j.opener.Mode(),
			Offset: j.offset, Bytes: res.Bytes, Took: res.Took, Protection: j.protection, Err: err,
		}
		if err == nil && j.doubt != 0 {
			done.Doubt = j.doubt.String()
		}
		if err == nil {
			done.SHA256 = j.digest.sha256()
		}
		s.emit(done)
	}
	switch {
	case r.Code == 0: // the follow-up task replies
	case j.begun && r.Code != j.partial:
		s.breakOff(j, r)
	default:
		s.reply(j.cmd, r)
	}
	if errors.Is(res.Err, errPanicked) {
		s.dead = res.Err
	}
}

// transfer starts a task that moves d over the data connection that was negotiated. A small transfer over a
// data connection that is ready is done before transfer returns (transferNow).
func (s *session) transfer(j *task, d dtp.Job) ftp.Reply {
	s.protect(j.cmd.Verb)
	opener, err := s.data.Take()
	if err != nil {
		no := ftp.NewReply(425, "No data connection: send PASV, EPSV, PORT or EPRT first.")
		if errors.Is(err, dtp.ErrOfferRevoked) {
			no = ftp.Replyf(425, "You did not use the data port within %v, and another session needed it: send PASV or EPSV again.", s.set.DataTimeout)
		}
		if j.finish(dtp.Result{Err: err}); s.task == nil {
			return no
		}
		// The end of the upload is a task. Its reply must be the only one.
		finish := s.task.finish
		s.task.finish = func(res dtp.Result) ftp.Reply {
			finish(res)
			return no
		}
		return ftp.Reply{}
	}
	j.opener = opener
	j.protection = s.params.Protection
	d.Mode, d.Level = s.params.Mode, s.level
	d.Stall = s.set.StallTimeout
	d.Rates = s.rates(j.dir)
	d.Progress = j.moved.Store
	if j.begin != nil {
		d.Ready = func() error {
			if err := j.begin(); err != nil {
				return &dtp.LocalError{Err: err} // verdict blames the file, not the network
			}
			return nil
		}
	}
	j.reused = opener.IsOpen()
	near := time.Since(s.waitBegan) < nearTime
	if !j.remote {
		if t := opener.StartNow(d, quickWait, near); t != nil {
			return s.transferNow(t, j)
		}
	}
	d.Opened = func(c *dtp.Conn) error {
		j.opened <- j.opening(c.Stance)
		s.alarm.wake()
		return nil
	}
	j.work = func(ctx context.Context, j *task) dtp.Result { return dtp.Run(ctx, j.opener, d) }
	return s.start(j)
}

// transferNow continues transfer when the data connection is open already: the client of a passive port has
// connected, or block mode has kept the connection. A transfer that ends within quickWait needs no second
// goroutine.
func (s *session) transferNow(t *dtp.Started, j *task) ftp.Reply {
	s.reply(j.cmd, j.opening(j.opener.Stance()))
	if j.dir == ftp.Store {
		s.flush() // the client sends its data when it has read the 150
	}
	if res, over := t.Quick(quickWait); over {
		s.task, j.cancel = j, func(error) {} // finishTask expects a task that was started
		s.finishTask(res)
		return ftp.Reply{}
	}
	s.flush()
	j.work = func(ctx context.Context, _ *task) dtp.Result { return t.Run(ctx) }
	return s.start(j)
}

// keep keeps the data connection that a transfer in block mode has left open for the next one. It is closed
// with the session at the latest.
func (s *session) keep(c *dtp.Conn) {
	if c != nil {
		s.data.Keep(c)
	}
}
