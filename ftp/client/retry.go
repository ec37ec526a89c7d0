package client

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Retry configures how often a failed operation is tried again. The zero value tries once.
type Retry struct {
	Times  int                                 // tries after the first
	Wait   func(n int) time.Duration           // pause before retry n, counted from 0; nil: 1 s, 2 s, 4 s … 30 s
	Again  func(err error) bool                // reports whether to try again; nil: Temporary
	Notify func(err error, wait time.Duration) // called before each pause; may be nil
}

// Do calls f until it succeeds, the tries are used up, or Again reports that another try would not
// help. f gets the number of earlier tries. A try after the first should continue where the last
// one stopped. ctx ends the pauses.
func (r Retry) Do(ctx context.Context, f func(try int) error) error {
	wait := r.Wait
	if wait == nil {
		wait = func(n int) time.Duration { return min(time.Second<<min(n, 10), 30*time.Second) }
	}
	for try := 0; ; try++ {
		err := f(try)
		if err == nil || try >= r.Times || ctx.Err() != nil || !r.again(err) {
			return err
		}
		pause := wait(try)
		if r.Notify != nil {
			r.Notify(err, pause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

func (r Retry) again(err error) bool {
	if r.Again != nil {
		return r.Again(err)
	}
	return Temporary(err)
}

// Temporary reports whether another try may succeed, over a new connection if need be: the network
// failed, or the server replied that the command may work later. A refused connection is temporary,
// because servers restart. Decisions are not temporary: a refusal, a wrong password, an untrusted
// certificate, servers that can't send to each other, a host name that does not exist, and a failure
// of the local side.
func Temporary(err error) bool {
	var (
		reply     *ftp.Error
		connect   *ConnectError
		dead      *DeadError
		open      *OpenError
		broken    *dtp.BrokenError
		truncated *TruncatedError
		local     *LocalError
		noTLS     *TLSError
	)
	switch {
	case errors.As(err, &local), errors.Is(err, dtp.ErrExpands):
		return false
	case errors.As(err, &noTLS):
		return onWire(noTLS.Err) || noTLS.Data && errors.Is(noTLS.Err, io.EOF)
	case errors.As(err, &reply):
		switch reply.Code {
		case 421, 425, 426, 450, 451:
			return true
		}
		return false
	case errors.As(err, &connect):
		return onWire(err) || errors.Is(err, ErrTimeout)
	}
	return errors.As(err, &dead) || errors.As(err, &open) || errors.As(err, &broken) || errors.As(err, &truncated) ||
		errors.Is(err, dtp.ErrStalled) || errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnconfirmed)
}

// onWire reports whether the cause of err is the network rather than a decision, such as that of a
// local firewall (EACCES, EPERM).
func onWire(err error) bool {
	var code syscall.Errno
	if errors.As(err, &code) {
		return code != syscall.EACCES && code != syscall.EPERM
	}
	return errors.Is(err, os.ErrDeadlineExceeded)
}
