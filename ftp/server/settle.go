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
func (s *session) whole(j *job, res dtp.Result) error {
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
	j := s.job
	return j != nil && j.dir == ftp.Store && j.opener != nil &&
		(s.params.Mode != ftp.Stream || j.protection == ftp.Private || s.account.Accept.Has(DoubtHangUp))
}

// isScript reports whether a transfer to the client runs, with commands behind it: they were
// sent by a script that has said all and closes its side of the control connection. They are
// carried out, whether that end is read before the transfer or during it.
func (s *session) isScript() bool {
	return s.job != nil && s.job.dir == ftp.Retrieve && len(s.held) > 0
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

// A client that is killed ends both of its connections, the upload's now and then
// first: so the end of an upload that took long waits a moment, at most a hundredth
// of that time, for the end of the control connection (seen with curl and ftplib).
const (
	tookLong   = 50 * time.Millisecond
	lastMoment = 20 * time.Millisecond
)

// halfALine is how long the end of an upload waits for the rest of a command.
const halfALine = time.Second

// settle looks, at the end of an upload, whether the client is still there and
// has not said ABOR: in stream mode the end of the file is only the end of the
// data connection, and a client that was killed ends it too (RFC 959 §3.4.1).
func (s *session) settle(took time.Duration) error {
	start := time.Now()
	last := start
	if took >= tookLong {
		last = start.Add(min(took/100, lastMoment))
	}
	if s.aborHeld() {
		return errAborted // it came just before the end of the data
	}
	_, inTLS := s.conn.(*tls.Conn) // which may hold a line that nobody sees until it is read
	for s.dead == nil && !s.holdsEnough() {
		until := start.Add(halfALine)
		if !s.lines.Pending() {
			switch waiting(s.raw) {
			case hungUp:
				if !s.quitHeld() {
					s.dead = errHungUp
				}
				return s.dead
			case nothing:
				if until = last; !time.Now().Before(until) && !inTLS {
					return nil
				}
			}
		}
		_ = s.conn.SetReadDeadline(until)
		s.wakeAt = time.Time{}
		line, err := s.lines.ReadLine()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if time.Since(start) >= halfALine || inTLS && until == last && !time.Now().Before(last) {
				return nil
			}
			continue // that was the last moment, or the job's own wake-up came late
		}
		var op *net.OpError
		if errors.Is(err, io.EOF) || errors.As(err, &op) { // a reset is a hang-up too: of a client that left replies unread
			if !s.quitHeld() {
				s.dead = errHungUp
			}
			return s.dead
		}
		if err != nil {
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
