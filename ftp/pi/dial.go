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

// Config configures a control connection. The zero value is ready to use.
type Config struct {
	// Timeout is how long connecting may take, and how long the server may be silent while a reply is expected.
	// 0: DefaultTimeout.
	Timeout time.Duration
	// WorkTimeout is how long the server may be silent before it answers a command that takes work: the end of
	// an upload, HASH, RNTO. 0: DefaultWorkTimeout, or Timeout if that is longer.
	WorkTimeout time.Duration
	// Charset is the encoding of file names, for a server that does not use UTF-8; nil: names are not converted.
	Charset Charset
	// TLS is the configuration for StartTLS: roots, a client certificate and so on. nil: the system's roots.
	// The server's certificate must be valid for the dialed host, unless ServerName is set.
	TLS *tls.Config
	// Dial replaces the dialer, for example with that of a proxy. Host names are not resolved before.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Observer receives the events of the connection; see ftp.Observer.
	Observer ftp.Observer
}

// withDefaults returns c with defaults in place of zero values.
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

// Dial connects to the server at addr, "host:port", or "host" for port 21. ctx applies to dialing only. If the
// server can't be reached the error is a *ConnectError; if ctx ends it is its cause.
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
		<-dialCtx.Done() // the dialer may notice the deadline a moment earlier; which limit it was is known now
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
