package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// Dial connects to the server at addr ("host:port", or "host" for port 21), logs in, and asks
// for its features. ctx limits only the dialing and the login. o may be nil. The error is a
// *ConnectError if the server can't be reached, an *ftp.Error whose Verb is USER, PASS or ACCT if
// it refuses the login, and a *TLSError if TLS can't be established.
func Dial(ctx context.Context, addr string, o *Options) (*Client, error) {
	c, err := Connect(ctx, addr, o)
	if err != nil {
		return nil, err
	}
	return c.finishDial(ctx)
}

// New is like Dial over an existing connection, such as a tunnel or one end of a pipe in a test.
// addr is "host:port": errors name it, and the server's certificate must be valid for its host.
// Data connections go to the remote address of conn. The Client closes conn, also when New fails.
func New(ctx context.Context, conn net.Conn, addr string, o *Options) (*Client, error) {
	c, err := newClient(o)
	if err == nil {
		err = c.greet(ctx, pi.New(conn, addr, c.piConfig()))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c.finishDial(ctx)
}

// Connect is like Dial without the login. It waits for the greeting and starts TLS if the
// Options ask for it. A caller can then inspect the server with Greeting, TLS and Command (for
// FEAT, for example) before Login sends it a password. All other methods need a Login first.
func Connect(ctx context.Context, addr string, o *Options) (*Client, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	conn, err := pi.Dial(ctx, addr, c.piConfig())
	if err != nil {
		return nil, err
	}
	if err := c.greet(ctx, conn); err != nil {
		return nil, err
	}
	return c, nil
}

// Login logs in over a connection made by Connect, and asks for the server's features. An empty
// user means anonymous. If the server refuses, the error is an *ftp.Error whose Verb is USER, PASS
// or ACCT, and the caller may call Login again with other credentials.
func (c *Client) Login(ctx context.Context, user, password string) error {
	u := pi.User{Name: user, Password: password, Account: c.opts.Account}
	if err := u.Check(); err != nil {
		return err
	}
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	c.opts.User, c.opts.Password = cmp.Or(user, anonymous), password
	return c.until(ctx, func() error { return c.logIn(ctx, u) })
}

// finishDial logs in as the Options say and returns c. It closes c if the login fails.
func (c *Client) finishDial(ctx context.Context) (*Client, error) {
	if err := c.Login(ctx, c.opts.User, c.opts.Password); err != nil {
		_ = c.die(err)
		_ = c.pi.Close()
		return nil, err
	}
	return c, nil
}

// until runs f. If ctx ends first, it closes the connection and returns the cause.
func (c *Client) until(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.die(context.Cause(ctx)) })
	err := f()
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

// anonymous is the user name of a login without credentials (RFC 1635).
const anonymous = "anonymous"

// newClient returns a Client that has no connection yet.
func newClient(o *Options) (*Client, error) {
	c := &Client{connection: &connection{history: new(history)}}
	if o != nil {
		c.opts = *o
	}
	if c.opts.history != nil {
		c.history = c.opts.history
	}
	if c.opts.Timeout <= 0 {
		c.opts.Timeout = DefaultTimeout
	}
	c.opts.User = cmp.Or(c.opts.User, anonymous)
	u := pi.User{Name: c.opts.User, Password: c.opts.Password, Account: c.opts.Account}
	if err := u.Check(); err != nil {
		return nil, err
	}
	return c, c.preparePorts()
}

// piConfig returns the configuration of the control connection.
func (c *Client) piConfig() pi.Config {
	return pi.Config{
		Timeout: c.opts.Timeout, WorkTimeout: c.opts.WorkTimeout, Charset: c.opts.Charset,
		TLS: c.opts.TLSConfig, Dial: c.opts.Dial, Observer: c.opts.Observer,
	}
}

// greet takes over a new control connection, waits for the greeting and starts TLS. If it
// fails, it closes the connection.
func (c *Client) greet(ctx context.Context, conn *pi.Conn) error {
	c.pi = conn
	c.rate = dtp.NewRate(c.opts.Rate)
	c.data = dtp.NewManager(c.dataConfig(), conn.Control().Local, conn.Peer(), conn.Tell)
	if c.opts.TLS == ImplicitTLS {
		if err := conn.StartTLS(ctx); err != nil {
			return err
		}
	}
	conn.Watch()
	err := c.until(ctx, func() error { return c.readGreeting(ctx) })
	if err == nil {
		return nil
	}
	_ = c.die(err)
	_ = conn.Close()
	var dead *DeadError
	if c.greeting.Code == 0 && errors.As(err, &dead) && !isReply(dead.Err) {
		return &ConnectError{Addr: conn.Addr(), Err: dead.Err}
	}
	return err
}

// readGreeting reads the greeting and, for ExplicitTLS, starts TLS.
func (c *Client) readGreeting(ctx context.Context) error {
	r, err := c.pi.Greeting(ctx)
	if err != nil {
		return err
	}
	c.greeting = r
	c.batcher = isBatcher(r)
	switch {
	case r.Code.Class() != ftp.Completion:
		return &ftp.Error{Reply: r}
	case c.opts.TLS == ExplicitTLS:
		return c.pi.AuthTLS(ctx)
	}
	return nil
}

func (c *Client) preparePorts() (err error) {
	if c.ports = c.opts.ports; c.ports == nil {
		c.ports, err = c.opts.activePorts()
	}
	return err
}

// activePorts returns the ports that ActivePorts allows. nil means any free port.
func (o *Options) activePorts() (*dtp.Ports, error) {
	if o.ActivePorts.IsZero() {
		return nil, nil
	}
	ports, err := dtp.NewPorts(o.ActivePorts)
	if err != nil {
		return nil, err
	}
	ports.Close() // keep none open between transfers, because other programs may use the range
	return ports, nil
}

// address returns the server's address, or 0.0.0.0 if it is not known: with Options.Dial the
// connection may go to a proxy, and its remote address is that of the proxy.
func (c *Client) address() netip.Addr {
	if c.opts.Dial != nil && c.pi.Addr() != c.pi.Peer().String() {
		return netip.IPv4Unspecified()
	}
	return c.pi.Peer().Addr().WithZone("")
}

// dataConfig returns the configuration of data connections. With Options.Dial they go to the
// control connection's host by the name that Dial got, because a proxy may be the only one that
// knows its address.
func (c *Client) dataConfig() *dtp.Config {
	cfg := &dtp.Config{
		Side: ftp.UserPI, Ports: c.ports, Timeout: c.opts.Timeout,
		Guard: dtp.Guard{DialAnyHost: c.opts.TrustPassiveHost},
	}
	if c.opts.Dial == nil {
		return cfg
	}
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err == nil && to.Addr() == c.pi.Peer().Addr() {
			address = net.JoinHostPort(c.pi.Host(), fmt.Sprint(to.Port()))
		}
		return c.opts.Dial(ctx, network, address)
	}
	return cfg
}

// logIn sends USER, PASS and ACCT, protects the data connections if TLS is in use, and asks for
// the features.
func (c *Client) logIn(ctx context.Context, u pi.User) error {
	if err := c.pi.Login(ctx, u); err != nil {
		return err
	}
	if security := c.pi.Security(); security != nil {
		if err := c.pi.Protect(ctx, c.opts.TLS == ExplicitTLS, c.batches()); err != nil {
			return err
		}
		c.data.Protect(security)
	}
	return c.learn(ctx)
}

// learn asks for the server's features (RFC 2389) and for names in UTF-8 (RFC 2640). The server
// may refuse both. If commands can be sent in one write, learn also asks for the current directory.
func (c *Client) learn(ctx context.Context) error {
	cmds := []ftp.Command{{Verb: "FEAT"}}
	if c.opts.Charset == nil {
		cmds = append(cmds, ftp.Command{Verb: "OPTS", Arg: "UTF8 ON"})
	}
	if c.batches() {
		cmds = append(cmds, ftp.Command{Verb: "PWD"})
	}
	replies, err := c.doAll(ctx, cmds...)
	if err != nil {
		return err
	}
	c.features = ftp.ParseFeatures(replies[0])
	if last := len(cmds) - 1; cmds[last].Verb == "PWD" && replies[last].Code == 257 {
		c.cwd, _ = ftp.Parse257(replies[last].Text())
	}
	return nil
}

// TLS returns the state of TLS on the control connection, and false if it has no TLS.
func (c *Client) TLS() (tls.ConnectionState, bool) { return c.pi.TLS() }
