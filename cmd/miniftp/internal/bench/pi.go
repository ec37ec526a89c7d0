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

// session is one client: a control connection that is not watched, and bare sockets for the
// data, as what it does costs the processor as little as can be: the server runs on the same
// one. It has no deadlines; the end of its context closes whatever it waits for. It is used by
// one goroutine.
type session struct {
	b      *benchmark
	ctx    context.Context
	pi     *pi.Conn
	peer   netip.Addr // the server
	local  netip.Addr
	moved  func() // is told when something happened; nil: nobody
	unhook func() bool

	greeting ftp.Reply

	listens net.Listener // the data connection that was agreed on: in active mode
	data    net.Conn     // and in passive mode
	over    bool         // the transfer has had its last reply
	mu      sync.Mutex   // of held
	held    io.Closer    // what the end of ctx closes beside the control connection
}

// forever is the patience of a session: the benchmark bounds its waits itself.
const forever = math.MaxInt64

// connect dials the server and waits for nothing.
func (b *benchmark) connect(ctx context.Context) (*session, error) {
	conn, err := b.call(ctx)
	if err != nil {
		return nil, dialProblem(ctx, &client.ConnectError{Addr: b.r.Addr, Err: pi.Cause(err)}, err)
	}
	u := &session{b: b, ctx: ctx, pi: pi.New(conn, b.r.Addr, pi.Config{Timeout: forever, TLS: b.opts.TLSConfig})}
	u.peer, u.local = u.pi.Control().Remote.Addr(), u.pi.Control().Local.Addr()
	u.unhook = context.AfterFunc(ctx, u.sever)
	return u, nil
}

// call makes the control connection: to the first address that answers.
func (b *benchmark) call(ctx context.Context) (conn net.Conn, err error) {
	if b.opts.Dial != nil {
		return b.opts.Dial(ctx, "tcp", b.r.Addr)
	}
	err = errors.New("the name has no address")
	for _, a := range b.addrs {
		if conn, err = b.dialer.DialContext(ctx, "tcp", a.String()); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// dialProblem is why a connection was not made: the end of its time, too many open
// files here, or else what is given.
func dialProblem(ctx context.Context, otherwise, err error) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // the dialer has the same deadline, and may be a moment earlier
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return &client.LocalError{Err: errors.New("too many open files on this side: raise the limit (ulimit -n), or use fewer --sessions")}
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

// logIn is all from the greeting to the answer to PASS.
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

// shakeHands makes the TLS of a data connection ready.
func (u *session) shakeHands(conn *tls.Conn) error {
	err := conn.HandshakeContext(context.Background()) // cut ends it
	if err == nil {
		return nil
	}
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	return &client.TLSError{Data: true, Err: pi.Cause(err)}
}

// work makes the session ready for transfers in a directory; "" is that of the login.
func (u *session) work(dir string) error {
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

// ask sends a command and waits for one reply.
func (u *session) ask(verb, arg string) (ftp.Reply, error) {
	cmd := ftp.Command{Verb: verb, Arg: arg}
	if err := u.pi.Write(cmd); err != nil {
		return ftp.Reply{}, u.lost(err)
	}
	return u.reply(verb)
}

// do is ask with a refusal as an *ftp.Error.
func (u *session) do(verb, arg string) error {
	r, err := u.ask(verb, arg)
	return refusedBy(verb, r, err)
}

// refusedBy is the error of a reply, if it says no.
func refusedBy(verb string, r ftp.Reply, err error) error {
	if err == nil {
		err = pi.Refusal(verb, r)
	}
	return err
}

// reply reads one reply.
func (u *session) reply(verb string) (ftp.Reply, error) {
	r, err := u.pi.Next(context.Background(), ftp.Command{Verb: verb})
	if err == nil && u.moved != nil {
		u.moved()
	}
	return r, u.lost(err)
}

// lost is the error of a control connection that can't be used any more: the end of the
// session's time, or the server's 421, where one of them is the cause.
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

// cut closes all connections at once.
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

// quit takes leave of the server.
func (u *session) quit() error {
	err := u.do("QUIT", "")
	u.cut()
	return err
}

// hold has c closed when the context ends; nil lets go of the last one.
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

// late is the error of what took too long.
func late(what string, limit fmt.Stringer) error {
	return fmt.Errorf("%w: %s within %v (--timeout)", client.ErrTimeout, what, limit)
}
