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

// Reuse says what becomes of TLS sessions (RFC 4217 §10.2).
type Reuse uint8

// The choices for the data connections of a server.
const (
	ReusePrefer  Reuse = iota // they may resume the control connection's session
	ReuseRequire              // they must: it proves that both ends are the same
	ReuseOff                  // nothing is resumed
)

func (r Reuse) String() string {
	return [...]string{"prefer", "require", "off"}[min(r, ReuseOff)]
}

// Security is the TLS of one control connection and of its data connections
// (RFC 4217). The user is the TLS client and the server the TLS server on both,
// whoever listens and whoever dials. It belongs to one control connection.
type Security struct {
	side  ftp.Side
	base  *tls.Config // of the control connection
	data  *tls.Config // of data connections, of who is the TLS client there
	keys  *tls.Config // a server's, shared by all: it has the keys of session tickets
	reuse Reuse
	id    []byte // a server's session tickets are bound to it
	from  []byte // the id in the ticket that the control connection came with
	leaf  []byte // the peer's certificate on the control connection
}

// tickets marks what miniftp adds to a session ticket: the control connection that it is for.
const tickets = "miniftp control "

// ServerSecurity secures one control connection of a server and its data
// connections. base is shared by all and not changed.
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

// fresh is the configuration of one data connection of a server. It is made when
// there is one: most control connections that are idle have none.
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
			return nil, err // somebody else's session is no session here
		}
		return state, nil
	}
	return cfg
}

// adopt binds a control connection that goes on with an earlier session to that
// one: the tickets that the client has are as good as new ones.
func (s *Security) adopt(cs tls.ConnectionState) {
	if cs.DidResume && s.from != nil {
		s.id = s.from
	}
}

// bound is the control connection that a ticket is bound to.
func bound(state *tls.SessionState) []byte {
	for _, e := range state.Extra {
		if bytes.HasPrefix(e, []byte(tickets)) {
			return e
		}
	}
	return nil
}

// ClientSecurity secures one control connection of a client and its data
// connections, which resume its session. host is the name that the server's
// certificate must be for, unless base has a ServerName. base is not changed;
// nil is the system's roots.
func ClientSecurity(base *tls.Config, host string) *Security {
	if base == nil {
		base = new(tls.Config)
	}
	s := &Security{side: ftp.UserPI, base: base.Clone()}
	if s.base.ServerName == "" {
		s.base.ServerName = host
	}
	// The key of a cached session is the ServerName: were it the address, no data
	// connection would find the session.
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

// sessions keeps a session whatever becomes of a handshake with it. Package tls
// drops one whose handshake failed, be it that somebody cancelled it: a server that
// wants it resumed would refuse every data connection from then on.
type sessions struct{ tls.ClientSessionCache }

// Put is that of the cache; a nil session says to drop the one that is there.
func (s sessions) Put(key string, state *tls.ClientSessionState) {
	if state != nil {
		s.ClientSessionCache.Put(key, state)
	}
}

// ErrOtherPeer is a data connection whose peer shows another certificate than the
// control connection's, or none.
var ErrOtherPeer = errors.New("its certificate is not that of the control connection")

// ErrNotResumed is a data connection that begins a TLS session of its own where
// it has to resume the control connection's.
var ErrNotResumed = errors.New("it does not resume the TLS session of the control connection by a ticket (session IDs of TLS 1.2 are not kept)")

// same reports whether the peer of a data connection is that of the control connection.
func (s *Security) same(cs tls.ConnectionState) error {
	if s.leaf != nil && (len(cs.PeerCertificates) == 0 || !bytes.Equal(cs.PeerCertificates[0].Raw, s.leaf)) {
		return ErrOtherPeer
	}
	return nil
}

// Control makes the TLS connection of the control connection conn and shakes hands
// until the deadline. A failure is a *TLSError; conn is not closed.
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

// wrap is where the TLS roles are given: by side, never by stance.
func (s *Security) wrap(conn net.Conn, cfg *tls.Config) *tls.Conn {
	if s.side == ftp.ServerPI {
		return tls.Server(conn, cfg)
	}
	return tls.Client(conn, cfg)
}

// Data puts a user's data connection under TLS that was made without a Manager. The handshake
// is up to the caller.
func (s *Security) Data(conn net.Conn) *tls.Conn { return s.wrap(conn, s.data) }

// Describe puts a TLS connection into plain words, for events.
func Describe(cs tls.ConnectionState) ftp.TLS {
	t := ftp.TLS{Version: tls.VersionName(cs.Version), Suite: tls.CipherSuiteName(cs.CipherSuite), Resumed: cs.DidResume}
	if len(cs.PeerCertificates) > 0 {
		t.Peer = cs.PeerCertificates[0].Subject.String()
	}
	return t
}

// Leaf is the peer's certificate on the control connection; nil if it showed none.
func (s *Security) Leaf() *x509.Certificate {
	cert, err := x509.ParseCertificate(s.leaf)
	if err != nil {
		return nil
	}
	return cert
}

// Reversed is s for data connections on which a server is the TLS client, as the
// other end is a server, too (SSCN, CPSV). No session is resumed there. base says
// whom to trust, with the other server's IP address for a name unless it has one;
// nil: anybody, as nothing on the control connection names the other server.
func (s *Security) Reversed(base *tls.Config) *Security {
	r := &Security{side: ftp.UserPI, data: new(tls.Config)}
	if base != nil {
		r.data = base.Clone()
	}
	r.data.InsecureSkipVerify = base == nil || base.InsecureSkipVerify
	r.data.MinVersion = max(r.data.MinVersion, s.base.MinVersion)
	return r
}

// secured is a data connection under TLS. Before the handshake receives must say
// which way the bytes will go.
type secured struct {
	*tls.Conn
	wire     *wire
	security *Security
	copies   bool // with another server, which has nothing to do with the control connection
	receives bool // this end only reads
	ready    bool // the handshake was made
}

func (s *Security) secure(nc net.Conn, copies bool) *secured {
	c := &secured{wire: &wire{Conn: nc}, security: s, copies: copies}
	cfg := s.data
	switch {
	case s.side == ftp.ServerPI:
		cfg = c.withholdTickets(s.fresh())
		if copies { // it is no client, and has no certificate of one
			cfg.ClientAuth, cfg.SessionTicketsDisabled = tls.NoClientCert, true
		}
	case cfg.ServerName == "":
		cfg = cfg.Clone()
		cfg.ServerName = AddrPort(nc.RemoteAddr()).Addr().String()
	}
	c.Conn = s.wrap(c.wire, cfg)
	return c
}

// withholdTickets keeps a server from sending session tickets where they harm:
//
//   - On a data connection that only receives. A TLS 1.3 client that only writes never reads the
//     ticket, and then its close turns into a reset that destroys bytes in flight (curl #6149, lftp
//     #666). With TLS 1.2 the ticket is part of the handshake.
//   - On one that does not resume the control connection's session. It could be anybody's, and the
//     ticket would make it the client's.
//
// Package crypto/tls knows only whether a configuration has tickets at all, and without them no
// session can be resumed. So they are switched off in the middle of the handshake, at the two
// moments at which it asks: when the client's ticket has been looked at (UnwrapSession), or, as a
// client without one does not come by there, when TLS 1.3 wants a certificate, which a resumed
// session does not need. That package tls looks at the switch so late is no promise of its;
// TestNoTicketOnUploads watches it.
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
	cfg.Certificates = nil // package tls would not ask
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if most := cfg.MaxVersion; (most == 0 || most >= tls.VersionTLS13) && slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
			withhold() // TLS 1.2 asks before it resumes, and must not be without tickets then
		}
		return choice.choose(hello)
	}
	return cfg
}

// certificates are those of a tls.Config.
type certificates struct {
	get func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	all []tls.Certificate
}

// choose chooses as package tls does.
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

// shakeHands makes the connection ready, once the server has said that the
// transfer begins. Whoever cancels it sets a deadline in the past.
func (c *secured) shakeHands() (err error) {
	if err = c.HandshakeContext(context.Background()); err == nil {
		if c.receives {
			ackAtOnce(c.wire.Conn)
		}
		cs := c.ConnectionState()
		switch {
		case c.security.side != ftp.ServerPI, c.copies: // VerifyConnection has looked; there is nothing to look at
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

// cutShort reports whether the peer closed the connection without close_notify:
// somebody else may have ended it. Package tls calls a FIN between two records
// the end, too.
func (c *secured) cutShort() bool { return c.wire.ended }

// finish ends what this end sent so that the last byte arrives: close_notify and
// FIN, then whatever the server still says is read. A close with bytes unread
// would be a reset.
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

// Close says close_notify and closes the connection. Of a peer that has gone
// already, as it may after the last byte, that is no failure.
func (c *secured) Close() error {
	_ = c.Conn.Close()
	c.wire.give()
	return nil
}
