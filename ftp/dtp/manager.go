package dtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"miniftp/ftp"
)

// Config is what the data connections of many control connections share. It is
// not changed once a Manager uses it.
type Config struct {
	Side    ftp.Side
	Ports   *Ports        // where to listen; nil: any free port
	Guard   Guard         // with whom
	Timeout time.Duration // for a data connection to come about; 0: DefaultTimeout
	// Dial replaces the dialer of this package, for a proxy. It is given the
	// address that the Guard agreed to.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (c *Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

// Errors of a Manager.
var (
	// ErrNoOffer is a transfer that no PORT or PASV came before.
	ErrNoOffer = errors.New("no data connection was agreed on: send PASV, EPSV, PORT or EPRT first")
	// ErrOfferRevoked is returned when an offer to listen was not used for the
	// Config's Timeout and its port was needed for another control connection.
	ErrOfferRevoked = errors.New("the data port was not used in time and went to another session")
	// ErrNobodyCame is a wait for the peer's call that took too long.
	ErrNobodyCame = errors.New("nobody came")
)

// Manager makes the data connections of one control connection. It holds at
// most one offer, to listen or to dial, or, in block mode, the data connection of the
// last transfer; a new offer replaces either (RFC 959 §3.3). It belongs
// to the goroutine that owns the control connection; the Openers that it hands
// out may go to others.
type Manager struct {
	cfg     *Config
	guard   Guard
	local   netip.Addr
	peer    netip.Addr
	observe func(ftp.Happening)
	tls     *Security // of data connections from now on; nil: they are clear
	next    *Opener
	kept    *Conn
	far     int    // so many calls are left to Open, as the peer did not answer at once
	small   []byte // the buffer of Fetch
}

// NewManager makes the Manager of a control connection between local and peer.
// It listens on local's address and dials from it. observe may be nil.
func NewManager(cfg *Config, local, peer netip.AddrPort, observe func(ftp.Happening)) *Manager {
	return &Manager{cfg: cfg, guard: cfg.Guard, local: local.Addr().Unmap(), peer: peer.Addr().Unmap(), observe: observe}
}

// Listen offers to take the peer's call: it opens a port (or leases one that
// stands open) and returns its address, to be told to the peer in PORT, EPRT,
// 227 or 229. When the port range is used up the error is a *PortsError.
func (m *Manager) Listen() (netip.AddrPort, error) {
	m.Close()
	l, err := m.cfg.Ports.lease(m.local, m.cfg.timeout())
	if err != nil {
		return netip.AddrPort{}, err
	}
	m.next = &Opener{m: m, guard: m.guard, stance: ftp.Listens, addr: l.addr, ln: l}
	return l.addr, nil
}

// Dial offers to call the peer at the address that it told in PORT, EPRT, 227
// or 229. Nothing is dialed yet. The Guard may refuse (a *GuardError).
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

// Admit puts g in the place of the Config's Guard, from the next offer on: users
// may differ in whom their data connections are made with. It takes an offer back
// that nobody took.
func (m *Manager) Admit(g Guard) {
	m.Close()
	m.guard = g
}

// Protect puts the data connections that are taken from now on under TLS, or,
// with nil, leaves them clear (PROT P and PROT C of RFC 4217 §9).
func (m *Manager) Protect(s *Security) {
	if s != m.tls {
		m.Keep(nil)
	}
	m.tls = s
}

// Keep takes the data connection that a Job in block mode has left, for the next one;
// nil closes the one that is kept.
func (m *Manager) Keep(c *Conn) {
	if m.kept != nil && m.kept != c {
		m.kept.ahead.drop()
		_ = m.kept.Close()
	}
	m.kept = c
}

// Shrink gives back memory that the Manager needs only during transfers. A control
// connection that is idle calls it.
func (m *Manager) Shrink() {
	m.small = nil
	if m.kept != nil {
		m.kept.ahead.shrink()
	}
}

// Stands reports whether the next Take is of a data connection that stands.
func (m *Manager) Stands() bool { return m.next == nil && m.kept != nil }

// Offered reports whether an offer stands that nobody took yet.
func (m *Manager) Offered() bool { return m.next != nil }

// Take hands over the Opener of the last offer, exactly once, or of the data
// connection that was kept: ErrNoOffer if there is neither, ErrOfferRevoked if the port
// of the offer has gone to another Manager. The caller must Open or Close the Opener.
func (m *Manager) Take() (*Opener, error) {
	o := m.next
	m.next = nil
	if c := m.kept; o == nil && c != nil {
		m.kept = nil
		return &Opener{m: m, guard: m.guard, stance: c.Stance, addr: c.o.addr, tls: c.o.tls, standing: c}, nil
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

// Close takes an offer back that nobody took, and closes a data connection that was kept.
func (m *Manager) Close() {
	m.Keep(nil)
	if o := m.next; o != nil {
		m.next = nil
		if o.ln != nil && !o.ln.take() {
			return // revoked: the port is another Opener's
		}
		o.Close()
	}
}

func (m *Manager) emit(h ftp.Happening) {
	if m.observe != nil {
		m.observe(h)
	}
}

// mode is the data mode in which this side has that stance.
func (m *Manager) mode(s ftp.Stance) ftp.DataMode {
	if m.cfg.Side.Stance(ftp.Passive) == s {
		return ftp.Passive
	}
	return ftp.Active
}
