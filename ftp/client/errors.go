package client

import (
	"errors"
	"fmt"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/kept"
	"miniftp/ftp/pi"
)

// Errors of a Client. What the server refuses is an *ftp.Error.
var (
	// ErrBusy is a call while another one, or an open reader or writer, still uses the
	// Client.
	ErrBusy = errors.New("the client is busy with another operation")
	// ErrUnconfirmed is a transfer whose bytes all went over, but whose final
	// reply never came. Whether the file is whole takes a look at its size.
	ErrUnconfirmed = errors.New("all bytes went over, but the server did not confirm them")
	// ErrTooMany is returned for a listing, or a tree of them, with too many entries.
	ErrTooMany = kept.ErrTooMany
	// ErrNoLinks is returned where links can't be made.
	ErrNoLinks = errors.New("links can't be made here")
	// ErrTooDeep is a tree with too many levels, or one that contains itself.
	ErrTooDeep = errors.New("the directory tree is too deep")
)

// Errors of the control connection; see package pi.
var (
	ErrClosed    = pi.ErrClosed
	ErrTimeout   = pi.ErrTimeout
	ErrOutOfStep = pi.ErrOutOfStep
)

// errReturned is returned when a Client is used after Pool.Put.
var errReturned = fmt.Errorf("%w: it was put back into its pool", ErrClosed)

// errNoEnd is a file under TLS of which nothing says that it is whole.
var errNoEnd = errors.New("TLS did not end properly, and the server does not tell the size")

// errEarly is an upload that the server called done before all was sent.
var errEarly = errors.New("the server did not wait for the data")

// LocalError is a failure of the local reader, writer or file, not of the server.
type LocalError = dtp.LocalError

// TLSError is TLS that did not come about, on the control connection or a data
// connection: the server refuses it, its certificate is not trusted, the handshake
// failed. An x509 error may be inside (errors.As).
type TLSError = dtp.TLSError

// OpenError is a data connection that did not come about.
type OpenError = dtp.OpenError

// ConnectError is a server that could not be reached.
type ConnectError = pi.ConnectError

// DeadError is a control connection that is gone; see pi.DeadError.
type DeadError = pi.DeadError

// TruncatedError is a transfer that ended too early, whatever the server says.
type TruncatedError struct {
	Want  int64     // bytes of the whole file; -1 if unknown
	Got   int64     // bytes of it that are there now, those before the offset included
	Final ftp.Reply // zero if there was none
	Err   error     // what cut it short; nil if the data just ended
}

func (e *TruncatedError) Error() string {
	s := fmt.Sprintf("cut short after %d bytes", e.Got)
	if e.Want >= 0 {
		s = fmt.Sprintf("cut short: %d of %d bytes", e.Got, e.Want)
	}
	switch {
	case e.Err != nil:
		s += fmt.Sprintf(": %v", e.Err)
	case e.Final.Code != 0:
		s += fmt.Sprintf(", though the server says %v", e.Final)
	}
	return s
}

// Unwrap returns what cut the transfer short.
func (e *TruncatedError) Unwrap() error { return e.Err }

// ResumeError is a transfer that can't go on where an earlier one stopped. No
// file was changed.
type ResumeError struct {
	Path   string
	Offset int64 // where it would have gone on
	Why    string
}

func (e *ResumeError) Error() string {
	return fmt.Sprintf("%s can't be resumed at byte %d: %s", ftp.Printable(e.Path), e.Offset, e.Why)
}

// NameError is a name in a listing that is no name of a file in that directory:
// it holds a slash or a NUL, or stands for another directory.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("the listing holds %q, which is no file name", clip(e.Name))
}

// clip bounds what an error quotes of the server's words.
func clip(s string) string { return s[:min(len(s), 80)] }

// refused reports whether err is the server's answer that it does not know or do
// the command: another way may work.
func refused(err error) bool { return Unsupported(err) }

// Unsupported reports whether err is the server's answer that it does not know or do
// the command.
func Unsupported(err error) bool {
	var e *ftp.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case 500, 502, 504, 522:
		return true
	}
	return false
}
