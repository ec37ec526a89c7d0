package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

var lastID atomic.Uint64

// Dial connects to the server at addr, "host:port" or "host" for port 21, logs
// in, and asks for its features. ctx bounds the dialing and the login only. o
// may be nil. A server that can't be reached is a *ConnectError, a refused login
// an *ftp.Error whose Verb is USER, PASS or ACCT, one that TLS can't be had of a
// *TLSError.
func Dial(ctx context.Context, addr string, o *Options) (*Client, error) {
	c := &Client{connection: &connection{
		history: new(history), replies: make(chan ftp.Reply, 4), secured: make(chan net.Conn), quit: make(chan struct{}),
	}}
	if o != nil {
		c.opts = *o
	}
	if c.opts.history != nil {
		c.history = c.opts.history
	}
	if c.opts.Timeout <= 0 {
		c.opts.Timeout = DefaultTimeout
	}
	if c.opts.User == "" {
		c.opts.User = "anonymous"
	}
	if c.opts.Password == "" && (c.opts.User == "anonymous" || c.opts.User == "ftp") {
		c.opts.Password = "anonymous@"
	}
	if err := sendable(c.opts.User); err != nil {
		return nil, err
	}
	if sendable(c.opts.Password, c.opts.Account) != nil { // never quoted
		return nil, fmt.Errorf("the password: %w", ftp.ErrLineBreak)
	}
	if err := c.preparePorts(); err != nil {
		return nil, err
	}
	if err := c.connect(ctx, addr); err != nil {
		return nil, err
	}
	hangUp := context.AfterFunc(ctx, func() { _ = c.die(context.Cause(ctx)) })
	err := c.logIn(ctx)
	if !hangUp() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.die(err)
		c.stopped.Wait()
		var dead *DeadError
		if c.greeting.Code == 0 && errors.As(err, &dead) && !isReply(dead.Err) {
			return nil, &ConnectError{Addr: c.addr, Err: dead.Err}
		}
		return nil, err
	}
	return c, nil
}

func (c *Client) preparePorts() (err error) {
	if c.ports = c.opts.ports; c.ports == nil {
		c.ports, err = c.opts.activePorts()
	}
	return err
}

// activePorts are the ActivePorts to listen in; nil: any free port.
func (o *Options) activePorts() (*dtp.Ports, error) {
	lo, hi := o.ActivePorts[0], o.ActivePorts[1]
	if lo == 0 && hi == 0 {
		return nil, nil
	}
	ports, err := dtp.NewPorts(lo, hi)
	if err != nil {
		return nil, err
	}
	ports.Close() // keep none open between transfers: other programs may use the range
	return ports, nil
}

// connect makes the control connection and begins to read replies from it.
func (c *Client) connect(ctx context.Context, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.Trim(addr, "[]")
		addr = net.JoinHostPort(host, "21")
	}
	dial := c.opts.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	late := fmt.Errorf("%w within %v", ErrTimeout, c.opts.Timeout)
	dialCtx, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, late)
	defer cancel()
	conn, err := dial(dialCtx, "tcp", addr)
	if err != nil {
		if end, ok := dialCtx.Deadline(); ok && !time.Now().Before(end) {
			<-dialCtx.Done() // the dialer's clock was a moment ahead: whose limit it was, is known now
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if dialCtx.Err() != nil {
			err = late
		}
		err = plainly(err)
		c.control = &ftp.Control{ID: lastID.Add(1), Side: ftp.UserPI}
		c.tell(ftp.DialFailed{Addr: addr, Err: err})
		return &ConnectError{Addr: addr, Err: err}
	}
	c.raw, c.conn, c.host, c.addr = conn, conn, host, addr
	c.control = &ftp.Control{
		ID: lastID.Add(1), Side: ftp.UserPI,
		Local: dtp.AddrPort(conn.LocalAddr()), Remote: dtp.AddrPort(conn.RemoteAddr()),
	}
	c.rate = dtp.NewRate(c.opts.Rate)
	c.peer = c.control.Remote
	if !c.peer.IsValid() { // a proxy's connection has no address of its own
		c.peer = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	c.data = dtp.NewManager(c.dataConfig(), c.control.Local, c.peer, c.tell)
	c.tell(ftp.ControlOpened{})
	if c.opts.TLS == ImplicitTLS {
		if err := c.startTLS(ctx); err != nil {
			return err
		}
	}
	c.stopped.Go(c.readReplies)
	return nil
}

// address returns the server's address as far as it is known, else 0.0.0.0: a dialer of
// the Options may lead through a proxy, and then the control connection has the proxy's.
func (c *Client) address() netip.Addr {
	if c.opts.Dial != nil && c.addr != c.peer.String() {
		return netip.IPv4Unspecified()
	}
	return c.peer.Addr().WithZone("")
}

// plainly is what went wrong with a dial, without the address, which is named
// already, and the call.
func plainly(err error) error {
	var name *net.DNSError
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case errors.As(err, &name):
		return nameError{name}
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}

// nameError is a host name that could not be looked up.
type nameError struct{ err *net.DNSError }

func (e nameError) Error() string {
	if e.err.IsNotFound {
		return "there is no host of that name"
	}
	return "the name can't be looked up: " + e.err.Err
}

func (e nameError) Unwrap() error { return e.err }

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
		if err == nil && to.Addr() == c.peer.Addr() {
			address = net.JoinHostPort(c.host, fmt.Sprint(to.Port()))
		}
		return c.opts.Dial(ctx, network, address)
	}
	return cfg
}

// logIn is the access sequence: greeting, USER, PASS, ACCT, each only if asked
// for (RFC 959 §5.4), then FEAT.
func (c *Client) logIn(ctx context.Context) error {
	r, err := c.answer(ctx, ftp.Command{})
	if err != nil {
		return err
	}
	c.greeting = r
	c.batcher = isBatcher(r)
	if r.Code.Class() != ftp.Completion {
		return &ftp.Error{Reply: r}
	}
	if c.opts.TLS == ExplicitTLS {
		if err := c.auth(ctx); err != nil {
			return err
		}
	}
	steps := []ftp.Command{{Verb: "USER", Arg: c.opts.User}, {Verb: "PASS", Arg: c.opts.Password}, {Verb: "ACCT", Arg: c.opts.Account}}
	for next := 0; ; {
		step := steps[next]
		if r, err = c.do(ctx, step.Verb, step.Arg); err != nil {
			return err
		}
		switch {
		case r.Code.Class() == ftp.Completion:
			c.tell(ftp.LoggedInAs{User: c.opts.User})
			if err := c.protect(ctx); err != nil {
				return err
			}
			return c.learn(ctx)
		case r.Code == 331 && next == 0:
			next = 1
		case r.Code == 332 && next < 2 && c.opts.Account != "":
			next = 2
		default:
			return &ftp.Error{Verb: step.Verb, Reply: r}
		}
	}
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
