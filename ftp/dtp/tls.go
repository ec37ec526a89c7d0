package dtp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"time"

	"miniftp/ftp"
)

// Reuse defines whether data connections resume the TLS session of their control connection
// (RFC 4217 §10.2).
type Reuse uint8

// The values of Reuse, for a server.
const (
	ReusePrefer  Reuse = iota // data connections may resume it
	ReuseRequire              // they must, which proves that the client is the same
	ReuseOff                  // no session is resumed
)

func (r Reuse) String() string {
	return [...]string{"prefer", "require", "off"}[min(r, ReuseOff)]
}

// Security holds the TLS of one control connection and its data connections (RFC 4217). On all of them the
// user is the TLS client and the server is the TLS server, no matter which end listens. It
// belongs to one control connection.
//
// A server binds its session tickets to the control connection: each ticket contains the id, and a data
// connection can only resume a session whose ticket has the id of its own control connection.
type Security struct {
	side  ftp.Side
	base  *tls.Config // of the control connection
	data  *tls.Config // of the data connections of a TLS client
	keys  *tls.Config // of a server: shared by all control connections, it has the keys of session tickets
	reuse Reuse
	id    []byte // of a server: what its session tickets are bound to
	from  []byte // the id in the ticket that the client of the control connection has presented
	leaf  []byte // the peer's certificate on the control connection
}

// tickets is the prefix of the id in a session ticket.
const tickets = "miniftp control "

// ServerSecurity returns the Security of one control connection of a server. base is shared by all control
// connections and is not changed.
func ServerSecurity(base *tls.Config, reuse Reuse) *Security {
	s := &Security{side: ftp.ServerPI, keys: base, reuse: reuse}
	s.id = append([]byte(tickets), rand.Text()...)
	s.base = base.Clone()
	s.base.SessionTicketsDisabled = s.base.SessionTicketsDisabled || reuse == ReuseOff
	s.base.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		state, err := base.DecryptTicket(ticket, cs)
		if state == nil || bound(state) == nil {
			return nil, err
		}
		s.from = bound(state)
		return state, nil
	}
	s.base.WrapSession = func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		s.adopt(cs)
		state.Extra = append(state.Extra, s.id)
		return base.EncryptTicket(cs, state)
	}
	return s
}

// fresh returns the configuration of one data connection of a server. It is not made in advance, since
// most idle sessions never need it.
func (s *Security) fresh() *tls.Config {
	cfg := s.base.Clone()
	cfg.NextProtos = nil // clients name the protocol on the control connection
	cfg.WrapSession = func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		state.Extra = append(state.Extra, s.id)
		return s.keys.EncryptTicket(cs, state)
	}
	cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		state, err := s.keys.DecryptTicket(ticket, cs)
		if state == nil || !bytes.Equal(bound(state), s.id) {
			return nil, err // the session of another control connection is not resumed
		}
		return state, nil
	}
	return cfg
}

// adopt takes over the id of an earlier session that the control connection has resumed, so that the tickets
// that the client has remain valid for data connections.
func (s *Security) adopt(cs tls.ConnectionState) {
	if cs.DidResume && s.from != nil {
		s.id = s.from
	}
}

// bound returns the id in a session ticket, or nil.
func bound(state *tls.SessionState) []byte {
	for _, e := range state.Extra {
		if bytes.HasPrefix(e, []byte(tickets)) {
			return e
		}
	}
	return nil
}

// ClientSecurity returns the Security of one control connection of a client. Its data connections resume the
// session of the control connection. The server's certificate must be valid for host, unless
// base has a ServerName. base is not changed; nil means the system's root certificates.
func ClientSecurity(base *tls.Config, host string) *Security {
	if base == nil {
		base = new(tls.Config)
	}
	s := &Security{side: ftp.UserPI, base: base.Clone()}
	if s.base.ServerName == "" {
		s.base.ServerName = host
	}
	// The key of a cached session is the ServerName. Without one it would be the address, and no data
	// connection, which has another port, would find the session.
	s.base.ClientSessionCache = sessions{tls.NewLRUClientSessionCache(4)}
	s.data = s.base.Clone()
	s.base.NextProtos = []string{"ftp"}
	s.data.NextProtos = nil
	s.data.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := s.same(cs); err != nil || base.VerifyConnection == nil {
			return err
		}
		return base.VerifyConnection(cs)
	}
	return s
}

// sessions is a cache that keeps a session after a handshake with it has failed. Package tls drops it
// then, even if the handshake was only cancelled, and a server that requires resumption would
// refuse all further data connections.
type sessions struct{ tls.ClientSessionCache }

// Put adds a session. A nil session would remove the one that is there, and is ignored.
func (s sessions) Put(key string, state *tls.ClientSessionState) {
	if state != nil {
		s.ClientSessionCache.Put(key, state)
	}
}

// ErrOtherPeer is returned if the peer of a data connection does not present the certificate that it has
// presented on the control connection.
var ErrOtherPeer = errors.New("its certificate is not that of the control connection")

// ErrNotResumed is returned if a data connection does not resume the TLS session of the control connection
// although it must.
var ErrNotResumed = errors.New("it does not resume the TLS session of the control connection by a ticket (session IDs of TLS 1.2 are not kept)")

// same returns ErrOtherPeer unless the peer of a data connection is that of the control connection.
func (s *Security) same(cs tls.ConnectionState) error {
	if s.leaf != nil && (len(cs.PeerCertificates) == 0 || !bytes.Equal(cs.PeerCertificates[0].Raw, s.leaf)) {
		return ErrOtherPeer
	}
	return nil
}

// Control makes the TLS handshake on the control connection conn, until the deadline. If it fails, the
// error is a *TLSError and conn is not closed.
func (s *Security) Control(conn net.Conn, deadline time.Time) (*tls.Conn, error) {
	c := s.wrap(conn, s.base)
	err := conn.SetDeadline(deadline)
	if err == nil {
		err = c.HandshakeContext(context.Background()) // the deadline ends it
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, &TLSError{Err: handshakeError(err)}
	}
	cs := c.ConnectionState()
	s.adopt(cs)
	if len(cs.PeerCertificates) > 0 {
		s.leaf = cs.PeerCertificates[0].Raw
	}
	return c, nil
}

// wrap makes this end a TLS client or server. It depends on the side only, never on the stance: in active
// mode the server dials and is the TLS server nevertheless (RFC 4217 §7).
func (s *Security) wrap(conn net.Conn, cfg *tls.Config) *tls.Conn {
	if s.side == ftp.ServerPI {
		return tls.Server(conn, cfg)
	}
	return tls.Client(conn, cfg)
}

// Data puts a data connection of a client that was made without a Manager under TLS. The caller makes the
// handshake.
func (s *Security) Data(conn net.Conn) *tls.Conn { return s.wrap(conn, s.data) }

// Describe describes a TLS connection, for events.
func Describe(cs tls.ConnectionState) ftp.TLS {
	t := ftp.TLS{Version: tls.VersionName(cs.Version), Suite: tls.CipherSuiteName(cs.CipherSuite), Resumed: cs.DidResume}
	if len(cs.PeerCertificates) > 0 {
		t.Peer = cs.PeerCertificates[0].Subject.String()
	}
	return t
}

// Leaf returns the certificate that the peer has presented on the control connection, or nil.
func (s *Security) Leaf() *x509.Certificate {
	cert, err := x509.ParseCertificate(s.leaf)
	if err != nil {
		return nil
	}
	return cert
}

// Reversed returns the Security for data connections on which this server is the TLS client, because
// the other end is a server too (SSCN, CPSV). No session is resumed there. base defines which
// certificates are trusted; they must be valid for the other server's IP address, unless base has
// a ServerName. If base is nil any certificate is accepted, since nothing names the other server.
func (s *Security) Reversed(base *tls.Config) *Security {
	r := &Security{side: ftp.UserPI, data: new(tls.Config)}
	if base != nil {
		r.data = base.Clone()
	}
	r.data.InsecureSkipVerify = base == nil || base.InsecureSkipVerify
	r.data.MinVersion = max(r.data.MinVersion, s.base.MinVersion, tls.VersionTLS12) // s may be for old clients
	return r
}

// secured is a data connection under TLS. The pump sets receives before the handshake.
type secured struct {
	*tls.Conn
	wire     *wire
	security *Security
	copies   bool // with another server (FXP), which does not have the session of the control connection
	receives bool // this end only reads
	ready    bool // the handshake was made
}

func (s *Security) secure(nc net.Conn, copies bool) *secured {
	c := &secured{wire: &wire{Conn: nc}, security: s, copies: copies}
	cfg := s.data
	switch {
	case s.side == ftp.ServerPI:
		cfg = c.withholdTickets(s.fresh())
		if copies { // another server presents no client certificate
			cfg.ClientAuth, cfg.SessionTicketsDisabled = tls.NoClientCert, true
		}
	case cfg.ServerName == "":
		cfg = cfg.Clone()
		cfg.ServerName = AddrPort(nc.RemoteAddr()).Addr().String()
	}
	c.Conn = s.wrap(c.wire, cfg)
	return c
}

// withholdTickets keeps a server from sending session tickets where they do harm:
//
//   - On a data connection that only receives. A TLS 1.3 client that only writes never reads the
//     ticket. Its close then becomes a reset, which destroys bytes in flight (curl #6149, lftp
//     #666). With TLS 1.2 the ticket is part of the handshake and harmless.
//   - On one that does not resume the session of the control connection. Its peer could be anybody, and
//     the ticket would let it pass for the client.
//
// A tls.Config can only turn tickets off altogether, and then no session can be resumed either. So
// SessionTicketsDisabled is set in the middle of the handshake, in two callbacks: after the
// client's ticket has been examined (UnwrapSession) or, for a client without a ticket, when TLS 1.3
// chooses a certificate, which a resumed session does not need. Package tls does not promise to
// read the field that late; TestNoTicketOnUploads would fail if it did not.
func (c *secured) withholdTickets(cfg *tls.Config) *tls.Config {
	withhold := func() { cfg.SessionTicketsDisabled = true }
	unwrap := cfg.UnwrapSession
	cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		state, err := unwrap(ticket, cs)
		if state == nil || c.receives && cs.Version >= tls.VersionTLS13 {
			withhold()
		}
		return state, err
	}
	choice := certificates{cfg.GetCertificate, cfg.Certificates}
	cfg.Certificates = nil // else package tls would not call GetCertificate
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if most := cfg.MaxVersion; (most == 0 || most >= tls.VersionTLS13) && slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
			withhold() // not for TLS 1.2, which chooses a certificate before it resumes
		}
		return choice.choose(hello)
	}
	return cfg
}

// certificates holds the certificates of a tls.Config.
type certificates struct {
	get func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	all []tls.Certificate
}

// choose returns the certificate that package tls would choose.
func (c certificates) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.get != nil && (len(c.all) == 0 || hello.ServerName != "") {
		if cert, err := c.get(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range c.all {
		if hello.SupportsCertificate(&c.all[i]) == nil {
			return &c.all[i], nil
		}
	}
	if len(c.all) > 0 {
		return &c.all[0], nil
	}
	return nil, errors.New("there is no certificate")
}

// shakeHands makes the handshake, after the server has replied 150. A deadline in the past cancels it.
func (c *secured) shakeHands() (err error) {
	if err = c.HandshakeContext(context.Background()); err == nil {
		if c.receives {
			ackAtOnce(c.wire.Conn)
		}
		cs := c.ConnectionState()
		switch {
		case c.security.side != ftp.ServerPI: // VerifyConnection has checked
		case c.copies: // another server has neither a certificate nor the session of the control connection
		case c.security.reuse == ReuseRequire && !cs.DidResume:
			err = ErrNotResumed
		default:
			err = c.security.same(cs)
		}
	}
	if err != nil {
		return &TLSError{Data: true, Err: handshakeError(err)}
	}
	return nil
}

// cutShort reports whether the connection was closed without close_notify, as anybody on the way can do.
// Package tls returns io.EOF for a FIN between two records, too.
func (c *secured) cutShort() bool { return c.wire.ended }

// finish ends an upload so that its last byte arrives: it sends close_notify and FIN, then reads what
// the server still sends, such as a session ticket. Closing with bytes unread would send a
// reset, which destroys bytes in flight.
func (c *secured) finish(within time.Duration) error {
	if err := c.CloseWrite(); err != nil {
		return err
	}
	tcp, ok := c.wire.Conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	_ = tcp.CloseWrite()
	_ = tcp.SetReadDeadline(time.Now().Add(within))
	var rest [512]byte
	for range 1 << 10 {
		if _, err := tcp.Read(rest[:]); err != nil {
			break
		}
	}
	return nil
}

// Close sends close_notify and closes the connection. Errors are ignored: the peer may have closed
// it after the last byte.
func (c *secured) Close() error {
	_ = c.Conn.Close()
	c.wire.release()
	return nil
}
