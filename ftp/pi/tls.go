package pi

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// AuthTLS sends AUTH TLS and makes the handshake (RFC 4217 §4). Any reply but 234 is a *TLSError: the session does
// not continue in the clear.
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

// Protect asks for TLS on data connections (PBSZ and PROT, RFC 4217 §8, §9), in one write if batch is set. With
// explicit TLS a refusal is a *TLSError. With implicit TLS it is ignored: some servers refuse PROT there,
// since they always use TLS.
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

// StartTLS makes the TLS handshake without AUTH, as for implicit TLS (port 990). Call it before Watch. If the
// handshake fails, the error is a *TLSError and the connection is closed.
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
