package server

import (
	"io"
	"net"
	"runtime/debug"
	"time"

	"miniftp/ftp"
)

// This file contains the end of a session.

// endInput records that the client has closed its side: no more lines come.
func (s *session) endInput() {
	s.inputEnded = true
	if s.task != nil {
		s.task.inputEnded()
	}
}

// lastTasks runs in stepLast: the client sends no more lines. It waits for the running task. The held commands are
// run after that (stepHeld), because a script may send all its commands at once and close its side of the
// connection. When nothing is left, the session ends.
func (s *session) lastTasks() {
	switch {
	case s.task != nil:
		s.waitTask()
	case s.stopping.Load():
		s.reply(ftp.Command{}, ftp.NewReply(421, s.stopText()))
	default:
		s.dead = errHungUp
	}
}

// end cleans up a session when it ends, or after the panic p: a panic ends only its own session.
func (s *session) end(p any) {
	defer s.hangUp()
	defer s.closeFiles()
	defer func() { s.panicked(recover()) }() // finishTask may panic, too
	s.panicked(p)
	for s.task != nil { // finishTask may start the end of an upload
		s.task.abort(errHungUp)
		s.finishTask(<-s.task.done)
	}
}

// panicked logs the panic p and sends a 421, unless p is nil.
func (s *session) panicked(p any) {
	if p == nil {
		return
	}
	s.set.Log.Error("a session panicked", "session", s.control.ID, "panic", p, "stack", string(debug.Stack()))
	s.dead = errPanicked
	s.out = ftp.NewReply(421, "Internal error of the server. Goodbye.").Append(s.out)
	s.flush()
}

// hangUp closes the connections of the session.
func (s *session) hangUp() {
	s.noteUncalled()
	s.data.Close()
	s.linger()
	_ = s.conn.Close()
	s.emit(ftp.ControlClosed{Err: s.dead})
}

const lingerBytes = 256 << 10

// linger reads what the client still sends, for up to lingerTime. To close with unread bytes would reset the
// connection, and the client might lose the last reply.
func (s *session) linger() {
	tcp, ok := s.raw.(*net.TCPConn)
	if !ok || peekInput(s.raw) != inputReady {
		return
	}
	_ = tcp.CloseWrite()
	_ = tcp.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, tcp, lingerBytes)
}
