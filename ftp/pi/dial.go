package pi

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"miniftp/ftp"
)

// Config is how a control connection is made and what it waits for. The zero value is ready
// for use.
type Config struct {
	// Timeout is how long nothing may happen while connecting or waiting for a reply; 0 is
	// DefaultTimeout.
	Timeout time.Duration
	// WorkTimeout is how long the server may be silent before it answers what takes work:
	// the end of an upload, HASH, RNTO. 0 is DefaultWorkTimeout, or Timeout if that is longer.
	WorkTimeout time.Duration
	// Charset is the encoding of names in a server that does not write them in UTF-8;
	// nil: as they are.
	Charset Charset
	// TLS holds roots, a client certificate and the like for StartTLS; nil trusts the
	// system's roots. The server's name is that of Dial unless ServerName is set.
	TLS *tls.Config
	// Dial replaces the dialer, for a proxy. It is given the host as Dial got it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Observer is told what happens; see ftp.Observer.
	Observer ftp.Observer
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.WorkTimeout <= 0 {
		c.WorkTimeout = max(DefaultWorkTimeout, c.Timeout)
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	return c
}

// Dial connects to the server at addr, "host:port" or "host" for port 21. ctx bounds the
// dialing only. A server that can't be reached is a *ConnectError, unless ctx ended: then
// the error is its cause.
func Dial(ctx context.Context, addr string, cfg Config) (*Conn, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "21")
	}
	cfg = cfg.withDefaults()
	late := fmt.Errorf("%w within %v", ErrTimeout, cfg.Timeout)
	dialCtx, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, late)
	defer cancel()
	conn, err := cfg.Dial(dialCtx, "tcp", addr)
	if err == nil {
		return New(conn, addr, cfg), nil
	}
	if end, ok := dialCtx.Deadline(); ok && !time.Now().Before(end) {
		<-dialCtx.Done() // the dialer's clock was a moment ahead: whose limit it was, is known now
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if dialCtx.Err() != nil {
		err = late
	}
	err = Cause(err)
	failed := &Conn{cfg: cfg, control: &ftp.Control{ID: lastID.Add(1), Side: ftp.UserPI}}
	failed.Tell(ftp.DialFailed{Addr: addr, Err: err})
	return nil, &ConnectError{Addr: addr, Err: err}
}
