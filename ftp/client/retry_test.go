package client_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
)

// TestTemporary checks that network failures are temporary, and decisions are not.
func TestTemporary(t *testing.T) {
	no := func(code ftp.Code) error { return &ftp.Error{Verb: "RETR", Reply: ftp.NewReply(code, "no")} }
	reset := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{no(421), true},
		{no(425), true},
		{no(426), true},
		{no(450), true},
		{no(451), true},
		{no(452), false},
		{no(430), false},
		{no(530), false},
		{no(550), false},
		{no(332), false},
		{no(500), false},
		{&client.ConnectError{Err: syscall.ECONNREFUSED}, true},
		{&client.ConnectError{Err: syscall.ETIMEDOUT}, true},
		{&client.ConnectError{Err: syscall.EHOSTUNREACH}, true},
		{&client.ConnectError{Err: client.ErrTimeout}, true},
		{&client.ConnectError{Err: &net.DNSError{IsNotFound: true}}, false},
		{&client.ConnectError{Err: syscall.EACCES}, false},
		{&client.TLSError{Data: true, Err: reset}, true},
		{&client.TLSError{Err: reset}, true},
		{&client.TLSError{Data: true, Err: io.EOF}, true},
		{&client.TLSError{Err: os.ErrDeadlineExceeded}, true},
		{&client.TLSError{Err: x509.UnknownAuthorityError{}}, false},
		{&client.TLSError{Data: true, Err: no(534)}, false},
		{&client.DeadError{Err: &client.TLSError{Err: errors.New("bad certificate")}}, false},
		{&client.DeadError{Err: io.EOF}, true},
		{&client.DeadError{Err: client.ErrOutOfStep}, true},
		{&client.OpenError{Err: syscall.ECONNREFUSED}, true},
		{&dtp.BrokenError{Err: reset}, true},
		{&client.TruncatedError{}, true},
		{&client.LocalError{Err: syscall.ENOSPC}, false},
		{&client.LocalError{Err: &client.DeadError{Err: io.EOF}}, false},
	} {
		for _, err := range []error{tt.err, fmt.Errorf("a file: %w", tt.err)} {
			if got := client.Temporary(err); got != tt.want {
				t.Errorf("%T %v: %v", tt.err, err, got)
			}
		}
	}
}

// TestRefusedConnectionIsTemporary checks that a refused connection is temporary, because the server may be starting.
func TestRefusedConnectionIsTemporary(t *testing.T) {
	_, err := client.Dial(t.Context(), testutil.ClosedPort(t).String(), nil)
	if !client.Temporary(err) {
		t.Errorf("%T %v", err, err)
	}
}
