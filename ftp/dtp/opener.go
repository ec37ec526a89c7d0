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

// Opener opens one data connection. Manager.Take returns it. Its user must call Open or Close, once.
type Opener struct {
	m        *Manager
	guard    Guard
	stance   ftp.Stance
	addr     netip.AddrPort // where it listens or will dial
	ln       *listener      // if it listens
	accepted bool           // the peer's connection was accepted on ln
	sender   netip.AddrPort // where the accepted connection comes from, if Config.Sender says so
	tls      *Security      // nil: in the clear

	kept    *Conn    // the data connection, if the last transfer has left it open (block mode)
	dialing *os.File // the socket, if dialNow has begun to connect it and the peer has not answered yet
}

// IsOpen reports whether the data connection is open already (RFC 959 §5.4: reply 125).
func (o *Opener) IsOpen() bool { return o.kept != nil }

// Mode returns the data mode: active or passive.
func (o *Opener) Mode() ftp.DataMode { return o.m.mode(o.stance) }

// Stance returns whether this end listens or dials.
func (o *Opener) Stance() ftp.Stance { return o.stance }

// Addr returns the address on which this end listens, or that it will dial.
func (o *Opener) Addr() netip.AddrPort { return o.addr }

// Conn is a data connection. Without TLS the net.Conn inside is a *net.TCPConn, so that the kernel can move
// files by itself. With TLS the handshake is made when the transfer has begun.
type Conn struct {
	net.Conn
	Mode   ftp.DataMode
	Stance ftp.Stance
	o      *Opener
	ahead  unread // bytes of the next file, in block mode
}

// Reset closes the connection with a TCP reset, which the peer can't mistake for the end of a file.
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

// OpenError is returned if a data connection could not be opened.
type OpenError struct {
	Mode   ftp.DataMode
	Stance ftp.Stance
	Addr   netip.AddrPort // on which this end listened, or which it dialed
	Err    error
}

func (e *OpenError) Error() string {
	if e.Stance == ftp.Listens {
		return fmt.Sprintf("listened on %v for the data connection: %v", e.Addr, e.Err)
	}
	return fmt.Sprintf("no data connection to %v: %v", e.Addr, e.Err)
}

func (e *OpenError) Unwrap() error { return e.Err }

// Open opens the data connection: it accepts the peer's connection, or dials. It gives up after the Config's
// Timeout, or if ctx ends. The Opener can't be used again. The error is an *OpenError, or a
// *BrokenError if the connection was opened and reset at once.
func (o *Opener) Open(ctx context.Context) (*Conn, error) {
	if c := o.kept; c != nil {
		o.kept = nil
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
		if errors.Is(err, syscall.ECONNRESET) { // it was open, and reset before connect returned
			return nil, &BrokenError{err}
		}
		return nil, &OpenError{Mode: o.Mode(), Stance: o.stance, Addr: o.addr, Err: err}
	}
	return o.opened(nc, start), nil
}

// opened wraps the data connection, in TLS if needed, and emits an event.
func (o *Opener) opened(nc net.Conn, start time.Time) *Conn {
	c := &Conn{Conn: nc, Mode: o.Mode(), Stance: o.stance, o: o}
	if o.tls != nil {
		c.Conn = o.tls.secure(nc, o.guard.copies(o.remote(nc), o.m.peer))
	}
	if o.m.observe != nil {
		o.m.emit(ftp.DataOpened{
			Mode: c.Mode, Stance: c.Stance,
			Local: AddrPort(nc.LocalAddr()), Remote: o.remote(nc),
			Took: time.Since(start),
		})
	}
	return c
}

// remote returns where the data connection comes from or goes to.
func (o *Opener) remote(nc net.Conn) netip.AddrPort {
	if o.sender.IsValid() {
		return o.sender
	}
	return AddrPort(nc.RemoteAddr())
}

// Close closes an Opener that was not opened. A peer that has connected to its port is disconnected.
func (o *Opener) Close() {
	if o.kept != nil {
		o.kept.ahead.drop()
		_ = o.kept.Close()
	}
	if o.dialing != nil {
		_ = o.dialing.Close()
	}
	if o.ln != nil {
		if !o.ln.isShared() {
			o.ln.drain()
		}
		o.giveBack()
	}
}

// giveBack ends the lease of the port, if there is one. If the peer has not connected to the port, it is closed:
// the peer knows the address and may still connect, and the next lease would accept that connection as its own.
// A shared port stays open for the others; see seat.leave.
func (o *Opener) giveBack() {
	switch {
	case o.ln == nil:
		return
	case o.ln.isShared():
		o.report(o.ln.seat.leave(o.accepted)...)
	case o.accepted:
		o.ln.giveBack()
	default:
		o.ln.close()
	}
	o.ln = nil
}

// accept waits until the peer connects. It drops connections that the Guard does not admit, and continues to wait.
func (o *Opener) accept(ctx context.Context, deadline time.Time) (net.Conn, error) {
	if o.ln.isShared() {
		return o.acceptShared(ctx, deadline)
	}
	if err := o.ln.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if ctx.Done() != nil {
		ln := o.ln
		fired := make(chan struct{})
		stop := context.AfterFunc(ctx, func() { _ = ln.SetDeadline(past); close(fired) })
		defer func() {
			if !stop() {
				<-fired // after giveBack the listener belongs to the next lease
			}
		}()
	}
	for {
		if o.ln.wanted.Load() {
			if o.ln.convert() {
				return o.acceptShared(ctx, deadline)
			}
			if err := o.ln.SetDeadline(deadline); err != nil { // who wanted to join has moved it
				return nil, err
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
		c, err := o.ln.AcceptTCP()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if o.ln.wanted.Load() && ctx.Err() == nil && time.Now().Before(deadline) {
				continue
			}
			return nil, o.nobodyCame()
		}
		if err != nil {
			return nil, err
		}
		remote := AddrPort(c.RemoteAddr())
		if from := o.m.cfg.Sender; from != nil {
			if remote, err = from(c); err != nil {
				o.report(remote)
				_ = c.Close()
				continue
			}
			o.sender = remote
		}
		if o.guard.mayAccept(o.addr, remote, o.m.peer) {
			o.accepted = true
			return c, nil
		}
		o.report(remote)
		_ = c.Close()
	}
}

// acceptShared is accept on a port that is shared.
func (o *Opener) acceptShared(ctx context.Context, deadline time.Time) (net.Conn, error) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		if c, ok := o.nextArrival(); ok {
			return c.open()
		}
		select {
		case <-o.ln.seat.ready:
		case <-timer.C:
			return nil, o.nobodyCame()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// nextArrival returns the oldest connection that has arrived for the seat and that the Guard admits. It does not wait.
func (o *Opener) nextArrival() (arrival, bool) {
	for {
		c, ok, strangers := o.ln.seat.next()
		o.report(strangers...)
		if !ok {
			return arrival{}, false
		}
		if o.guard.mayAccept(o.addr, c.remote, o.m.peer) {
			o.accepted = true
			if o.m.cfg.Sender != nil {
				o.sender = c.remote
			}
			return c, true
		}
		o.report(c.remote)
		c.close()
	}
}

// report emits that these were refused.
func (o *Opener) report(strangers ...netip.AddrPort) {
	for _, from := range strangers {
		o.m.emit(ftp.StrangerRefused{Remote: from})
	}
}

func (o *Opener) nobodyCame() error {
	return fmt.Errorf("%w within %v", ErrNobodyCame, o.m.cfg.timeout())
}

// dial dials the peer, from the local address of the control connection.
func (o *Opener) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.m.cfg.timeout(), fmt.Errorf("%w within %v", ErrNoAnswer, o.m.cfg.timeout()))
	defer cancel()
	var c net.Conn
	var err error
	if o.dialing != nil {
		c, err = o.answered(ctx)
	} else if o.m.cfg.Dial != nil {
		c, err = o.m.cfg.Dial(ctx, "tcp", o.addr.String())
	} else {
		d := net.Dialer{KeepAlive: -1, Control: bindLate}
		c, err = d.DialTCP(ctx, "tcp", o.from(), o.addr)
	}
	if err != nil {
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			<-ctx.Done() // the dialer has noticed the deadline before ctx did
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, plain(err)
	}
	return c, nil
}

// from returns the address to dial from: that of the control connection, unless that is a loopback address
// from which the peer can't be reached.
func (o *Opener) from() netip.AddrPort {
	if o.m.local.IsLoopback() && !o.addr.Addr().IsLoopback() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(o.m.local, 0)
}

// plain removes the net.OpError around an error, whose text would repeat the addresses of the OpenError.
func plain(err error) error {
	for op := new(net.OpError); errors.As(err, &op); {
		err = op.Err
	}
	return err
}

// AddrPort returns a *net.TCPAddr as a netip.AddrPort, IPv4 addresses unmapped and link-local addresses
// with their zone. For other types it returns the zero value.
func AddrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
