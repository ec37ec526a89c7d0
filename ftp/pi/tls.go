package pi

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// AuthTLS asks for TLS and makes the handshake (RFC 4217 §4). Nothing but a 234 will do: no
// other answer is taken for leave to go on in the clear.
func (c *Conn) AuthTLS(ctx context.Context) error {
	r, err := c.Exchange(ctx, "AUTH", "TLS")
	if err != nil {
		return err
	}
	if r.Code != 234 {
		return &TLSError{Err: &ftp.Error{Verb: "AUTH", Reply: r}}
	}
	if err = c.StartTLS(ctx); err == nil && c.ahead != nil {
		select {
		case c.ahead.secured <- struct{}{}:
		case <-c.ahead.quit:
		}
	}
	return err
}

// Protect asks for data connections under TLS, too (RFC 4217 §8, §9), in one write if batch.
// Servers that speak TLS first may refuse what goes without saying there (MS-FTPS); with
// explicit TLS a refusal is a *TLSError.
func (c *Conn) Protect(ctx context.Context, explicit, batch bool) error {
	replies, err := c.All(ctx, batch, ftp.Command{Verb: "PBSZ", Arg: "0"}, ftp.Command{Verb: "PROT", Arg: "P"})
	if err != nil {
		return err
	}
	if no := Refusal("PROT", replies[1]); no != nil && explicit {
		return &TLSError{Data: true, Err: no}
	}
	return nil
}

// StartTLS puts the connection under TLS at once, before Watch, where no AUTH comes before it
// (port 990). A handshake that fails is a *TLSError, and the end of the connection.
func (c *Conn) StartTLS(ctx context.Context) error {
	security := dtp.ClientSecurity(c.cfg.TLS, c.host)
	stop := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := security.Control(c.raw, time.Now().Add(c.cfg.Timeout))
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.Fail(err)
		return err
	}
	c.security, c.conn, c.lines = security, conn, ftp.NewLineReader(wire{c}, maxLine)
	c.Tell(ftp.ControlSecured{TLS: dtp.Describe(conn.ConnectionState())})
	return nil
}
