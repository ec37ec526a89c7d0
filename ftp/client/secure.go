package client

import (
	"context"
	"crypto/tls"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// auth asks for TLS and makes the handshake. Nothing but a 234 will do: no other
// answer makes the Client go on in the clear.
func (c *Client) auth(ctx context.Context) error {
	r, err := c.exchange(ctx, "AUTH", "TLS")
	if err != nil {
		return err
	}
	if r.Code != 234 {
		return &TLSError{Err: &ftp.Error{Verb: "AUTH", Reply: r}}
	}
	if err := c.startTLS(ctx); err != nil {
		return err
	}
	select {
	case c.secured <- c.conn:
	case <-c.quit:
	}
	return nil
}

// startTLS puts the control connection under TLS. Nobody reads from it meanwhile.
func (c *Client) startTLS(ctx context.Context) error {
	security := dtp.ClientSecurity(c.opts.TLSConfig, c.host)
	stop := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := security.Control(c.raw, time.Now().Add(c.opts.Timeout))
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.die(err)
		return err
	}
	c.security, c.conn = security, conn
	c.tell(ftp.ControlSecured{TLS: dtp.Describe(conn.ConnectionState())})
	return nil
}

// protect puts the data connections under TLS, too (RFC 4217 §8, §9). Servers that
// speak TLS first may refuse what goes without saying there (MS-FTPS).
func (c *Client) protect(ctx context.Context) error {
	if c.security == nil {
		return nil
	}
	replies, err := c.doAll(ctx, ftp.Command{Verb: "PBSZ", Arg: "0"}, ftp.Command{Verb: "PROT", Arg: "P"})
	if err != nil {
		return err
	}
	if no := refusal("PROT", replies[1]); no != nil && c.opts.TLS == ExplicitTLS {
		return &TLSError{Data: true, Err: no}
	}
	c.data.Protect(c.security)
	return nil
}

// TLS describes the TLS of the control connection; false if it is clear.
func (c *Client) TLS() (tls.ConnectionState, bool) {
	conn, ok := c.conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return conn.ConnectionState(), true
}
