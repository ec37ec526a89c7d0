package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

// userPI is a bare client: what it does costs the processor as little as can be, as
// the server runs on the same one. It has no deadlines; the end of its context closes
// whatever it waits for. It is used by one goroutine.
type userPI struct {
	b       *benchmark
	ctx     context.Context
	tcp     net.Conn
	conn    net.Conn // tcp, or TLS over it
	lines   *ftp.LineReader
	out     []byte      // of the last command
	secured *tls.Config // of data connections; nil: they are clear
	peer    netip.Addr  // the server
	local   netip.Addr
	moved   func() // is told when something happened; nil: nobody
	unhook  func() bool

	greeting ftp.Reply
	version  string // of TLS; "" without it

	listens net.Listener // the data connection that was agreed on: in active mode
	data    net.Conn     // and in passive mode
	over    bool         // the transfer has had its last reply
	mu      sync.Mutex   // of held
	held    io.Closer    // what the end of ctx closes beside conn
}

// maxListLine bounds a line of a reply.
const maxListLine = 8 << 10

// connect dials the server and waits for nothing.
func (b *benchmark) connect(ctx context.Context) (*userPI, error) {
	conn, err := b.call(ctx)
	if err != nil {
		return nil, dialProblem(ctx, &client.ConnectError{Addr: b.r.Addr, Err: connect.PlainCause(err)}, err)
	}
	u := &userPI{b: b, ctx: ctx, tcp: conn, conn: conn, peer: connect.TCPAddr(conn.RemoteAddr()).Addr(), local: connect.TCPAddr(conn.LocalAddr()).Addr()}
	u.lines = ftp.NewLineReader(conn, maxListLine)
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
func (b *benchmark) enter(ctx context.Context) (*userPI, error) {
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
func (u *userPI) logIn() (err error) {
	mode := u.b.opts.TLS
	if mode == client.ImplicitTLS {
		if err = u.startTLS(); err != nil {
			return err
		}
	}
	if u.greeting, err = ftp.ReadReply(u.lines); err != nil {
		return &client.ConnectError{Addr: u.b.r.Addr, Err: u.lost(err)}
	}
	if u.greeting.Code.Class() != ftp.Completion {
		return &ftp.Error{Reply: u.greeting}
	}
	if mode == client.ExplicitTLS {
		code, text, err := u.ask("AUTH", "TLS")
		if err == nil && code != 234 {
			err = &client.TLSError{Err: &ftp.Error{Verb: "AUTH", Reply: ftp.NewReply(code, string(text))}}
		}
		if err != nil {
			return err
		}
		if u.lines.Buffered() > 0 {
			return &client.TLSError{Err: errors.New("bytes came in the clear behind the answer to AUTH")}
		}
		if err = u.startTLS(); err != nil {
			return err
		}
	}
	return u.access()
}

// access is USER, PASS and ACCT, each only if asked for.
func (u *userPI) access() error {
	o := &u.b.opts
	code, text, err := u.ask("USER", o.User)
	verb := "USER"
	if err == nil && code == 331 {
		verb = "PASS"
		code, text, err = u.ask("PASS", o.Password)
	}
	if err == nil && code == 332 && o.Account != "" {
		verb = "ACCT"
		code, text, err = u.ask("ACCT", o.Account)
	}
	if err == nil && code.Class() != ftp.Completion {
		err = &ftp.Error{Verb: verb, Reply: ftp.NewReply(code, string(text))}
	}
	return err
}

// startTLS makes the handshake. Every session has sessions of its own to resume, as
// every client would.
func (u *userPI) startTLS() error {
	cfg := u.b.opts.TLSConfig.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = u.b.host
	}
	cfg.ClientSessionCache = keptSessions{tls.NewLRUClientSessionCache(4)}
	u.secured = cfg.Clone()
	cfg.NextProtos = []string{"ftp"}
	conn := tls.Client(u.conn, cfg)
	if err := u.shakeHands(conn, false); err != nil {
		return err
	}
	u.version = tls.VersionName(conn.ConnectionState().Version)
	u.conn, u.lines = conn, ftp.NewLineReader(conn, maxListLine)
	return nil
}

// keptSessions keeps a TLS session whatever becomes of a handshake with it.
type keptSessions struct{ tls.ClientSessionCache }

// Put is that of the cache; a nil session says to drop the one that is there.
func (s keptSessions) Put(key string, state *tls.ClientSessionState) {
	if state != nil {
		s.ClientSessionCache.Put(key, state)
	}
}

// shakeHands makes a TLS connection ready.
func (u *userPI) shakeHands(conn *tls.Conn, data bool) error {
	err := conn.HandshakeContext(context.Background()) // cut ends it
	if err == nil {
		return nil
	}
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	if said, ok := dtp.Alert(err); ok {
		err = errors.New("the server refuses: " + said)
	}
	return &client.TLSError{Data: data, Err: connect.PlainCause(err)}
}

// work makes the session ready for transfers in a directory; "" is that of the login.
func (u *userPI) work(dir string) error {
	if u.secured != nil {
		if _, _, err := u.ask("PBSZ", "0"); err != nil {
			return err
		}
		if err := u.do("PROT", "P"); err != nil && u.b.opts.TLS == client.ExplicitTLS {
			return &client.TLSError{Data: true, Err: err}
		}
	}
	if err := u.do("TYPE", "I"); err != nil || dir == "" {
		return err
	}
	return u.do("CWD", dir)
}

// ask sends a command and waits for one reply; see reply.
func (u *userPI) ask(verb, arg string) (ftp.Code, []byte, error) {
	if err := u.send(verb, arg); err != nil {
		return 0, nil, err
	}
	return u.reply(verb)
}

// do is ask with a refusal as an *ftp.Error.
func (u *userPI) do(verb, arg string) error {
	code, text, err := u.ask(verb, arg)
	return refusedBy(verb, code, text, err)
}

// refusedBy is the error of a reply, if it says no.
func refusedBy(verb string, code ftp.Code, text []byte, err error) error {
	if c := code.Class(); err == nil && (c == ftp.TransientFail || c == ftp.PermanentFail) {
		err = &ftp.Error{Verb: verb, Reply: ftp.NewReply(code, string(text))}
	}
	return err
}

func (u *userPI) send(verb, arg string) (err error) {
	if u.out, err = (ftp.Command{Verb: verb, Arg: arg}).Append(u.out[:0]); err == nil {
		_, err = u.conn.Write(u.out)
		err = u.lost(err)
	}
	return err
}

// reply reads one reply, without taking memory for it. Of its text the last line is
// given, which holds until the next call.
func (u *userPI) reply(verb string) (code ftp.Code, text []byte, err error) {
	for n := range ftp.MaxReplyLines {
		line, err := u.lines.ReadLine()
		if err != nil {
			return 0, nil, u.lost(err)
		}
		c, more, ok := replyLine(line)
		if n == 0 {
			if !ok {
				return 0, nil, &client.DeadError{Err: errors.New("what the server says is no reply")}
			}
			code = c
		}
		if ok && c == code && !more {
			if u.moved != nil {
				u.moved()
			}
			text = line[min(len(line), 4):]
			if code == 421 {
				return 0, nil, &ftp.Error{Verb: verb, Reply: ftp.NewReply(code, string(text))}
			}
			return code, text, nil
		}
	}
	return 0, nil, &client.DeadError{Err: ftp.ErrReplyTooLong}
}

// replyLine takes the code off a line; more follows behind a dash.
func replyLine(line []byte) (code ftp.Code, more, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		code = code*10 + ftp.Code(c-'0')
	}
	return code, len(line) > 3 && line[3] == '-', code >= 100
}

// lost is the error of a control connection that can't be used any more.
func (u *userPI) lost(err error) error {
	switch {
	case err == nil:
		return nil
	case u.ctx.Err() != nil:
		return context.Cause(u.ctx)
	}
	if said, ok := dtp.Alert(err); ok {
		return &client.TLSError{Err: errors.New("the server refuses: " + said)}
	}
	return &client.DeadError{Err: connect.PlainCause(err)}
}

// cut closes all connections at once.
func (u *userPI) cut() {
	u.unhook()
	u.sever()
}

func (u *userPI) sever() {
	u.mu.Lock()
	held := u.held
	u.mu.Unlock()
	if held != nil {
		_ = held.Close()
	}
	_ = u.tcp.Close() // below TLS, whose Close would wait for whoever writes
}

// quit takes leave of the server.
func (u *userPI) quit() error {
	err := u.do("QUIT", "")
	u.cut()
	return err
}

// hold has c closed when the context ends; nil lets go of the last one.
func (u *userPI) hold(c io.Closer) error {
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
