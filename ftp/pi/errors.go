package pi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

var (
	// ErrClosed is returned by calls after Close.
	ErrClosed = errors.New("the client is closed")
	// ErrTimeout is returned if the server was silent for too long; see Config.Timeout.
	ErrTimeout = errors.New("no answer")
	// ErrOutOfStep is returned, inside a *DeadError, if a reply can't be an answer to the command that was sent.
	// It is not known then which reply answers which command, so the connection is closed. A new
	// connection may work.
	ErrOutOfStep = errors.New("the server's replies are out of step with the commands")
	// errFlood is returned if the server sends too many replies.
	errFlood = errors.New("the server sends replies without end")
	// errEarlyBytes is returned if bytes in the clear follow the 234. Somebody on the way may have inserted
	// replies, which would count as sent under TLS (CVE-2021-22947).
	errEarlyBytes = errors.New("bytes in the clear came after the reply to AUTH")
	// errNoABOR is returned if the server does not support ABOR, so that the reply to the transfer may arrive at
	// any time.
	errNoABOR = errors.New("the server can't end a transfer on demand")
)

// TLSError is returned if TLS could not be turned on: the server refuses it, its certificate is not trusted, or the
// handshake failed. It may wrap an x509 error (errors.As).
type TLSError = dtp.TLSError

// ConnectError is returned if a server could not be reached: its name is unknown, or nothing answers.
type ConnectError struct {
	Addr string // host and port
	Err  error
}

func (e *ConnectError) Error() string { return fmt.Sprintf("no connection to %s: %v", e.Addr, e.Err) }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// DeadError is returned by every call once the control connection has ended; a new connection is needed. If the
// server sent a 421, DeadError wraps it as an *ftp.Error.
type DeadError struct{ Err error }

func (e *DeadError) Error() string {
	var reply *ftp.Error
	if errors.As(e.Err, &reply) || errors.Is(e.Err, ErrClosed) {
		return e.Err.Error()
	}
	return fmt.Sprintf("the control connection is gone: %v", e.Err)
}

// Unwrap returns the cause.
func (e *DeadError) Unwrap() error { return e.Err }

// Refusal returns a 4xx or 5xx reply to verb as an *ftp.Error, and nil for other replies.
func Refusal(verb string, r ftp.Reply) error {
	if c := r.Code.Class(); c == ftp.TransientFail || c == ftp.PermanentFail {
		return &ftp.Error{Verb: verb, Reply: r}
	}
	return nil
}

// IsReply reports whether err is a refusal by the server after which the connection is still open.
func IsReply(err error) bool {
	var dead *DeadError
	var reply *ftp.Error
	return errors.As(err, &reply) && !errors.As(err, &dead)
}

// Cause returns why a connection failed in plainer words: without the address, which the surrounding error has,
// and without the system call.
func Cause(err error) error {
	var name *net.DNSError
	var op *net.OpError
	var call *os.SyscallError
	said, refused := dtp.Alert(err)
	switch {
	case refused: // with TLS 1.3 a server may refuse our certificate after the handshake
		return &TLSError{Err: errors.New("the server refuses: " + said)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed it")
	case errors.As(err, &name):
		return nameError{name}
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}

// nameError is returned for a host name that can't be looked up.
type nameError struct{ err *net.DNSError }

func (e nameError) Error() string {
	if e.err.IsNotFound {
		return "there is no host of that name"
	}
	return "the name can't be looked up: " + e.err.Err
}

func (e nameError) Unwrap() error { return e.err }

// clip limits the length of what an error quotes.
func clip(s string) string { return s[:min(len(s), 80)] }
