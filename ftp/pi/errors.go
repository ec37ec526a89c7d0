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
	// ErrClosed is a call after Close.
	ErrClosed = errors.New("the client is closed")
	// ErrTimeout is a server that said nothing for the time of Config.Timeout.
	ErrTimeout = errors.New("no answer")
	// ErrOutOfStep is returned, inside a *DeadError, when a reply can't be one to the command
	// that waits for it. Which reply answers which command is not known then, so the
	// connection is closed. Another one may do better.
	ErrOutOfStep = errors.New("the server's replies are out of step with the commands")
	// errFlood is a server that sends replies without end.
	errFlood = errors.New("the server sends replies without end")
	// errEarlyBytes: somebody may sit in between and have put replies in, to be taken
	// for the server's own (CVE-2021-22947).
	errEarlyBytes = errors.New("bytes came in the clear behind the answer to AUTH")
	// errNoABOR is returned when the server does not know ABOR, so that the reply to the
	// transfer may come at any time.
	errNoABOR = errors.New("the server can't end a transfer on demand")
)

// TLSError is TLS that did not come about: the server refuses it, its certificate is not
// trusted, the handshake failed. An x509 error may be inside (errors.As).
type TLSError = dtp.TLSError

// ConnectError is a server that could not be reached: the name is unknown, or
// nobody answers there.
type ConnectError struct {
	Addr string // host and port
	Err  error
}

func (e *ConnectError) Error() string { return fmt.Sprintf("no connection to %s: %v", e.Addr, e.Err) }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// DeadError is a control connection that is gone. Every call gives it from then on; only
// a new connection helps. When the server said 421, the cause is that reply, an *ftp.Error.
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

// Refusal is the error of a reply to verb if it says no (4xx or 5xx), an *ftp.Error.
func Refusal(verb string, r ftp.Reply) error {
	if c := r.Code.Class(); c == ftp.TransientFail || c == ftp.PermanentFail {
		return &ftp.Error{Verb: verb, Reply: r}
	}
	return nil
}

// IsReply reports whether err is no more than the server's no, so that the connection
// still stands.
func IsReply(err error) bool {
	var dead *DeadError
	var reply *ftp.Error
	return errors.As(err, &reply) && !errors.As(err, &dead)
}

// Cause is why a connection did not come about, or ended, in plain words: without the
// address, which is named already, and the system call.
func Cause(err error) error {
	var name *net.DNSError
	var op *net.OpError
	var call *os.SyscallError
	said, refused := dtp.Alert(err)
	switch {
	case refused: // under TLS 1.3 a server says late what it thinks of our certificate
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

// nameError is a host name that could not be looked up.
type nameError struct{ err *net.DNSError }

func (e nameError) Error() string {
	if e.err.IsNotFound {
		return "there is no host of that name"
	}
	return "the name can't be looked up: " + e.err.Err
}

func (e nameError) Unwrap() error { return e.err }

// clip bounds what an error quotes of the server's words.
func clip(s string) string { return s[:min(len(s), 80)] }
