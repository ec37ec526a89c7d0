package dtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// TLSError is a TLS handshake that failed, on the control connection or on a data
// connection.
type TLSError struct {
	Data bool
	Err  error
}

func (e *TLSError) Error() string {
	which := "control"
	if e.Data {
		which = "data"
	}
	return fmt.Sprintf("no TLS on the %s connection: %v", which, e.Err)
}

func (e *TLSError) Unwrap() error { return e.Err }

// handshakeError is err in plain words, where those of package tls are none.
func handshakeError(err error) error {
	said, refused := Alert(err)
	err = plain(err)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return worded{"the handshake took too long", err}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return worded{"the peer ended the connection instead of a handshake", err}
	case refused:
		return worded{"the peer refuses: " + said, err}
	case errors.As(err, new(tls.RecordHeaderError)):
		return worded{"what the peer says is no TLS", err}
	}
	return err
}

// Alert is the TLS alert that the peer ended a connection with: "bad certificate".
// Under TLS 1.3 it may come after the handshake, when the peer has looked at our
// certificate.
func Alert(err error) (said string, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" { // as package tls calls it
		return "", false
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: "), true
}

// worded is an error in other words.
type worded struct {
	text string
	err  error
}

func (e worded) Error() string { return e.text }
func (e worded) Unwrap() error { return e.err }
