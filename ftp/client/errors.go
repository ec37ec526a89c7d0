package client

import (
	"errors"
	"fmt"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/kept"
	"miniftp/ftp/pi"
)

// Errors of a Client. If the server refuses a command, the error is an *ftp.Error.
var (
	// ErrBusy is returned when a method is called while another call, reader, writer or listing
	// is still using the Client.
	ErrBusy = errors.New("the client is busy with another operation")
	// ErrUnconfirmed is returned when all bytes of a transfer were moved but the final reply
	// never came. The size of the file shows whether it is whole.
	ErrUnconfirmed = errors.New("all bytes were transferred, but the server did not confirm them")
	// ErrTooMany is returned for a listing, or a tree of them, with too many entries.
	ErrTooMany = kept.ErrTooMany
	// ErrNoLinks is returned when the server or the local file system can't make symbolic links.
	ErrNoLinks = errors.New("links can't be made here")
	// ErrTooDeep is returned for a directory tree with too many levels, or one that contains itself.
	ErrTooDeep = errors.New("the directory tree is too deep")
)

// Errors of the control connection, from package pi.
var (
	ErrClosed    = pi.ErrClosed
	ErrTimeout   = pi.ErrTimeout
	ErrOutOfStep = pi.ErrOutOfStep
)

// errReturned is returned when a Client is used after Pool.Put. It is also an ErrClosed.
var errReturned = fmt.Errorf("%w: it was put back into its pool", ErrClosed)

// errNoEnd is returned for a file received over TLS of unknown size, if the peer did not send
// close_notify: then nothing shows that the file is whole.
var errNoEnd = errors.New("TLS did not end properly, and the server does not report the size")

// errEarly is returned when the server reports an upload as complete before all of it was sent.
var errEarly = errors.New("the server replied before it had received all data")

// LocalError is returned when the local reader, writer or file fails, not the server.
type LocalError = dtp.LocalError

// TLSError is returned when TLS can't be established on the control connection or a data
// connection: the server refuses it, its certificate is not trusted, or the handshake fails.
// It may wrap an x509 error (use errors.As).
type TLSError = dtp.TLSError

// OpenError is returned when a data connection can't be opened.
type OpenError = dtp.OpenError

// ConnectError is returned when the server can't be reached.
type ConnectError = pi.ConnectError

// DeadError is returned when the control connection has failed; see pi.DeadError.
type DeadError = pi.DeadError

// TruncatedError is returned for a transfer that ended too early, whatever the server reports.
type TruncatedError struct {
	Want  int64     // bytes of the whole file; -1 if unknown
	Got   int64     // bytes present now, including those before the offset
	Final ftp.Reply // the final reply; zero if there was none
	Err   error     // the cause; nil if the data ended early without an error
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

// Unwrap returns the cause.
func (e *TruncatedError) Unwrap() error { return e.Err }

// ResumeError is returned when a transfer can't continue where an earlier one stopped. No file
// was changed.
type ResumeError struct {
	Path   string
	Offset int64 // where the transfer would have continued
	Why    string
}

func (e *ResumeError) Error() string {
	return fmt.Sprintf("%s can't be resumed at byte %d: %s", ftp.Printable(e.Path), e.Offset, e.Why)
}

// NameError is returned for a name in a listing that can't be the name of a file in that
// directory: it is empty, contains a slash, a NUL or a line break, or is "." or "..".
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("the listing holds %q, which is not a valid file name", clip(e.Name))
}

// clip limits how much of the server's text an error quotes.
func clip(s string) string { return s[:min(len(s), 80)] }

// refused is the name that this package uses for Unsupported. The caller may try another command.
func refused(err error) bool { return Unsupported(err) }

// Unsupported reports whether err is a reply by which the server says that it does not support
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
