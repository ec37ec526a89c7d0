package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

// wire is a control connection that is led by hand. A client.Client decides by itself
// which verb comes next, and gets round what goes wrong; the doctor has to choose each
// verb and to see each reply. Data connections are those of package dtp, as everywhere.
type wire struct {
	ctx      context.Context
	s        *setup
	wait     time.Duration
	raw      net.Conn
	conn     net.Conn // raw, or TLS over it
	lines    *ftp.LineReader
	secrets  ftp.Secrets
	control  *ftp.Control
	security *dtp.Security
	unhook   func() bool
	steps    []step
	typ      ftp.Type
	bad      error // what nothing vouches for in the certificate
	broken   bool  // the replies may be out of step: it is not used any more

	mu       sync.Mutex    // of what follows, and of events
	patience time.Duration // for the next reply; 0: wait
	secured  *ftp.TLS      // of the last data connection
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
	o.err = w.connect(&o, c)
	if o.err == nil {
		w.unhook = context.AfterFunc(ctx, func() { _ = w.raw.Close() })
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

func (w *wire) connect(o *opening, c corner) error {
	done := w.timed("connect")
	dial := w.s.opts.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	late := fmt.Errorf("%w within %v", client.ErrTimeout, w.wait)
	ctx, cancel := context.WithTimeoutCause(w.ctx, w.wait, late)
	defer cancel()
	conn, err := dial(ctx, c.network, c.addr)
	if err != nil {
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() && w.ctx.Err() == nil {
			err = late
		} else if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return &client.ConnectError{Addr: c.addr, Err: connect.PlainCause(err)}
	}
	done()
	w.raw, w.conn = conn, conn
	w.control = &ftp.Control{ID: controlIDs.Add(1), Side: ftp.UserPI, Local: connect.TCPAddr(conn.LocalAddr()), Remote: connect.TCPAddr(conn.RemoteAddr())}
	w.lines = ftp.NewLineReader(conn, maxDoctorLine)
	w.tell(ftp.ControlOpened{})
	o.stage = atGreeting
	return nil
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
	if o.greeting, err = w.answer(""); err != nil {
		return &client.ConnectError{Addr: c.addr, Err: w.provoked(err)}
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
	if w.security != nil {
		o.stage = atTLS
		if err := w.protect(c.mode); err != nil {
			return err
		}
	}
	if o.stage = atDir; w.s.dir != "" {
		_, err = w.do("CWD", w.s.dir)
	}
	return err
}

// startTLS makes the handshake. Whether the certificate is trusted is looked at
// behind it: the doctor has to tell what is wrong with one that is not.
func (w *wire) startTLS(o *opening, c corner) error {
	done := w.timed("TLS")
	if w.lines.Buffered() > 0 {
		return &client.TLSError{Err: errors.New("bytes came in the clear behind the answer to AUTH")}
	}
	cfg := w.s.opts.TLSConfig.Clone()
	cfg.MinVersion, cfg.MaxVersion = c.version, c.version
	cfg.InsecureSkipVerify, cfg.VerifyConnection = true, nil
	cfg.SessionTicketsDisabled = c.noReuse
	w.security = dtp.ClientSecurity(cfg, w.s.host)
	conn, err := w.security.Control(w.raw, time.Now().Add(w.wait))
	if err != nil {
		return err
	}
	done()
	cs := conn.ConnectionState()
	w.conn, w.lines, o.cert = conn, ftp.NewLineReader(conn, maxDoctorLine), &cs
	w.tell(ftp.ControlSecured{TLS: dtp.Describe(cs)})
	w.bad = vouch(w.s.opts.TLSConfig, cs, w.s.host)
	if w.bad != nil && c.strict {
		return &client.TLSError{Err: w.bad}
	}
	return nil
}

// access is USER, PASS and ACCT, each only if asked for.
func (w *wire) access() error {
	done := w.timed("login")
	cmd := ftp.Command{Verb: "USER", Arg: w.s.opts.User}
	for {
		r, err := w.say(cmd.Verb, cmd.Arg)
		if err != nil {
			return err
		}
		switch {
		case r.Code.Class() == ftp.Completion:
			done()
			w.tell(ftp.LoggedInAs{User: w.s.opts.User})
			return nil
		case r.Code == 332 && cmd.Verb != "ACCT" && w.s.opts.Account != "":
			cmd = ftp.Command{Verb: "ACCT", Arg: w.s.opts.Account}
		case r.Code.Class() == ftp.Intermediate && r.Code != 332 && cmd.Verb == "USER":
			cmd = ftp.Command{Verb: "PASS", Arg: w.s.opts.Password}
		default:
			return &ftp.Error{Verb: cmd.Verb, Reply: r}
		}
	}
}

// protect asks for data connections under TLS. Servers that speak TLS first may
// refuse what goes without saying there.
func (w *wire) protect(mode client.TLSMode) error {
	if _, err := w.say("PBSZ", "0"); err != nil {
		return err
	}
	r, err := w.say("PROT", "P")
	if err == nil && r.Code.Class() != ftp.Completion && mode == client.ExplicitTLS {
		err = &client.TLSError{Data: true, Err: &ftp.Error{Verb: "PROT", Reply: r}}
	}
	return err
}

// timed measures a step until what it returns is called.
func (w *wire) timed(name string) (done func()) {
	start := time.Now()
	return func() { w.steps = append(w.steps, step{name, time.Since(start)}) }
}

// do is say with a refusal as an *ftp.Error.
func (w *wire) do(verb, arg string) (ftp.Reply, error) {
	r, err := w.say(verb, arg)
	if c := r.Code.Class(); err == nil && (c == ftp.TransientFail || c == ftp.PermanentFail) {
		err = &ftp.Error{Verb: verb, Reply: r}
	}
	return r, err
}

// say sends a command and waits for its final reply.
func (w *wire) say(verb, arg string) (ftp.Reply, error) {
	if err := w.send(verb, arg); err != nil {
		return ftp.Reply{}, err
	}
	return w.answer(verb)
}

func (w *wire) send(verb, arg string) error {
	cmd := ftp.Command{Verb: verb, Arg: arg}
	line, err := cmd.Append(nil)
	if err != nil {
		return err
	}
	w.secrets.Learn(cmd)
	w.tell(ftp.CommandGiven{Command: cmd.Masked()})
	if err = w.conn.SetWriteDeadline(time.Now().Add(w.wait)); err == nil {
		_, err = w.conn.Write(line)
	}
	return w.lost(verb, err)
}

// answer waits for a final reply.
func (w *wire) answer(verb string) (ftp.Reply, error) {
	for range maxDoctorReplies {
		r, err := w.read(verb)
		if err != nil || r.Code.Class() != ftp.Preliminary {
			return r, err
		}
	}
	return ftp.Reply{}, w.lost(verb, errors.New("the server sends replies without end"))
}

// read takes one reply.
func (w *wire) read(verb string) (ftp.Reply, error) {
	w.mu.Lock()
	err := w.raw.SetReadDeadline(time.Now().Add(cmp.Or(w.patience, w.wait)))
	w.mu.Unlock()
	var r ftp.Reply
	if err == nil {
		r, err = ftp.ReadReply(w.lines)
	}
	if err != nil {
		return ftp.Reply{}, w.lost(verb, err)
	}
	w.tell(ftp.ReplyGiven{Verb: verb, Reply: w.secrets.MaskReply(r)})
	r = w.secrets.MaskRefused(r)
	if r.Code == 421 {
		w.broken = true
		return r, &ftp.Error{Verb: verb, Reply: r}
	}
	return r, nil
}

// expect says how long the replies from now on may take, the one that is being waited
// for included; 0 is as long as any.
func (w *wire) expect(patience time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patience = patience
	_ = w.raw.SetReadDeadline(time.Now().Add(cmp.Or(patience, w.wait)))
}

// brief is how long the server may take to notice what failed.
func (w *wire) brief() time.Duration { return min(w.wait/8, 2*time.Second) }

// lost is the error of a control connection that can't be used any more.
func (w *wire) lost(verb string, err error) error {
	var late net.Error
	switch {
	case err == nil:
		return nil
	case w.ctx.Err() != nil:
		err = context.Cause(w.ctx)
	case errors.As(err, &late) && late.Timeout():
		what := ""
		if verb != "" {
			what = " to " + verb
		}
		err = fmt.Errorf("%w%s within %v", client.ErrTimeout, what, w.wait)
	case errors.Is(err, ftp.ErrSyntax), errors.Is(err, ftp.ErrLineBreak):
	default:
		if said, ok := dtp.Alert(err); ok {
			err = &client.TLSError{Err: errors.New("the server refuses: " + said)}
		} else {
			err = &client.DeadError{Err: connect.PlainCause(err)}
		}
	}
	w.broken = true
	return err
}

// leave says QUIT and closes the connection.
func (w *wire) leave() {
	if !w.broken {
		w.expect(w.brief())
		if _, err := w.say("QUIT", ""); err == nil {
			_, _ = w.raw.Read(make([]byte, 1)) // the server has let go of the session then
		}
	}
	w.hangUp()
}

func (w *wire) hangUp() {
	if w.raw == nil {
		return
	}
	if w.unhook != nil {
		w.unhook()
	}
	_ = w.raw.Close()
	w.tell(ftp.ControlClosed{})
}

// tell passes an event on; it is called by the data connection's goroutine, too.
func (w *wire) tell(what ftp.Happening) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d, ok := what.(ftp.DataSecured); ok {
		w.secured = &d.TLS
	}
	if w.s.observer != nil {
		w.s.observer.Observe(ftp.Event{At: time.Now(), Control: w.control, What: what})
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
// for: HTTP speaks only when it is spoken to.
func (w *wire) provoked(err error) error {
	if !errors.Is(err, client.ErrTimeout) || w.security != nil {
		return err
	}
	_ = w.raw.SetDeadline(time.Now().Add(time.Second))
	if _, e := w.raw.Write([]byte("\r\n\r\n")); e != nil {
		return err
	}
	line, e := w.lines.ReadLine()
	if e != nil || !strings.HasPrefix(string(line), "HTTP/") {
		return err
	}
	return fmt.Errorf("%w: %q is what a web server says", ftp.ErrSyntax, line)
}
