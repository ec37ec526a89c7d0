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

// wire is a control connection on which doctor chooses each command and sees each reply. A client.Client
// would choose the commands itself, and work around what goes wrong. Like the client, wire uses a pi.Conn
// and the data connections of package dtp.
//
// Its methods are not safe for concurrent use, except Observe and setPatience.
type wire struct {
	ctx    context.Context
	s      *setup
	wait   time.Duration
	pi     *pi.Conn
	steps  []step
	typ    ftp.Type
	bad    error // why the certificate is not trusted, nil if it is
	broken bool  // the next reply may answer an earlier command, so the connection must not be used again

	secured atomic.Pointer[ftp.TLS] // of the last data connection; set by Observe
}

// step is a step of the examination and the time that it took.
type step struct {
	name string
	took time.Duration
}

// setup holds what all control connections of an examination have in common.
type setup struct {
	opts     client.Options
	host     string // of the URL; certificates must be for it
	dir      string // to change to after the login, "" for none
	ports    *dtp.Ports
	observer ftp.Observer
}

// connSpec says how to open a control connection.
type connSpec struct {
	addr    string // host and port
	network string // tcp4 or tcp6; tcp through a proxy
	mode    client.TLSMode
	version uint16 // of TLS
	noReuse bool   // do not resume TLS sessions
	strict  bool   // fail if the certificate is not trusted
}

// stage is the step that a control connection has reached, or at which it failed.
type stage int

const (
	atConnect stage = iota
	atGreeting
	atTLS
	atLogin
	atDir
	atEnd // logged in and in the directory: nothing failed
)

// connResult is the result of opening a control connection.
type connResult struct {
	w        *wire // nil if err is not nil
	stage    stage
	err      error
	greeting ftp.Reply
	tls      *tls.ConnectionState // nil if there was no handshake
	bad      error                // why the certificate is not trusted, nil if it is
	steps    []step
}

// open connects, logs in and changes to the directory.
func (s *setup) open(ctx context.Context, c connSpec) connResult {
	w := &wire{ctx: ctx, s: s, wait: s.opts.Timeout}
	o := connResult{stage: atConnect}
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
	o.w, o.stage = w, atEnd
	return o
}

// dial opens the TCP connection of c, through the proxy if there is one.
func (w *wire) dial(ctx context.Context, c connSpec) (net.Conn, error) {
	if w.s.opts.Dial != nil {
		return w.s.opts.Dial(ctx, c.network, c.addr)
	}
	return new(net.Dialer).DialContext(ctx, c.network, c.addr)
}

// connect opens the control connection. Certificates are verified only after the handshake, by startTLS:
// the exam also needs the results for a server whose certificate is not trusted.
func (w *wire) connect(o *connResult, c connSpec) (err error) {
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

// logIn does all that follows connecting: greeting, TLS, login, PROT and CWD. It sets o.stage as it goes.
func (w *wire) logIn(o *connResult, c connSpec) (err error) {
	if c.mode == client.ImplicitTLS {
		o.stage = atTLS
		if err = w.startTLS(o, c); err != nil {
			return err
		}
		o.stage = atGreeting
	}
	done := w.timed("greeting")
	if o.greeting, err = w.pi.Greeting(w.ctx); err != nil {
		return &client.ConnectError{Addr: c.addr, Err: w.detectHTTP(c, w.lost(err))}
	}
	if err = notFTP(o.greeting); err != nil {
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
	if err := w.authenticate(); err != nil {
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

// startTLS does the TLS handshake and verifies the certificate. Unless c.strict is set, a certificate that is
// not trusted is only recorded in w.bad.
func (w *wire) startTLS(o *connResult, c connSpec) error {
	done := w.timed("TLS")
	if err := w.pi.StartTLS(w.ctx); err != nil {
		return err
	}
	done()
	cs, _ := w.pi.TLS()
	o.tls = &cs
	w.bad = verifyCert(w.s.opts.TLSConfig, cs, w.s.host)
	if w.bad != nil && c.strict {
		return &client.TLSError{Err: w.bad}
	}
	return nil
}

// authenticate sends USER, PASS and ACCT, and measures the time.
func (w *wire) authenticate() error {
	done := w.timed("login")
	o := &w.s.opts
	if err := w.pi.Login(w.ctx, pi.User{Name: o.User, Password: o.Password, Account: o.Account}); err != nil {
		return w.lost(err)
	}
	done()
	return nil
}

// timed starts the clock for a step. Calling done records the step; a step that fails is not recorded.
func (w *wire) timed(name string) (done func()) {
	start := time.Now()
	return func() { w.steps = append(w.steps, step{name, time.Since(start)}) }
}

// do sends a command like say, and returns an *ftp.Error if the server refuses it.
func (w *wire) do(verb, arg string) (ftp.Reply, error) {
	r, err := w.say(verb, arg)
	if err == nil {
		err = pi.Refusal(verb, r)
	}
	return r, err
}

// say sends a command and returns its final reply, whatever its code.
func (w *wire) say(verb, arg string) (ftp.Reply, error) {
	cmd := ftp.Command{Verb: verb, Arg: arg}
	if err := w.pi.Send(cmd); err != nil {
		return ftp.Reply{}, w.lost(err)
	}
	r, err := w.pi.Final(w.ctx, cmd)
	return r, w.lost(err)
}

// setPatience sets how long replies may take from now on, including the one that is being waited for. 0 means
// the default timeout.
func (w *wire) setPatience(patience time.Duration) { w.pi.SetPatience(patience) }

// brief returns how long to wait for a reply that may not come: after the data connection has failed, or to QUIT.
func (w *wire) brief() time.Duration { return min(w.wait/8, 2*time.Second) }

// lost marks w as broken if err says that the connection is lost. It returns err, or its cause if that tells
// the user more: a reply, a timeout, a TLS alert, or lines that are not replies.
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

// leave sends QUIT and closes the connection.
func (w *wire) leave() {
	if !w.broken {
		w.setPatience(w.brief())
		if _, err := w.say("QUIT", ""); err == nil {
			_, _ = w.pi.Next(w.ctx, ftp.Command{}) // wait until the server closes the session, so that it no longer counts
		}
	}
	w.hangUp()
}

func (w *wire) hangUp() {
	if w.pi != nil {
		_ = w.pi.Close()
	}
}

// Observe keeps the TLS state of the last data connection, and passes all events to the observer. It is
// called by the goroutine of the data connection, too.
func (w *wire) Observe(e ftp.Event) {
	if d, ok := e.What.(ftp.DataSecured); ok {
		w.secured.Store(&d.TLS)
	}
	if w.s.observer != nil {
		w.s.observer.Observe(e)
	}
}

// notFTP returns an error if the greeting is that of a mail server, whose reply codes look like those of
// FTP.
func notFTP(greeting ftp.Reply) error {
	if text := greeting.Text(); strings.Contains(strings.ToUpper(text), "SMTP") {
		return fmt.Errorf("%w: %q is the greeting of a mail server", ftp.ErrSyntax, text)
	}
	return nil
}

// detectHTTP finds out whether a silent server is a web server, which answers only after a request. It sends
// empty lines over a new connection. If the answer is HTTP it returns an error that says so, else err.
func (w *wire) detectHTTP(c connSpec, err error) error {
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
	return fmt.Errorf("%w: %q is the answer of a web server", ftp.ErrSyntax, line)
}
