package pi

import (
	"context"
	"fmt"

	"miniftp/ftp"
)

// Abort ends the transfer of cmd by ABOR, which brings the transfer's reply and one of its
// own (RFC 959 §4.1.3). There are servers that have one reply for both, or three, and those
// that do not know ABOR. So PWD follows: what comes before its reply belongs to the transfer.
// If the transfer has no reply then, it may still come, and the connection is given up.
//
// final is the transfer's reply, zero if none came. other says of a reply that it is not the
// transfer's, such as that to a NOOP, or doubts that it is: then a later one is taken in its
// place. nil: each is the transfer's. The error is that of a connection that was lost meanwhile.
func (c *Conn) Abort(ctx context.Context, cmd ftp.Command, other func(ftp.Reply) (is, doubt bool)) (final ftp.Reply, err error) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWait)
	defer cancel()
	if err := c.Write(ftp.Command{Verb: "ABOR"}); err != nil {
		return final, err
	}
	final, doubt, err := c.End(after, cmd, other)
	if c.dead.Load() != nil {
		return final, err
	}
	if IsUnknown(final) {
		final = ftp.Reply{}
	}
	late := fmt.Errorf("%w to ABOR", ErrTimeout)
	if err == nil {
		final, err = c.Realign(after, final, doubt)
		if c.dead.Load() != nil {
			return final, err
		}
		late = err
	}
	if late == nil && final.Code == 0 {
		late = errNoABOR
	}
	if late != nil {
		_ = c.Fail(late)
	}
	return final, nil
}

// End waits for the final reply to the transfer of cmd; see Abort for other.
func (c *Conn) End(ctx context.Context, cmd ftp.Command, other func(ftp.Reply) (is, doubt bool)) (final ftp.Reply, doubt bool, err error) {
	for {
		r, err := c.Next(ctx, cmd)
		if err != nil {
			return ftp.Reply{}, doubt, err
		}
		is := false
		if r.Code.Class() != ftp.Preliminary && other != nil {
			is, doubt = other(r)
		}
		if r.Code.Class() != ftp.Preliminary && !is {
			return r, doubt, nil
		}
	}
}

// Realign finds the place among the replies again by PWD: only that is answered by 257. What
// comes before may be the final reply to the transfer: it returns the first one if final is
// zero, or in doubt.
func (c *Conn) Realign(ctx context.Context, final ftp.Reply, doubt bool) (ftp.Reply, error) {
	pwd := ftp.Command{Verb: "PWD"}
	if err := c.Write(pwd); err != nil {
		return final, err
	}
	for {
		r, err := c.Next(ctx, pwd)
		switch {
		case err != nil:
			return final, err
		case r.Code == 257:
			return final, nil
		case r.Code.Class() == ftp.Preliminary, r.Code == 200, IsUnknown(r):
		case final.Code == 0, doubt:
			final, doubt = r, false
		}
	}
}

// IsUnknown reports whether a reply says that a command is unknown, unimplemented or
// untimely. After an ABOR, such a reply answers the ABOR and not the transfer.
func IsUnknown(r ftp.Reply) bool { return r.Code/10 == 50 }
