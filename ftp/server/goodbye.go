package server

import (
	"io"
	"net"
	"runtime/debug"
	"time"

	"miniftp/ftp"
)

// This file is how a session ends.

// endInput notes that the client sends no more lines.
func (s *session) endInput() {
	s.ended = true
	if s.task != nil {
		s.task.inputEnded()
	}
}

// lastTasks is stepLast, for a session whose client sends no more lines. What it sent
// before is carried out and answered: a script may send all it has to say and close
// its side of the connection.
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

// end cleans up, after the panic p too: that is the end of this session only.
func (s *session) end(p any) {
	defer s.hangUp()
	defer s.closeFiles()
	defer func() { s.panicked(recover()) }() // ending the transfer may panic too
	s.panicked(p)
	if s.task != nil {
		s.task.abort(errHungUp)
		s.finishTask(<-s.task.done)
	}
}

// panicked says goodbye if p is a panic.
func (s *session) panicked(p any) {
	if p == nil {
		return
	}
	s.set.Log.Error("a session panicked", "session", s.control.ID, "panic", p, "stack", string(debug.Stack()))
	s.dead = errPanicked
	s.out = ftp.NewReply(421, "Something went wrong here. Goodbye.").Append(s.out)
	s.flush()
}

func (s *session) hangUp() {
	s.data.Close()
	s.linger()
	_ = s.conn.Close()
	s.emit(ftp.ControlClosed{Err: s.dead})
}

const lingerBytes = 256 << 10

// linger reads what the client has still to say, for lingerTime.
func (s *session) linger() {
	tcp, ok := s.raw.(*net.TCPConn)
	if !ok || waiting(s.raw) != something {
		return
	}
	_ = tcp.CloseWrite()
	_ = tcp.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, tcp, lingerBytes)
}
