package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Doubt is a set of reasons to doubt that an upload in stream mode is whole. In that mode only the end of the
// data connection marks the end of the file. By default each of these reasons makes the upload a failed one:
// its bytes are kept to be resumed. Account.Accept lists those to overlook, for devices that end all their
// uploads that way; CompatDevice overlooks all of them.
type Doubt uint8

// The doubts.
const (
	// DoubtHangUp: the client closed the control connection right after the data, without waiting for the 226.
	// A client that is killed in the middle of a file does the same, so accepting this may give half a file its
	// final name.
	DoubtHangUp Doubt = 1 << iota
	// DoubtNoCloseNotify: an upload under TLS ended without close_notify. Anyone on the network path can cut
	// the connection like that, so accepting this may give half a file its final name.
	DoubtNoCloseNotify
)

// Has reports whether d includes all of d2.
func (d Doubt) Has(d2 Doubt) bool { return d&d2 == d2 }

// String returns the names of the doubts.
func (d Doubt) String() string {
	var all []string
	if d.Has(DoubtHangUp) {
		all = append(all, "hang-up")
	}
	if d.Has(DoubtNoCloseNotify) {
		all = append(all, "no-close-notify")
	}
	return strings.Join(all, ", ")
}

// whole returns nil if an upload is whole; otherwise the error says why not. The data connection has ended
// without an error. Under TLS, close_notify is the client's own statement that the file ends there, whatever
// happens to the control connection. Without close_notify settle examines the control connection. A doubt that the account
// overlooks is noted.
func (s *session) whole(j *task, res dtp.Result) error {
	if j.protection == ftp.Private && !res.CutShort {
		if s.aborHeld() {
			return errAborted // ABOR came before the end of the data
		}
		return nil
	}
	err := s.settle(res.Took)
	switch {
	case errors.Is(err, errHungUp) && s.account.accepts(DoubtHangUp): // s.dead still ends the session
		j.doubt |= DoubtHangUp
	case err != nil:
		return err
	}
	if res.CutShort {
		if !s.account.accepts(DoubtNoCloseNotify) {
			return errCutShort
		}
		j.doubt |= DoubtNoCloseNotify
	}
	return nil
}

// mayBeWhole reports whether an upload runs that can still turn out whole although the client has closed the
// control connection: its last bytes may be on their way, or it is whole and is being checked.
func (s *session) mayBeWhole() bool {
	j := s.task
	return j != nil && j.dir == ftp.Store && j.opener != nil &&
		(j.gate || s.params.Mode != ftp.Stream || j.protection == ftp.Private || s.account.accepts(DoubtHangUp))
}

// isScript reports whether a download or listing runs with more commands held. They come from a script that
// sent all its commands at once and closed its side of the control connection. They are all run, whether that
// end is read before or during the transfer.
func (s *session) isScript() bool {
	return s.task != nil && s.task.dir == ftp.Retrieve && len(s.held) > 0
}

func (s *session) aborHeld() bool { return s.holds("ABOR") }

func (s *session) quitHeld() bool { return s.holds("QUIT") }

// holds reports whether a command with that verb is held.
func (s *session) holds(verb string) bool {
	for _, c := range s.held {
		if c.Verb == verb {
			return true
		}
	}
	return false
}

// settle decides whether the client meant to end an upload in stream mode. The data connection has ended
// without an error, after took. A client also ends it when it is killed or aborts (RFC 959 §3.4.1), so the
// control connection is examined:
//
//	ABOR                      the upload is aborted
//	its end, without QUIT     the client is gone: the upload is cut short
//	another command           held for later; one of the above may follow it
//	a part of a command       wait for the rest, up to lineWait
//	nothing                   the upload is whole; after a long upload wait a moment first (hangUpWait)
//
// TCP promises no order between two connections, so settle can only judge what has arrived by then. Under TLS a
// line may be in a record that is not yet decrypted (unseen), so settle reads at least once, without waiting.
func (s *session) settle(took time.Duration) error {
	if s.aborHeld() {
		return errAborted // ABOR came just before the end of the data
	}
	start := time.Now()
	quiet := start
	if took >= longUpload {
		quiet = start.Add(min(took/100, hangUpWait))
	}
	_, unseen := s.conn.(*tls.Conn)
	for s.dead == nil && !s.heldFull() {
		until := quiet
		switch s.input() {
		case inputClosed:
			return s.hungUp()
		case inputReady:
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
			unseen = false // nothing more is decrypted; or the ended task's wake-up came late
			continue
		case errors.Is(err, io.EOF), errors.As(err, &op): // a reset is a hang-up, too: the client left replies unread
			return s.hungUp()
		case err != nil:
			s.dead = err
			return err
		}
		cmd, ok := s.parseLine(line)
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

// input returns the state of the control connection, including a line that is already buffered.
func (s *session) input() input {
	if s.lines.Pending() {
		return inputReady
	}
	return peekInput(s.raw)
}

// hungUp handles the end of the control connection at the end of an upload. A client that has sent QUIT need
// not wait for the replies.
func (s *session) hungUp() error {
	if !s.quitHeld() {
		s.dead = errHungUp
	}
	return s.dead
}
