package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

func TestKindOf(t *testing.T) {
	no := func(verb string, code ftp.Code) error { return &ftp.Error{Verb: verb, Reply: ftp.NewReply(code, "no")} }
	for _, tt := range []struct {
		err  error
		want client.Kind
	}{
		{nil, client.KindOther},
		{errors.New("something"), client.KindOther},
		{context.Canceled, client.KindCanceled},
		{&client.LocalError{Err: syscall.ENOSPC}, client.KindLocal},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, client.KindLocal},
		{ftp.ErrLineBreak, client.KindLocal},
		{&client.TLSError{Err: x509.UnknownAuthorityError{}}, client.KindTLS},
		{no("STOR", 522), client.KindTLS},
		{no("EPRT", 522), client.KindRefused},
		{&client.ConnectError{Err: syscall.ECONNREFUSED}, client.KindUnreachable},
		{&client.OpenError{Err: syscall.ETIMEDOUT}, client.KindUnreachable},
		{&client.DeadError{Err: io.EOF}, client.KindUnreachable},
		{fmt.Errorf("%w to NOOP", client.ErrTimeout), client.KindUnreachable},
		{no("PASS", 530), client.KindLogin},
		{no("RETR", 530), client.KindLogin},
		{no("USER", 421), client.KindUnreachable},
		{no("RETR", 425), client.KindUnreachable},
		{no("RETR", 426), client.KindIncomplete},
		{no("RETR", 550), client.KindRefused},
		{&client.TruncatedError{Err: &client.DeadError{Err: io.EOF}}, client.KindIncomplete},
		{&client.ResumeError{}, client.KindIncomplete},
		{client.ErrUnconfirmed, client.KindIncomplete},
		{client.ErrPartial, client.KindIncomplete},
		{&dtp.BrokenError{Err: syscall.ECONNRESET}, client.KindIncomplete},
		{dtp.ErrStalled, client.KindIncomplete},
		{&client.NameError{Name: "a/b"}, client.KindIncomplete},
	} {
		for _, err := range []error{tt.err, fmt.Errorf("a file: %w", tt.err)} {
			if tt.err == nil {
				err = nil
			}
			if got := client.KindOf(err); got != tt.want {
				t.Errorf("%v is %v, want %v", err, got, tt.want)
			}
		}
	}
}
