package dtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"miniftp/ftp"
)

// Opener opens one data connection: the offer of a Manager, taken.
type Opener struct {
	m      *Manager
	guard  Guard
	stance ftp.Stance
	addr   netip.AddrPort
	ln     *listener // when it listens
	called bool      // the peer's call was taken
	tls    *Security

	standing *Conn    // there is nothing to open
	calling  *os.File // a call that StartNow began and that is not answered yet
}

// Stands reports whether the data connection stands already (RFC 959 §5.4: 125).
func (o *Opener) Stands() bool { return o.standing != nil }

// Mode says who listens and who dials.
func (o *Opener) Mode() ftp.DataMode { return o.m.mode(o.stance) }

// Stance says whether this end listens or dials.
func (o *Opener) Stance() ftp.Stance { return o.stance }

// Addr is where this end listens or will dial.
func (o *Opener) Addr() netip.AddrPort { return o.addr }

// Conn is a data connection. The net.Conn inside is the bare *net.TCPConn where
// there is one, so that the kernel can move files by itself. Under TLS the
// handshake is made once the transfer has begun.
type Conn struct {
	net.Conn
	Mode   ftp.DataMode
	Stance ftp.Stance
	o      *Opener
	ahead  unread // block mode
}

// Reset breaks the connection off so that the peer can't take it for the end of a file.
func (c *Conn) Reset() {
	nc := c.Conn
	if s, ok := nc.(*secured); ok {
		nc = s.wire.Conn
	}
	if tcp, ok := nc.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

// OpenError is a data connection that did not come about.
type OpenError struct {
	Mode   ftp.DataMode
	Stance ftp.Stance
	Addr   netip.AddrPort // where this end listened or dialed
	Err    error
}

func (e *OpenError) Error() string {
	if e.Stance == ftp.Listens {
		return fmt.Sprintf("listened on %v for the data connection: %v", e.Addr, e.Err)
	}
	return fmt.Sprintf("no data connection to %v: %v", e.Addr, e.Err)
}

func (e *OpenError) Unwrap() error { return e.Err }

// Open makes the data connection: it takes the peer's call or calls it. It ends
// after the Config's Timeout, or when ctx does. The Opener is used up. Errors
// are *OpenError, or *BrokenError for one that was reset at once.
func (o *Opener) Open(ctx context.Context) (*Conn, error) {
	if c := o.standing; c != nil {
		o.standing = nil
		return c, nil
	}
	start := time.Now()
	var nc net.Conn
	var err error
	if o.stance == ftp.Listens {
		nc, err = o.accept(ctx, start.Add(o.m.cfg.timeout()))
	} else {
		nc, err = o.dial(ctx)
	}
	o.giveBack()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		o.m.emit(ftp.DataFailed{Mode: o.Mode(), Stance: o.stance, Addr: o.addr, Err: err})
		if errors.Is(err, syscall.ECONNRESET) { // it stood, and was gone before connect could say so
			return nil, &BrokenError{err}
		}
		return nil, &OpenError{Mode: o.Mode(), Stance: o.stance, Addr: o.addr, Err: err}
	}
	return o.opened(nc, start), nil
}

// opened tells about the data connection.
func (o *Opener) opened(nc net.Conn, start time.Time) *Conn {
	c := &Conn{Conn: nc, Mode: o.Mode(), Stance: o.stance, o: o}
	if o.tls != nil {
		c.Conn = o.tls.secure(nc, o.guard.copies(AddrPort(nc.RemoteAddr()), o.m.peer))
	}
	if o.m.observe != nil {
		o.m.emit(ftp.DataOpened{
			Mode: c.Mode, Stance: c.Stance,
			Local: AddrPort(nc.LocalAddr()), Remote: AddrPort(nc.RemoteAddr()),
			Took: time.Since(start),
		})
	}
	return c
}

// Close gives up an Opener that was not opened, and its port back. Whoever
// called on it already is hung up on.
func (o *Opener) Close() {
	if o.standing != nil {
		o.standing.ahead.drop()
		_ = o.standing.Close()
	}
	if o.calling != nil {
		_ = o.calling.Close()
	}
	if o.ln != nil {
		o.ln.drain()
		o.giveBack()
	}
}

// giveBack ends the lease of the port, if there is one. A port that the peer was told and
// did not call is closed: a call that is still on its way would be taken for that of the
// next lease, and the caller who was meant would wait in vain.
func (o *Opener) giveBack() {
	switch {
	case o.ln == nil:
		return
	case o.called:
		o.ln.giveBack()
	default:
		o.ln.close()
	}
	o.ln = nil
}

// accept waits for the peer; strangers are dropped and the wait goes on.
func (o *Opener) accept(ctx context.Context, deadline time.Time) (net.Conn, error) {
	if err := o.ln.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if ctx.Done() != nil {
		ln := o.ln
		fired := make(chan struct{})
		stop := context.AfterFunc(ctx, func() { _ = ln.SetDeadline(past); close(fired) })
		defer func() {
			if !stop() {
				<-fired // the port goes back to the pool: nobody may touch it later
			}
		}()
	}
	for {
		c, err := o.ln.AcceptTCP()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("%w within %v", ErrNobodyCame, o.m.cfg.timeout())
		}
		if err != nil {
			return nil, err
		}
		remote := AddrPort(c.RemoteAddr())
		if o.guard.mayAccept(remote, o.m.peer) {
			o.called = true
			return c, nil
		}
		o.m.emit(ftp.StrangerRefused{Remote: remote})
		_ = c.Close()
	}
}

// dial calls the peer, from the address that the control connection has.
func (o *Opener) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.m.cfg.timeout(), fmt.Errorf("no answer within %v", o.m.cfg.timeout()))
	defer cancel()
	var c net.Conn
	var err error
	if o.calling != nil {
		c, err = o.answered(ctx)
	} else if o.m.cfg.Dial != nil {
		c, err = o.m.cfg.Dial(ctx, "tcp", o.addr.String())
	} else {
		d := net.Dialer{KeepAlive: -1, Control: bindLate}
		c, err = d.DialTCP(ctx, "tcp", o.from(), o.addr)
	}
	if err != nil {
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			<-ctx.Done() // the dialer's clock was a moment ahead of ctx's
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, plain(err)
	}
	return c, nil
}

// from is the address to call from: that of the control connection, unless it is
// the loopback's and nobody else can be reached from there.
func (o *Opener) from() netip.AddrPort {
	if o.m.local.IsLoopback() && !o.addr.Addr().IsLoopback() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(o.m.local, 0)
}

// plain takes off what a net.OpError says about addresses: the OpenError names them.
func plain(err error) error {
	for op := new(net.OpError); errors.As(err, &op); {
		err = op.Err
	}
	return err
}

// AddrPort returns the address of a TCP connection or listener as a value, an IPv4
// address as one, and a link-local one with its zone. It returns the zero value if a
// is no *net.TCPAddr.
func AddrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
