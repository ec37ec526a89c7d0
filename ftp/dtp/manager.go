package dtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"miniftp/ftp"
)

// Config holds what the data connections of many control connections share. It must not be
// changed once a Manager uses it.
type Config struct {
	Side    ftp.Side
	Ports   *Ports        // where to listen; nil: on any free port
	Guard   Guard         // which hosts data connections may be made with
	Timeout time.Duration // to open a data connection; 0: DefaultTimeout
	// Dial replaces the dialer of this package, for example with that of a proxy. It is given an
	// address that the Guard has admitted.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Sender, if not nil, returns where an accepted connection comes from, if that is not its remote address: a
	// balancer may say so before the first byte of the peer. It must read no more than that, and must not wait long.
	// The Guard judges the address that it returns. If it returns an error, the connection is closed.
	Sender func(*net.TCPConn) (netip.AddrPort, error)
}

func (c *Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

// sender returns c.Sender, or nil if c is nil.
func (c *Config) sender() func(*net.TCPConn) (netip.AddrPort, error) {
	if c == nil {
		return nil
	}
	return c.Sender
}

// Errors of a Manager.
var (
	// ErrNoOffer is returned when a transfer starts without a preceding PORT, PASV, EPRT or EPSV.
	ErrNoOffer = errors.New("no data connection was agreed on: send PASV, EPSV, PORT or EPRT first")
	// ErrOfferRevoked is returned when an offer to listen was not used within the Config's Timeout
	// and its port was given to another control connection.
	ErrOfferRevoked = errors.New("the data port was not used in time and went to another session")
	// ErrNobodyCame is returned when this end listened and the peer did not connect in time.
	ErrNobodyCame = errors.New("nobody came")
	// ErrNoAnswer is returned when this end dialed and the peer did not answer in time.
	ErrNoAnswer = errors.New("no answer")
)

// Manager makes the data connections of one control connection. It holds at most one thing: an offer
// to listen or to dial, or, in block mode, the data connection of the last transfer. A new offer
// replaces either (RFC 959 §3.3). A Manager is used by one goroutine, the owner of the
// control connection; other goroutines may use the Openers that it hands out.
type Manager struct {
	cfg     *Config
	guard   Guard
	local   netip.Addr
	peer    netip.Addr
	observe func(ftp.Happening)
	tls     *Security // of data connections from now on; nil: in the clear
	next    *Opener   // the offer
	kept    *Conn     // the data connection of the last transfer; at most one of next and kept is set
	far     int       // in how many more calls CallNow does nothing, because the peer did not answer at once
	small   []byte    // the buffer of Fetch
}

// NewManager returns the Manager of a control connection between local and peer. It listens on the
// address of local and dials from it. observe may be nil.
func NewManager(cfg *Config, local, peer netip.AddrPort, observe func(ftp.Happening)) *Manager {
	return &Manager{cfg: cfg, guard: cfg.Guard, local: local.Addr().Unmap(), peer: peer.Addr().Unmap(), observe: observe}
}

// Listen makes an offer to listen. It opens a port, or leases one that is open, and returns its
// address, which the caller announces to the peer in PORT, EPRT, 227 or 229. If all
// ports of the range are in use and none can be shared, the error is a *PortsError. Listen does not wait; see Queue.
func (m *Manager) Listen() (netip.AddrPort, error) {
	m.Close()
	r := m.request()
	l, err := m.cfg.Ports.lease(&r, nil)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return m.listenOn(l), nil
}

func (m *Manager) listenOn(l *listener) netip.AddrPort {
	m.next = &Opener{m: m, guard: m.guard, stance: ftp.Listens, addr: l.addr, ln: l}
	return l.addr
}

// request returns for whom a port of the next offer is leased.
func (m *Manager) request() request {
	return request{
		local: m.local, peer: m.peer, cfg: m.cfg, alone: m.guard.AcceptAnyHost || m.guard.FXP,
		picky: m.guard.Accept != nil, grace: m.cfg.timeout(),
	}
}

// Dial makes an offer to dial the address that the peer has announced in PORT, EPRT, 227 or
// 229. It does not dial yet. If the Guard refuses the address, the error is a *GuardError.
func (m *Manager) Dial(addr netip.AddrPort) error {
	m.Close()
	to, err := m.guard.mayDial(m.cfg.Side, addr, m.peer)
	if err != nil {
		m.emit(ftp.DataFailed{Mode: m.mode(ftp.Dials), Stance: ftp.Dials, Addr: addr, Err: err})
		return err
	}
	m.next = &Opener{m: m, guard: m.guard, stance: ftp.Dials, addr: to}
	return nil
}

// Admit replaces the Config's Guard, from the next offer on. A server calls it after a login, since
// users may differ in which hosts their data connections are made with. It closes an offer that
// was not taken.
func (m *Manager) Admit(g Guard) {
	m.Close()
	m.guard = g
}

// Protect sets the TLS of data connections that are taken from now on; nil means none (PROT P and
// PROT C, RFC 4217 §9).
func (m *Manager) Protect(s *Security) {
	if s != m.tls {
		m.Keep(nil)
	}
	m.tls = s
}

// Keep stores the data connection that a Job in block mode has left open, for the next Job. Keep(nil)
// closes the stored one.
func (m *Manager) Keep(c *Conn) {
	if m.kept != nil && m.kept != c {
		m.kept.ahead.drop()
		_ = m.kept.Close()
	}
	m.kept = c
}

// Shrink releases memory that the Manager needs only during transfers. It is called when the control
// connection becomes idle.
func (m *Manager) Shrink() {
	m.small = nil
	if m.kept != nil {
		m.kept.ahead.shrink()
	}
}

// HasOpen reports whether the next Take returns a data connection that is open already.
func (m *Manager) HasOpen() bool { return m.next == nil && m.kept != nil }

// Offered reports whether there is an offer that was not taken.
func (m *Manager) Offered() bool { return m.next != nil }

// Uncalled returns the address of an offer to listen that the peer has not used so far: it was not taken, and the peer
// has not connected to the port. On systems where that can't be found out without waiting, ok is always false.
func (m *Manager) Uncalled() (addr netip.AddrPort, ok bool) {
	o := m.next
	if o == nil || o.ln == nil || !o.ln.uncalled() {
		return netip.AddrPort{}, false
	}
	return o.addr, true
}

// Take returns the Opener of the last offer, once, or that of the stored data connection. The error is
// ErrNoOffer if there is neither, and ErrOfferRevoked if the port of the offer was given to
// another Manager. The caller must Open or Close the Opener.
func (m *Manager) Take() (*Opener, error) {
	o := m.next
	m.next = nil
	if c := m.kept; o == nil && c != nil {
		m.kept = nil
		return &Opener{m: m, guard: m.guard, stance: c.Stance, addr: c.o.addr, tls: c.o.tls, kept: c}, nil
	}
	if o == nil {
		return nil, ErrNoOffer
	}
	if o.ln != nil && !o.ln.take() {
		return nil, ErrOfferRevoked
	}
	o.tls = m.tls // PROT may come after PASV
	return o, nil
}

// Close closes an offer that was not taken, and a stored data connection.
func (m *Manager) Close() {
	m.Keep(nil)
	if o := m.next; o != nil {
		m.next = nil
		if o.ln != nil && !o.ln.take() {
			return // revoked: another Opener has the port
		}
		o.Close()
	}
}

func (m *Manager) emit(h ftp.Happening) {
	if m.observe != nil {
		m.observe(h)
	}
}

// mode returns the data mode in which this side has that stance.
func (m *Manager) mode(s ftp.Stance) ftp.DataMode {
	if m.cfg.Side.Stance(ftp.Passive) == s {
		return ftp.Passive
	}
	return ftp.Active
}
