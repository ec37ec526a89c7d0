package server

import (
	"context"
	"errors"
	"fmt"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// verdict returns the final reply of a transfer: 226 if it is whole, else what went wrong.
func (s *session) verdict(j *task, res dtp.Result) ftp.Reply {
	var open *dtp.OpenError
	var local *dtp.LocalError
	var noTLS *dtp.TLSError
	moved := fmt.Sprintf("after %d bytes", res.Bytes)
	switch {
	case res.Err == nil:
		return ftp.Replyf(226, "Done: %d bytes.", res.Bytes)
	case errors.Is(res.Err, errAborted):
		return ftp.Replyf(426, "Aborted %s.", moved)
	case errors.Is(res.Err, errKicked):
		return ftp.Replyf(426, "The administrator has ended this session; the transfer ended %s.", moved)
	case errors.Is(res.Err, context.Canceled):
		return ftp.Replyf(426, "The server is shutting down; the transfer ended %s.", moved)
	case errors.Is(res.Err, errPanicked):
		return ftp.NewReply(451, "Internal error of the server.")
	case errors.Is(res.Err, errCutShort):
		return ftp.Replyf(426, "The TLS connection ended without close_notify %s: it may not be the whole file.", moved)
	case errors.Is(res.Err, dtp.ErrNotResumed):
		return ftp.NewReply(522, "The data connection must resume the TLS session of the control connection, by a session ticket: session IDs of TLS 1.2 are not supported.")
	case errors.As(res.Err, &noTLS):
		return ftp.Replyf(522, "No TLS on the data connection: %s.", tlsProblem(noTLS))
	case errors.As(res.Err, &open):
		return ftp.NewReply(425, s.openFailure(open))
	case errors.Is(res.Err, dtp.ErrStalled):
		return ftp.Replyf(426, "Nothing moved on the data connection for %v; it ended %s.", s.set.StallTimeout, moved)
	case errors.As(res.Err, &local):
		return fileError(local, j.path)
	case errors.Is(res.Err, dtp.ErrExpands):
		return ftp.Replyf(426, "The compressed data expands too much %s: send it in MODE S.", moved)
	}
	return ftp.Replyf(426, "The data connection broke %s.", moved)
}

// openFailure says what the client can do about a data connection that never opened.
func (s *session) openFailure(e *dtp.OpenError) string {
	if errors.Is(e, dtp.ErrNobodyCame) {
		return s.nobodyCame(e)
	}
	if e.Stance == ftp.Listens {
		return "No data connection: the server could not listen."
	}
	return fmt.Sprintf("I could not connect to you at %v: if you are behind a firewall or NAT, use passive mode.", e.Addr)
}

// opening returns the first reply of a transfer: 125 if the data connection was open before, else 150. It ends
// with the size if that is known, because clients look for it there.
func (j *task) opening(stance ftp.Stance) ftp.Reply {
	code := ftp.Code(150)
	if j.reused {
		code = 125
	}
	return ftp.NewReply(code, j.openingText(stance))
}

func (j *task) openingText(stance ftp.Stance) string {
	if j.unique || j.renamed {
		return "FILE: " + j.path // RFC 1123 §4.1.2.9 asks for exactly this
	}
	what := "Sending"
	switch {
	case j.dir == ftp.Store:
		what = "Receiving"
	case ftp.IsTransfer(j.cmd.Verb) && j.cmd.Verb != "RETR":
		what = "Listing"
	}
	who := "I dialed"
	switch {
	case j.reused:
		who = "was open"
	case stance == ftp.Listens:
		who = "you dialed"
	}
	if j.total > 0 {
		return fmt.Sprintf("%s over the data connection that %s (%d bytes).", what, who, j.total)
	}
	return fmt.Sprintf("%s over the data connection that %s.", what, who)
}

// mark answers a restart marker of the client (RFC 959 §4.2, reply 110): it maps the client's marker to the
// position in the file here. All bytes before that position are in the file.
func (j *task) mark(theirs string) {
	r := ftp.Replyf(110, "MARK %s = %d", ftp.Printable(theirs), j.offset+j.moved.Load())
	select {
	case j.opened <- r:
		j.wake()
	case <-j.ctx.Done():
	}
}
