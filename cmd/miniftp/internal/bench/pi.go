package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// session is one client: a control connection without observers, and bare sockets for data, to use as little
// processor time as possible. It has no deadlines; when its context ends, all its connections are closed. It is
// used by one goroutine.
type session struct {
	b      *benchmark
	ctx    context.Context
	pi     *pi.Conn
	peer   netip.Addr // the server's
	local  netip.Addr
	moved  func() // called at each sign of progress; may be nil
	unhook func() bool

	greeting ftp.Reply

	listener net.Listener // in active mode, the port for the next data connection
	data     net.Conn     // the data connection
	over     bool         // the final reply to the transfer has been read
	mu       sync.Mutex   // guards held
	held     io.Closer    // is closed when ctx ends, besides the control connection
}

// forever is the timeout of control connections: instead, contexts limit the waits.
const forever = math.MaxInt64

// connect opens a control connection. It does not wait for the greeting.
func (b *benchmark) connect(ctx context.Context) (*session, error) {
	conn, err := b.dial(ctx)
	if err != nil {
		return nil, dialProblem(ctx, &client.ConnectError{Addr: b.r.Addr, Err: pi.Cause(err)}, err)
	}
	u := &session{b: b, ctx: ctx, pi: pi.New(conn, b.r.Addr, pi.Config{Timeout: forever, TLS: b.opts.TLSConfig})}
	u.peer, u.local = u.pi.Control().Remote.Addr(), u.pi.Control().Local.Addr()
	u.unhook = context.AfterFunc(ctx, u.sever)
	return u, nil
}

// dial dials the addresses of the server in order until one answers.
func (b *benchmark) dial(ctx context.Context) (conn net.Conn, err error) {
	if b.opts.Dial != nil {
		return b.opts.Dial(ctx, "tcp", b.r.Addr)
	}
	err = errors.New("the host has no address")
	for _, a := range b.addrs {
		if conn, err = b.dialer.DialContext(ctx, "tcp", a.String()); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// dialProblem returns the reason for err, an error in dialing or listening: the end of ctx, or too many open
// files. In other cases it returns otherwise.
func dialProblem(ctx context.Context, otherwise, err error) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // the dialer has the same deadline and may return a moment before ctx ends
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return &client.LocalError{Err: errors.New("too many open files on this machine: raise the limit (ulimit -n), or use fewer --sessions")}
	}
	return otherwise
}

// enter connects and logs in.
func (b *benchmark) enter(ctx context.Context) (*session, error) {
	u, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err = u.logIn(); err != nil {
		u.cut()
		return nil, err
	}
	return u, nil
}

// logIn reads the greeting, starts TLS if necessary, and logs in.
func (u *session) logIn() (err error) {
	o := &u.b.opts
	if o.TLS == client.ImplicitTLS {
		if err = u.lost(u.pi.StartTLS(u.ctx)); err != nil {
			return err
		}
	}
	if u.greeting, err = u.pi.Greeting(context.Background()); err != nil {
		return &client.ConnectError{Addr: u.b.r.Addr, Err: u.lost(err)}
	}
	if u.greeting.Code.Class() != ftp.Completion {
		return &ftp.Error{Reply: u.greeting}
	}
	if o.TLS == client.ExplicitTLS {
		if err = u.lost(u.pi.AuthTLS(u.ctx)); err != nil {
			return err
		}
	}
	return u.lost(u.pi.Login(context.Background(), pi.User{Name: o.User, Password: o.Password, Account: o.Account}))
}

// shakeHands does the TLS handshake of a data connection.
func (u *session) shakeHands(conn *tls.Conn) error {
	err := conn.HandshakeContext(context.Background()) // cut closes the connection
	if err == nil {
		return nil
	}
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	return &client.TLSError{Data: true, Err: pi.Cause(err)}
}

// enterDir prepares the session for transfers in a directory. "" means the login directory.
func (u *session) enterDir(dir string) error {
	if u.pi.Security() != nil {
		if err := u.pi.Protect(context.Background(), u.b.opts.TLS == client.ExplicitTLS, false); err != nil {
			return u.lost(err)
		}
	}
	if err := u.do("TYPE", "I"); err != nil || dir == "" {
		return err
	}
	return u.do("CWD", dir)
}

// ask sends a command and returns the next reply.
func (u *session) ask(verb, arg string) (ftp.Reply, error) {
	cmd := ftp.Command{Verb: verb, Arg: arg}
	if err := u.pi.Write(cmd); err != nil {
		return ftp.Reply{}, u.lost(err)
	}
	return u.reply(verb)
}

// do sends a command like ask, and returns an *ftp.Error if the server refuses it.
func (u *session) do(verb, arg string) error {
	r, err := u.ask(verb, arg)
	return refusedBy(verb, r, err)
}

// refusedBy returns err or, if it is nil and the reply is negative, an *ftp.Error.
func refusedBy(verb string, r ftp.Reply, err error) error {
	if err == nil {
		err = pi.Refusal(verb, r)
	}
	return err
}

// reply returns the next reply.
func (u *session) reply(verb string) (ftp.Reply, error) {
	r, err := u.pi.Next(context.Background(), ftp.Command{Verb: verb})
	if err == nil && u.moved != nil {
		u.moved()
	}
	return r, u.lost(err)
}

// lost returns err, from the control connection, or its cause if that tells the user more: the end of the
// context, a reply such as 421, or a failure of TLS.
func (u *session) lost(err error) error {
	if err == nil {
		return nil
	}
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	if dead, ok := errors.AsType[*client.DeadError](err); ok {
		if pi.IsReply(dead.Err) || errors.As(dead.Err, new(*client.TLSError)) {
			return dead.Err
		}
	}
	return err
}

// cut closes all connections of the session.
func (u *session) cut() {
	u.unhook()
	u.sever()
}

func (u *session) sever() {
	u.mu.Lock()
	held := u.held
	u.mu.Unlock()
	if held != nil {
		_ = held.Close()
	}
	_ = u.pi.Close()
}

// quit sends QUIT and closes all connections.
func (u *session) quit() error {
	err := u.do("QUIT", "")
	u.cut()
	return err
}

// hold sets what is to be closed when the context ends; c may be nil. If the context has ended already, hold
// closes c and returns the reason.
func (u *session) hold(c io.Closer) error {
	u.mu.Lock()
	u.held = c
	u.mu.Unlock()
	if c != nil && u.ctx.Err() != nil {
		_ = c.Close()
		return context.Cause(u.ctx)
	}
	return nil
}

// late returns the error for something that took longer than limit.
func late(what string, limit fmt.Stringer) error {
	return fmt.Errorf("%w: %s within %v (--timeout)", client.ErrTimeout, what, limit)
}
