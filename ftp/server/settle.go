package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Doubt is a set of reasons to doubt that an upload in stream mode is whole, of which
// only the end of its data connection tells. By default each of them cuts the upload
// short; what came is kept, to be resumed. Some devices always end their uploads in
// such a way.
type Doubt uint8

// The doubts.
const (
	// DoubtHangUp: the client closed the control connection right after the data,
	// without waiting for the 226. A client that is killed in the middle of a file does
	// the same, so half a file may get the final name.
	DoubtHangUp Doubt = 1 << iota
	// DoubtNoCloseNotify: an upload under TLS ended without close_notify. Anybody on the
	// way can cut the connection like that, and half a file gets the final name.
	DoubtNoCloseNotify
)

// Has reports whether all of d2 is in d.
func (d Doubt) Has(d2 Doubt) bool { return d&d2 == d2 }

// whole returns why an upload whose data connection has ended without an error is not
// whole all the same, or nil. Under TLS close_notify is the client's own word that the
// file ends there, whatever its control connection does next. Else the owner looks at
// the control connection first (settle).
func (s *session) whole(j *task, res dtp.Result) error {
	if j.protection == ftp.Private && !res.CutShort {
		if s.aborHeld() {
			return errAborted // it came before the end of the data
		}
		return nil
	}
	err := s.settle(res.Took)
	switch {
	case errors.Is(err, errHungUp) && s.account.Accept.Has(DoubtHangUp):
	case err != nil:
		return err
	}
	if res.CutShort && !s.account.Accept.Has(DoubtNoCloseNotify) {
		return errCutShort
	}
	return nil
}

// mayBeWhole reports whether an upload runs that can turn out to be whole though the
// client has hung up: its last bytes may still be on their way.
func (s *session) mayBeWhole() bool {
	j := s.task
	return j != nil && j.dir == ftp.Store && j.opener != nil &&
		(s.params.Mode != ftp.Stream || j.protection == ftp.Private || s.account.Accept.Has(DoubtHangUp))
}

// isScript reports whether a transfer to the client runs, with commands behind it: they were
// sent by a script that has said all and closes its side of the control connection. They are
// carried out, whether that end is read before the transfer or during it.
func (s *session) isScript() bool {
	return s.task != nil && s.task.dir == ftp.Retrieve && len(s.held) > 0
}

func (s *session) aborHeld() bool { return s.holds("ABOR") }

func (s *session) quitHeld() bool { return s.holds("QUIT") }

// holds reports whether the client has sent verb, and it waits for its turn.
func (s *session) holds(verb string) bool {
	for _, c := range s.held {
		if c.Verb == verb {
			return true
		}
	}
	return false
}

// settle decides whether an upload in stream mode whose data connection has ended, after that time,
// was ended by a client that meant it: a client that is killed, or has said ABOR, ends it just as
// well (RFC 959 §3.4.1). The control connection tells:
//
//	ABOR                    the upload is aborted
//	its end, without QUIT   the client is gone, and the upload is cut short
//	another command         is held for later; what follows it may still be one of these
//	a part of a command     the rest is waited for, up to lineWait
//	nothing                 the upload is whole; after a long one nothing is waited for a moment
//
// TCP promises no order between two connections, so this is what has arrived by then, no more. Under
// TLS a line may be here without being seen, so it is read once without a wait.
func (s *session) settle(took time.Duration) error {
	if s.aborHeld() {
		return errAborted // it came just before the end of the data
	}
	start := time.Now()
	quiet := start
	if took >= longUpload {
		quiet = start.Add(min(took/100, hangUpWait))
	}
	_, unseen := s.conn.(*tls.Conn)
	for s.dead == nil && !s.holdsEnough() {
		until := quiet
		switch s.input() {
		case hungUp:
			return s.hungUp()
		case something:
			until = start.Add(lineWait)
		}
		if !unseen && !time.Now().Before(until) {
			return nil
		}
		_ = s.conn.SetReadDeadline(until)
		s.alarm.forget()
		line, err := s.lines.ReadLine()
		var op *net.OpError
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			unseen = false // or a wake-up of the task that has ended came late
			continue
		case errors.Is(err, io.EOF), errors.As(err, &op): // a reset is a hang-up too: of a client that left replies unread
			return s.hungUp()
		case err != nil:
			s.dead = err
			return err
		}
		cmd, ok := s.heard(line)
		if !ok {
			return s.dead
		}
		s.hold(cmd)
		if cmd.Verb == "ABOR" {
			return errAborted
		}
	}
	return s.dead
}

// input is what there is to read, a line that is here already included.
func (s *session) input() input {
	if s.lines.Pending() {
		return something
	}
	return waiting(s.raw)
}

// hungUp is the end of the control connection at the end of an upload. A client that has said QUIT
// had nothing to wait for.
func (s *session) hungUp() error {
	if !s.quitHeld() {
		s.dead = errHungUp
	}
	return s.dead
}
