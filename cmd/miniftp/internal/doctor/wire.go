package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// wire is a control connection that is led by hand. A client.Client decides by itself
// which verb comes next, and gets round what goes wrong; the doctor has to choose each
// verb and to see each reply. The connection is that of package pi and the data connections
// are those of package dtp, as everywhere.
type wire struct {
	ctx    context.Context
	s      *setup
	wait   time.Duration
	pi     *pi.Conn
	steps  []step
	typ    ftp.Type
	bad    error // what nothing vouches for in the certificate
	broken bool  // the replies may be out of step: it is not used any more

	secured atomic.Pointer[ftp.TLS] // of the last data connection
}

// step is something that took time.
type step struct {
	name string
	took time.Duration
}

// setup is what all control connections of one examination have in common.
type setup struct {
	opts     client.Options
	host     string // as in the URL: certificates are for it
	dir      string
	ports    *dtp.Ports
	observer ftp.Observer
}

// corner says how a control connection is made.
type corner struct {
	addr    string // host and port
	network string // tcp4 or tcp6; tcp through a proxy
	mode    client.TLSMode
	version uint16 // of TLS
	noReuse bool   // TLS sessions are not resumed
	strict  bool   // a certificate that is not trusted is the end
}

// stage is how far a control connection came.
type stage int

const (
	atConnect stage = iota
	atGreeting
	atTLS
	atLogin
	atDir
	inside
)

// opening is what came of a corner.
type opening struct {
	w        *wire // nil if it did not come about
	stage    stage
	err      error
	greeting ftp.Reply
	cert     *tls.ConnectionState
	bad      error // what nothing vouches for in the certificate
	steps    []step
}

// open connects and logs in.
func (s *setup) open(ctx context.Context, c corner) opening {
	w := &wire{ctx: ctx, s: s, wait: s.opts.Timeout}
	o := opening{stage: atConnect}
	if o.err = w.connect(&o, c); o.err == nil {
		o.err = w.logIn(&o, c)
	}
	o.steps, o.bad = w.steps, w.bad
	if o.err != nil {
		w.hangUp()
		if ctx.Err() != nil {
			o.err = context.Cause(ctx)
		}
		return o
	}
	o.w, o.stage = w, inside
	return o
}

// dial makes a TCP connection by the network of the corner.
func (w *wire) dial(ctx context.Context, c corner) (net.Conn, error) {
	if w.s.opts.Dial != nil {
		return w.s.opts.Dial(ctx, c.network, c.addr)
	}
	return new(net.Dialer).DialContext(ctx, c.network, c.addr)
}

// connect makes the control connection. Whether a certificate is trusted is looked at
// behind the handshake: the doctor has to tell what is wrong with one that is not.
func (w *wire) connect(o *opening, c corner) (err error) {
	trusting := new(tls.Config)
	if w.s.opts.TLSConfig != nil {
		trusting = w.s.opts.TLSConfig.Clone()
	}
	if trusting.ServerName == "" {
		trusting.ServerName = w.s.host
	}
	trusting.MinVersion, trusting.MaxVersion = c.version, c.version
	trusting.InsecureSkipVerify, trusting.VerifyConnection = true, nil
	trusting.SessionTicketsDisabled = c.noReuse
	done := w.timed("connect")
	w.pi, err = pi.Dial(w.ctx, c.addr, pi.Config{
		Timeout: w.wait, TLS: trusting, Observer: w,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dial(ctx, c) },
	})
	if err == nil {
		done()
		o.stage = atGreeting
	}
	return err
}

// logIn is all from the greeting to the directory.
func (w *wire) logIn(o *opening, c corner) (err error) {
	if c.mode == client.ImplicitTLS {
		o.stage = atTLS
		if err = w.startTLS(o, c); err != nil {
			return err
		}
		o.stage = atGreeting
	}
	done := w.timed("greeting")
	if o.greeting, err = w.pi.Greeting(w.ctx); err != nil {
		return &client.ConnectError{Addr: c.addr, Err: w.provoked(c, w.lost(err))}
	}
	if err = stranger(o.greeting); err != nil {
		return &client.ConnectError{Addr: c.addr, Err: err}
	}
	done()
	if o.greeting.Code.Class() != ftp.Completion {
		return &ftp.Error{Reply: o.greeting}
	}
	if c.mode == client.ExplicitTLS {
		o.stage = atTLS
		r, err := w.say("AUTH", "TLS")
		if err != nil {
			return err
		}
		if r.Code != 234 {
			return &client.TLSError{Err: &ftp.Error{Verb: "AUTH", Reply: r}}
		}
		if err := w.startTLS(o, c); err != nil {
			return err
		}
	}
	o.stage = atLogin
	if err := w.access(); err != nil {
		return err
	}
	if w.pi.Security() != nil {
		o.stage = atTLS
		if err := w.pi.Protect(w.ctx, c.mode == client.ExplicitTLS, false); err != nil {
			return w.lost(err)
		}
	}
	if o.stage = atDir; w.s.dir != "" {
		_, err = w.do("CWD", w.s.dir)
	}
	return err
}

// startTLS makes the handshake.
func (w *wire) startTLS(o *opening, c corner) error {
	done := w.timed("TLS")
	if err := w.pi.StartTLS(w.ctx); err != nil {
		return err
	}
	done()
	cs, _ := w.pi.TLS()
	o.cert = &cs
	w.bad = vouch(w.s.opts.TLSConfig, cs, w.s.host)
	if w.bad != nil && c.strict {
		return &client.TLSError{Err: w.bad}
	}
	return nil
}

// access logs in.
func (w *wire) access() error {
	done := w.timed("login")
	o := &w.s.opts
	if err := w.pi.Login(w.ctx, pi.User{Name: o.User, Password: o.Password, Account: o.Account}); err != nil {
		return w.lost(err)
	}
	done()
	return nil
}

// timed measures a step until what it returns is called.
func (w *wire) timed(name string) (done func()) {
	start := time.Now()
	return func() { w.steps = append(w.steps, step{name, time.Since(start)}) }
}

// do is say with a refusal as an *ftp.Error.
func (w *wire) do(verb, arg string) (ftp.Reply, error) {
	r, err := w.say(verb, arg)
	if err == nil {
		err = pi.Refusal(verb, r)
	}
	return r, err
}

// say sends a command and waits for its final reply, whether it fits or not.
func (w *wire) say(verb, arg string) (ftp.Reply, error) {
	cmd := ftp.Command{Verb: verb, Arg: arg}
	if err := w.pi.Send(cmd); err != nil {
		return ftp.Reply{}, w.lost(err)
	}
	r, err := w.pi.Final(w.ctx, cmd)
	return r, w.lost(err)
}

// expect says how long the replies from now on may take, the one that is being waited
// for included; 0 is as long as any.
func (w *wire) expect(patience time.Duration) { w.pi.SetPatience(patience) }

// brief is how long the server may take to notice what failed.
func (w *wire) brief() time.Duration { return min(w.wait/8, 2*time.Second) }

// lost notes that the connection is gone. Of its cause the reader is told what is more than
// that: a reply, a time-out, a TLS alert, lines that are no replies.
func (w *wire) lost(err error) error {
	dead, ok := errors.AsType[*client.DeadError](err)
	if ok || err != nil && w.pi.Err() != nil {
		w.broken = true
	}
	if w.ctx.Err() != nil && err != nil {
		return context.Cause(w.ctx)
	}
	if !ok {
		return err
	}
	switch cause := dead.Err; {
	case pi.IsReply(cause), errors.As(cause, new(*client.TLSError)), errors.Is(cause, client.ErrTimeout),
		errors.Is(cause, ftp.ErrSyntax), errors.Is(cause, ftp.ErrLineBreak):
		return cause
	}
	return err
}

// leave says QUIT and closes the connection.
func (w *wire) leave() {
	if !w.broken {
		w.expect(w.brief())
		if _, err := w.say("QUIT", ""); err == nil {
			_, _ = w.pi.Next(w.ctx, ftp.Command{}) // the server has let go of the session then
		}
	}
	w.hangUp()
}

func (w *wire) hangUp() {
	if w.pi != nil {
		_ = w.pi.Close()
	}
}

// Observe keeps what is told of the TLS of a data connection, and passes all on. It is called
// by the data connection's goroutine, too.
func (w *wire) Observe(e ftp.Event) {
	if d, ok := e.What.(ftp.DataSecured); ok {
		w.secured.Store(&d.TLS)
	}
	if w.s.observer != nil {
		w.s.observer.Observe(e)
	}
}

// stranger is an error if a greeting is that of another kind of server, whose codes
// are like FTP's.
func stranger(greeting ftp.Reply) error {
	if text := greeting.Text(); strings.Contains(strings.ToUpper(text), "SMTP") {
		return fmt.Errorf("%w: %q is the greeting of a mail server", ftp.ErrSyntax, text)
	}
	return nil
}

// provoked is what is known better about a silent server after a line that nobody asked
// for, over a connection of its own: HTTP speaks only when it is spoken to.
func (w *wire) provoked(c corner, err error) error {
	if !errors.Is(err, client.ErrTimeout) || w.pi.Security() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	conn, e := w.dial(ctx, c)
	if e != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, e := conn.Write([]byte("\r\n\r\n")); e != nil {
		return err
	}
	line, e := ftp.NewLineReader(bufio.NewReader(conn), 1<<10).ReadLine()
	if e != nil || !strings.HasPrefix(string(line), "HTTP/") {
		return err
	}
	return fmt.Errorf("%w: %q is what a web server says", ftp.ErrSyntax, line)
}
