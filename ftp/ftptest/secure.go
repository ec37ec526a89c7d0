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

// The relay can make faults under TLS because it is the TLS server of the client and a TLS
// client of the server behind. What a client does with TLS is repeated there: a data
// connection that does not resume the session of the control connection does not resume it
// at the server either, so Options.SessionReuse works; one that ends without close_notify
// ends so for the server.

// security is the TLS of one control connection and its data connections.
type security struct {
	front, back *tls.Config
	private     bool // PROT P
	sscn, cpsv  bool // the server is the TLS client on data connections, with another server
}

func newSecurity(base *tls.Config) *security {
	s := &security{front: base.Clone()}
	var key [32]byte
	_, _ = rand.Read(key[:])
	s.front.SetSessionTicketKeys([][32]byte{key}) // of this control connection only
	s.back = &tls.Config{
		ServerName:         "ftptest",
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	s.back.InsecureSkipVerify = true // it is our own, on loopback
	return s
}

// interceptable reports whether the relay can be between the ends of TLS: it has no
// client's certificate to show, and does not follow CCC.
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

// follow keeps up with what was agreed on for data connections.
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

// ends makes TLS of a data connection, where that was agreed on. The client's end is good
// also if there is an error at the server's.
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

// quietData returns the configuration of a data connection on which no session ticket is
// sent: a client that only writes would not read it, and its close would be a reset. What
// the server itself does about it is in package dtp.
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
	stopped *atomic.Bool // TLS only: whether the TCP connection has ended
}

// noted notes the end of the TCP connection below TLS.
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

// note returns the TCP connection for TLS to stand on.
func (e *end) note() net.Conn {
	e.stopped = new(atomic.Bool)
	return noted{e.raw, e.stopped}
}

// clean reports whether what was read has ended as it should: by close_notify, under TLS.
func (e end) clean() bool { return e.stopped == nil || !e.stopped.Load() }

// finish ends what is written; under TLS without close_notify, unless clean.
func (e end) finish(clean bool) {
	if c, ok := e.Conn.(*tls.Conn); ok && clean {
		_ = c.CloseWrite()
	}
	_ = e.raw.CloseWrite()
}

// reset cuts the connection.
func (e end) reset() {
	_ = e.raw.SetLinger(0)
	_ = e.raw.Close()
}
