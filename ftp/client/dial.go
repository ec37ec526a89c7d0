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

// Dial connects to the server at addr, "host:port" or "host" for port 21, logs
// in, and asks for its features. ctx bounds the dialing and the login only. o
// may be nil. A server that can't be reached is a *ConnectError, a refused login
// an *ftp.Error whose Verb is USER, PASS or ACCT, one that TLS can't be had of a
// *TLSError.
func Dial(ctx context.Context, addr string, o *Options) (*Client, error) {
	c, err := Connect(ctx, addr, o)
	if err != nil {
		return nil, err
	}
	return c.loggedIn(ctx)
}

// New is Dial over a connection that is there already: over a tunnel, or in a test. addr,
// host and port, is what errors call the server, and its host is whom the certificate has to
// be for; data connections go to the other end of conn. The Client closes conn, also when New
// fails.
func New(ctx context.Context, conn net.Conn, addr string, o *Options) (*Client, error) {
	c, err := newClient(o)
	if err == nil {
		err = c.greet(ctx, pi.New(conn, addr, c.piConfig()))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c.loggedIn(ctx)
}

// Connect is Dial without the login: it waits for the greeting, and puts the connection under
// TLS if the Options say so. Greeting, TLS and Command, for a FEAT perhaps, tell more about the
// server before Login gives it a password. Everything else needs a Login.
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

// Login logs in over a connection of Connect, and asks for the server's features. An empty user
// is anonymous. After a refusal, an *ftp.Error whose Verb is USER, PASS or ACCT, another one may
// be tried.
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

// loggedIn is c after the login that the Options say.
func (c *Client) loggedIn(ctx context.Context) (*Client, error) {
	if err := c.Login(ctx, c.opts.User, c.opts.Password); err != nil {
		_ = c.die(err)
		_ = c.pi.Close()
		return nil, err
	}
	return c, nil
}

// until runs f, and ends the connection when ctx ends before it.
func (c *Client) until(ctx context.Context, f func() error) error {
	hangUp := context.AfterFunc(ctx, func() { _ = c.die(context.Cause(ctx)) })
	err := f()
	if !hangUp() {
		return context.Cause(ctx)
	}
	return err
}

// anonymous is the user name of a login without an account (RFC 1635).
const anonymous = "anonymous"

// newClient is a Client without a connection.
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

// piConfig is how the control connection is made.
func (c *Client) piConfig() pi.Config {
	return pi.Config{
		Timeout: c.opts.Timeout, WorkTimeout: c.opts.WorkTimeout, Charset: c.opts.Charset,
		TLS: c.opts.TLSConfig, Dial: c.opts.Dial, Observer: c.opts.Observer,
	}
}

// greet takes over a control connection that was just made, up to the greeting and TLS. After
// an error it is closed.
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
	err := c.until(ctx, func() error { return c.isGreeted(ctx) })
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

func (c *Client) isGreeted(ctx context.Context) error {
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

// activePorts are the ActivePorts to listen in; nil: any free port.
func (o *Options) activePorts() (*dtp.Ports, error) {
	if o.ActivePorts.IsZero() {
		return nil, nil
	}
	ports, err := dtp.NewPorts(o.ActivePorts)
	if err != nil {
		return nil, err
	}
	ports.Close() // keep none open between transfers: other programs may use the range
	return ports, nil
}

// address returns the server's address as far as it is known, else 0.0.0.0: a dialer of
// the Options may lead through a proxy, and then the control connection has the proxy's.
func (c *Client) address() netip.Addr {
	if c.opts.Dial != nil && c.pi.Addr() != c.pi.Peer().String() {
		return netip.IPv4Unspecified()
	}
	return c.pi.Peer().Addr().WithZone("")
}

// dataConfig says how data connections are made. Through a proxy they go to the
// control host by the name that Dial got, as only the proxy may know its address.
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

// logIn is all from USER to FEAT.
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

// learn asks what the server can do (RFC 2389) and for names in UTF-8 (RFC 2640), whose
// refusal changes nothing. Where it costs no round trip it asks for the directory, too.
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

// TLS describes the TLS of the control connection; false if it is clear.
func (c *Client) TLS() (tls.ConnectionState, bool) { return c.pi.TLS() }
