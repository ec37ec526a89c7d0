package client

import (
	"context"
	"errors"
	"io/fs"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Kind classifies failures by what can be done about them.
type Kind uint8

// The kinds of failures.
const (
	// KindOther is a failure of no other kind, and the kind of a nil error.
	KindOther Kind = iota
	// KindCanceled means that the context was cancelled.
	KindCanceled
	// KindLocal is a failure of the local side: a full disk, a file that may not be read, a name
	// that can't be sent.
	KindLocal
	// KindUnreachable means that the server does not answer, on the control or a data connection.
	KindUnreachable
	// KindLogin means that the server does not accept the user, password or account.
	KindLogin
	// KindTLS means that TLS could not be established.
	KindTLS
	// KindRefused means that the server refused: not found, no permission, not implemented.
	KindRefused
	// KindIncomplete means that data is missing, or may be.
	KindIncomplete
)

// String returns the name of the kind.
func (k Kind) String() string {
	return [...]string{"other", "cancelled", "local", "unreachable", "login refused", "TLS", "refused", "incomplete"}[min(k, KindIncomplete)]
}

// KindOf returns the kind of an error of this package. If several fit, it is the one that explains most: a
// file that was cut short by a lost connection is KindIncomplete. Temporary reports whether another try
// may succeed.
func KindOf(err error) Kind {
	var reply *ftp.Error
	switch {
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.As(err, new(*LocalError)), errors.Is(err, ftp.ErrLineBreak):
		return KindLocal
	case errors.As(err, new(*TLSError)):
		return KindTLS
	case errors.As(err, new(*TruncatedError)), errors.As(err, new(*ResumeError)),
		errors.Is(err, ErrUnconfirmed), errors.Is(err, ErrPartial):
		return KindIncomplete
	case errors.As(err, &reply):
		return kindOfReply(reply)
	case errors.As(err, new(*ConnectError)), errors.As(err, new(*OpenError)), errors.Is(err, ErrTimeout):
		return KindUnreachable
	case errors.As(err, new(*dtp.BrokenError)), errors.Is(err, dtp.ErrStalled),
		errors.As(err, new(*NameError)), errors.As(err, new(*ftp.LineError)): // a listing that may be incomplete
		return KindIncomplete
	case errors.As(err, new(*fs.PathError)):
		return KindLocal
	case errors.As(err, new(*DeadError)):
		return KindUnreachable
	}
	return KindOther
}

func kindOfReply(r *ftp.Error) Kind {
	switch r.Verb {
	case "USER", "PASS", "ACCT":
		if r.Code != 421 {
			return KindLogin
		}
	}
	switch r.Code {
	case 521, 522:
		if ftp.IsTransfer(r.Verb) { // the data connection has no TLS, or not as the server requires
			return KindTLS
		}
	case 421, 425:
		return KindUnreachable
	case 426, 451:
		return KindIncomplete
	case 530:
		return KindLogin
	}
	return KindRefused
}
