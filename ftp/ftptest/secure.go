package ftptest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"miniftp/ftp"
)

// To make faults under TLS, the relay ends the client's TLS connection and opens another one to
// the server. It repeats there what the client does. If the client's data connection does not
// resume the TLS session of the control connection, neither does the relay's, so
// Options.SessionReuse works as without the relay. If the client closes a data connection without
// close_notify, so does the relay.

// security holds the TLS configuration and state of one control connection and its data
// connections.
type security struct {
	front, back *tls.Config // towards the client; towards the server
	private     bool        // PROT P was accepted
	sscn, cpsv  bool        // on data connections the server is the TLS client, in a transfer between servers
}

func newSecurity(base *tls.Config) *security {
	s := &security{front: base.Clone()}
	var key [32]byte
	_, _ = rand.Read(key[:])
	s.front.SetSessionTicketKeys([][32]byte{key}) // so only sessions of this control connection can be resumed
	s.back = &tls.Config{
		ServerName:         "ftptest",
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	s.back.InsecureSkipVerify = true // the server is in this process
	return s
}

// interceptable reports whether the relay can decrypt TLS. It cannot if the server requires a
// certificate, because the relay does not have the client's, and it does not support CCC.
func interceptable(cfg *tls.Config, ccc bool) bool {
	return cfg != nil && cfg.ClientAuth == tls.NoClientCert && !ccc
}

func shakeHands(c *tls.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	return c.HandshakeContext(ctx)
}

// secureServer begins TLS with the server.
func (x *session) secureServer() error {
	c := tls.Client(x.server, x.tls.back)
	if err := shakeHands(c); err != nil {
		return err
	}
	x.mu.Lock()
	x.server = c
	x.mu.Unlock()
	return nil
}

// secureClient begins TLS with the client.
func (x *session) secureClient() error {
	c := tls.Server(x.client, x.tls.front)
	if err := shakeHands(c); err != nil {
		return err
	}
	x.mu.Lock()
	x.client = c
	x.tls.private = x.s.implicit
	x.mu.Unlock()
	return nil
}

// follow updates the state of data connections according to a reply.
func (s *security) follow(cmd ftp.Command, code ftp.Code) {
	if code.Class() != ftp.Completion {
		return
	}
	switch cmd.Verb {
	case "PROT":
		s.private = strings.EqualFold(cmd.Arg, "P")
	case "SSCN":
		s.sscn = strings.EqualFold(cmd.Arg, "ON")
	case "CPSV", "PASV", "EPSV", "PORT", "EPRT":
		s.cpsv = cmd.Verb == "CPSV"
	}
}

// ends performs the TLS handshakes on both sides of a data connection, if it is protected. c is
// usable even if the handshake with the server failed.
func (x *session) ends(p *dataPort, client, server rawConn) (c, s end, err error) {
	c, s = end{Conn: client, raw: client}, end{Conn: server, raw: server}
	x.mu.Lock()
	sec := x.tls
	plain := sec == nil || !sec.private || sec.sscn || sec.cpsv
	x.mu.Unlock()
	if plain {
		return c, s, nil
	}
	cc := tls.Server(c.note(), quietData(sec.front))
	c.Conn = cc
	if err := shakeHands(cc); err != nil || p.isEnded() {
		return c, s, err
	}
	back := sec.back
	if !cc.ConnectionState().DidResume {
		back = back.Clone()
		back.ClientSessionCache = nil
	}
	sc := tls.Client(s.note(), back)
	s.Conn = sc
	return c, s, shakeHands(sc)
}

// quietData returns a configuration for a data connection that sends no session ticket. A client
// that only writes would not read the ticket, and closing a connection with unread data resets
// it. Package dtp does the same for the real server.
func quietData(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	certs, get := cfg.Certificates, cfg.GetCertificate
	cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		state, err := cfg.DecryptTicket(ticket, cs)
		cfg.SessionTicketsDisabled = cfg.SessionTicketsDisabled || cs.Version >= tls.VersionTLS13
		return state, err
	}
	cfg.Certificates = nil
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if most := cfg.MaxVersion; (most == 0 || most >= tls.VersionTLS13) && slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
			cfg.SessionTicketsDisabled = true // TLS 1.2 asks before it resumes
		}
		if len(certs) == 0 {
			return get(hello)
		}
		return &certs[0], nil
	}
	return cfg
}

// end is one end of a data connection.
type end struct {
	net.Conn
	raw     rawConn
	stopped *atomic.Bool // with TLS: whether the TCP connection has ended; else nil
}

// noted is a TCP connection under TLS that records its end.
type noted struct {
	net.Conn
	stopped *atomic.Bool
}

func (n noted) Read(b []byte) (int, error) {
	c, err := n.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		n.stopped.Store(true)
	}
	return c, err
}

// note returns the TCP connection for use by TLS.
func (e *end) note() net.Conn {
	e.stopped = new(atomic.Bool)
	return noted{e.raw, e.stopped}
}

// clean reports whether the peer ended its data properly, which with TLS means by close_notify.
func (e end) clean() bool { return e.stopped == nil || !e.stopped.Load() }

// finish closes the connection for writing. With TLS it sends close_notify only if clean is true.
func (e end) finish(clean bool) {
	if c, ok := e.Conn.(*tls.Conn); ok && clean {
		_ = c.CloseWrite()
	}
	_ = e.raw.CloseWrite()
}

// reset closes the connection with a TCP reset.
func (e end) reset() {
	_ = e.raw.SetLinger(0)
	_ = e.raw.Close()
}
