package pi

import (
	"context"
	"fmt"

	"miniftp/ftp"
)

// Abort ends the transfer of cmd with ABOR. The server should send a reply to the transfer and one to ABOR (RFC
// 959 §4.1.3), but some send one for both, some send three, and some do not support ABOR. So
// Abort then sends PWD: every reply before its 257 belongs to the transfer. If there was no reply to the
// transfer it may still arrive, and the connection is closed.
//
// final is the reply to the transfer, or zero. other is called with each final reply. Its result is tells whether
// the reply answers another command, such as NOOP, and doubt whether that is uncertain: then a later reply
// replaces this one. If other is nil, each reply is the transfer's. The error is not nil if the connection was
// lost meanwhile.
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

// Realign brings commands and replies back into step: it sends PWD and reads up to the 257, which answers
// nothing else. A reply before the 257 may be the final one to the transfer. If final is zero or in doubt, Realign
// returns the first such reply, if there is one, and otherwise final.
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

// IsUnknown reports whether a reply means that a command is unknown, not implemented or out of sequence. After
// ABOR such a reply answers the ABOR, not the transfer.
func IsUnknown(r ftp.Reply) bool { return r.Code/10 == 50 }
