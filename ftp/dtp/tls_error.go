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

// TLSError is returned for a TLS handshake that has failed.
type TLSError struct {
	Data bool // on a data connection, not the control connection
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

// handshakeError returns err with a plainer text where package tls has a technical one.
func handshakeError(err error) error {
	said, refused := Alert(err)
	err = plain(err)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return worded{"the handshake took too long", err}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return worded{"the peer closed the connection during the handshake", err}
	case refused:
		return worded{"the peer refuses: " + said, err}
	case errors.As(err, new(tls.RecordHeaderError)):
		return worded{"the peer does not speak TLS here", err}
	}
	return err
}

// Alert returns the TLS alert with which the peer has ended the connection, such as "bad certificate". With
// TLS 1.3 it may arrive after the handshake, when the peer has checked our certificate.
func Alert(err error) (said string, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" { // as package tls calls it
		return "", false
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: "), true
}

// worded is an error with another text.
type worded struct {
	text string
	err  error
}

func (e worded) Error() string { return e.text }
func (e worded) Unwrap() error { return e.err }
