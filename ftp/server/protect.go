package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// TLS on the control connection changes twice at most:
//
//	in the clear ── AUTH: 234, handshake ─→ under TLS ── CCC: 200, close_notify ─→ in the clear
//
// Each change is made after the reply has left and before another line is read (stepTLS). Whatever the client
// has sent in between ends the session. session.tls stays set after CCC: AUTH is not possible again, and data
// connections still can be under TLS.

func protectRows() []row {
	return []row{
		{verb: "AUTH", anyone: true, syntax: wordArg.shape("TLS"), rfc: "4217 §4", feat: ifTLS("AUTH TLS"), help: "put the control connection under TLS", run: (*session).auth},
		{verb: "PBSZ", anyone: true, syntax: wordArg.shape("0"), rfc: "4217 §8", feat: ifTLS("PBSZ"), help: "set the protection buffer size; always 0 for TLS", run: (*session).pbsz},
		{verb: "PROT", anyone: true, syntax: wordArg.shape("C | P"), rfc: "4217 §9", feat: ifTLS("PROT"), help: "protect data connections with TLS (P) or not (C)", run: (*session).prot},
		{verb: "CCC", syntax: noArg, rfc: "4217 §7", feat: ifCCC, help: "end TLS on the control connection", run: (*session).ccc},
	}
}

func ifTLS(line string) func(*session) string {
	return func(s *session) string {
		if s.set.tls == nil {
			return ""
		}
		return line
	}
}

func ifCCC(s *session) string {
	if !s.set.AllowCCC {
		return ""
	}
	return ifTLS("CCC")(s)
}

// tlsStep is the change of TLS on the control connection that follows once the reply to AUTH or CCC is sent.
type tlsStep uint8

const (
	tlsStays  tlsStep = iota // none
	tlsBegins                // AUTH: the handshake
	tlsEnds                  // CCC: close_notify
)

// auth accepts AUTH. The handshake follows when the reply is sent.
func (s *session) auth(mechanism string) ftp.Reply {
	switch {
	case s.set.tls == nil:
		return ftp.NewReply(502, "TLS is not supported.")
	case s.tls != nil:
		return ftp.NewReply(503, "The control connection is or was under TLS already.")
	}
	level, err := ftp.ParseAuth(mechanism)
	if err != nil {
		return ftp.NewReply(504, "Only AUTH TLS is supported.")
	}
	s.tlsNext = tlsBegins
	if level == ftp.Private {
		return ftp.NewReply(234, "Begin the TLS handshake; data connections are under TLS too.")
	}
	return ftp.NewReply(234, "Begin the TLS handshake.")
}

// errEarly ends a session whose client has sent bytes between AUTH and the reply. Either the client does
// not wait, or someone on the path has inserted them: commands sent in the clear must not be run as if they had
// been sent under TLS (CVE-2011-0411).
var errEarly = errors.New("bytes were sent in the clear after AUTH")

// errEarlyCCC ends a session whose client has sent commands between CCC and the end of TLS.
var errEarlyCCC = errors.New("commands were sent after CCC, before the end of TLS")

// startTLS sends the pending replies and does the handshake. Afterwards the session starts anew (RFC 4217 §4).
func (s *session) startTLS() {
	s.tlsNext = tlsStays
	s.flush()
	if s.set.tls == nil && s.dead == nil {
		s.dead = errors.New("the certificate was removed") // Reload has removed it
	}
	if s.dead != nil {
		return
	}
	// Nothing sent before the handshake may be run after it.
	if s.lines.Buffered() > 0 || len(s.held) > 0 {
		s.dead = errEarly
		return
	}
	dropUrgent(s.conn)
	raw := s.raw
	if s.set.AllowCCC {
		raw = &records{Conn: raw}
	}
	security := s.security()
	conn, err := security.Control(raw, time.Now().Add(s.set.LoginTimeout))
	s.alarm.forget()
	if err != nil {
		s.dead = err
		if s.set.tls.ClientAuth != tls.NoClientCert {
			s.emitRefused(err.Error(), ftp.ReasonClientCertificate)
		}
		return
	}
	s.tls, s.conn = security, conn
	if cs := conn.ConnectionState(); len(cs.VerifiedChains) > 0 {
		s.cert = cs.PeerCertificates[0]
	}
	s.lines = ftp.NewLineReader(conn, maxLine)
	s.reset()
	s.identity = identity{}
	s.emit(ftp.ControlSecured{TLS: dtp.Describe(conn.ConnectionState())})
}

// certified reports whether the client has presented a certificate of that user.
func (s *session) certified(user string) bool {
	return s.cert != nil && s.set.CertUser != nil && s.set.CertUser(s.cert) == user
}

// tlsState returns the TLS state of the control connection, or nil if it is in the clear.
func (s *session) tlsState() *tls.ConnectionState {
	conn, ok := s.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	cs := conn.ConnectionState()
	return &cs
}

// pbsz answers PBSZ. TLS has no buffer size to negotiate (RFC 4217 §8), so the answer is always 0.
func (s *session) pbsz(arg string) ftp.Reply {
	n, err := ftp.ParseOffset(strings.TrimSpace(arg))
	switch {
	case s.tls == nil:
		return ftp.NewReply(503, "Send AUTH TLS before PBSZ.")
	case err != nil || n > 1<<32-1:
		return ftp.NewReply(501, "PBSZ takes a 32-bit number: PBSZ 0.")
	}
	return ftp.NewReply(200, "PBSZ=0")
}

// prot checks a protection level. The level itself changes with the reply, in ftp.Params.Step.
func (s *session) prot(arg string) ftp.Reply {
	level, err := ftp.ParseProtection(arg)
	switch {
	case s.tls == nil:
		return ftp.NewReply(503, "Send AUTH TLS and PBSZ before PROT.")
	case !s.params.Sized:
		return ftp.NewReply(503, "Send PBSZ 0 first.")
	case errors.Is(err, errors.ErrUnsupported): // S or E of RFC 2228 §3
		return ftp.NewReply(536, "PROT takes C (clear) or P (private): TLS has no other level.")
	case err != nil:
		return ftp.NewReply(504, "PROT takes C (clear) or P (private).")
	case level == ftp.Clear && s.set.TLSRequired:
		s.emitRefused("PROT C: TLS is required", ftp.ReasonTLSRequired)
		return ftp.NewReply(534, "TLS is required on data connections: send PROT P.")
	case level == ftp.Clear:
		return ftp.NewReply(200, "Data connections are clear.")
	}
	return ftp.NewReply(200, "Data connections are under TLS.")
}

// protect sets how the next data connection is protected: as PROT says, with this server as the TLS client if
// reversed.
func (s *session) protect(verb string) {
	switch {
	case s.params.Protection != ftp.Private:
		s.data.Protect(nil)
	case s.reversed(verb):
		s.data.Protect(s.tls.Reversed(s.set.FXPTLS))
	default:
		s.data.Protect(s.tls)
	}
}

// needsTLS returns the refusal of a command that Options.TLSRequired does not permit in the clear.
func (s *session) needsTLS(r *row) (ftp.Reply, bool) {
	switch {
	case r == nil, !s.set.TLSRequired:
	case s.tls == nil && (r.verb == "USER" || r.verb == "PASS" || r.verb == "ACCT"):
		return ftp.NewReply(530, "TLS is required: send AUTH TLS before the login."), true
	case ftp.IsTransfer(r.verb) && s.params.Protection != ftp.Private:
		return ftp.NewReply(521, "Data connections must be under TLS: send PBSZ 0 and PROT P."), true
	}
	return ftp.Reply{}, false
}

// ccc accepts CCC, for firewalls that have to read PORT and 227. The login was under TLS; data connections stay
// as PROT has set them.
func (s *session) ccc(string) ftp.Reply {
	switch _, secured := s.conn.(*tls.Conn); {
	case !secured:
		return ftp.NewReply(533, "The control connection is clear already.")
	case !s.set.AllowCCC:
		s.emitRefused("CCC: the control connection stays under TLS", ftp.ReasonCCC)
		return ftp.NewReply(534, "The control connection must stay under TLS.")
	}
	s.tlsNext = tlsEnds
	return ftp.NewReply(200, "The control connection is clear from now on.")
}

// endTLS ends TLS on the control connection. Clients differ:
//
//   - lftp sends close_notify first and waits for ours before it continues,
//   - some wait for our close_notify and answer it,
//   - curl with --ftp-ssl-ccc-mode passive sends none and continues in the clear.
//
// So endTLS waits up to clientEndsTLS for the client's next byte and sends close_notify if none comes. The
// first byte then shows whether a TLS record or a command in the clear follows.
func (s *session) endTLS() {
	s.tlsNext = tlsStays
	s.flush()
	conn, ok := s.conn.(*tls.Conn)
	if !ok || s.dead != nil {
		return
	}
	if s.lines.Buffered() > 0 {
		s.dead = errEarlyCCC
		return
	}
	s.alarm.forget()
	below := conn.NetConn().(*records)
	// Wait for the client to end TLS. If it does not, send our close_notify and wait for its next byte.
	_ = s.raw.SetDeadline(time.Now().Add(clientEndsTLS))
	first, err := below.peek()
	_ = s.raw.SetDeadline(time.Now().Add(s.set.DataTimeout))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = conn.CloseWrite()
		if err == nil {
			first, err = below.peek()
		}
	}
	// A TLS record has to be the client's close_notify. Any other byte begins a command in the clear.
	const lowest, highest = 20, 23 // the types of TLS records (RFC 8446 §5.1)
	if err == nil && first >= lowest && first <= highest {
		var none [1]byte
		var n int
		if n, err = conn.Read(none[:]); n > 0 || !errors.Is(err, io.EOF) {
			err = errors.New("the client did not end TLS after CCC")
		} else {
			err = conn.CloseWrite()
		}
	}
	if err != nil {
		s.dead = err
		return
	}
	_ = s.raw.SetDeadline(time.Time{})
	keepUrgent(s.raw)
	s.conn = s.raw
	s.lines = ftp.NewLineReader(io.MultiReader(bytes.NewReader(below.peeked), s.raw), maxLine)
	s.emit(ftp.ControlCleared{})
}

// records is a connection whose Read stops at the end of a TLS record. So what follows the last record, in the
// clear, is left for the next reader.
type records struct {
	net.Conn
	peeked []byte  // read by peek, not yet returned by Read
	head   [5]byte // of the current record: type, version, length
	got    int     // bytes of head that were read
	left   int     // bytes of the record that were not yet read
}

// peek returns the next byte without consuming it.
func (r *records) peek() (byte, error) {
	var b [1]byte
	if n, err := r.Conn.Read(b[:]); n == 0 {
		return 0, err
	}
	r.peeked = b[:]
	return b[0], nil
}

// Read returns bytes of the current record only. It reads the header first, in pieces if necessary, to learn
// the length.
func (r *records) Read(b []byte) (n int, err error) {
	switch {
	case len(b) == 0:
		return 0, nil
	case r.left > 0:
		n, err = r.Conn.Read(b[:min(len(b), r.left)])
		r.left -= n
		return n, err
	case len(r.peeked) > 0:
		n = copy(b, r.peeked)
		r.peeked = r.peeked[n:]
	default:
		n, err = r.Conn.Read(b[:min(len(b), len(r.head)-r.got)])
	}
	r.got += copy(r.head[r.got:], b[:n])
	if r.got == len(r.head) {
		r.got, r.left = 0, int(r.head[3])<<8|int(r.head[4])
	}
	return n, err
}

// tlsProblem describes a failed handshake to the client.
func tlsProblem(e *dtp.TLSError) string {
	switch {
	case errors.Is(e, dtp.ErrOtherPeer):
		return dtp.ErrOtherPeer.Error()
	case errors.Is(e, os.ErrDeadlineExceeded):
		return "the handshake took too long"
	case errors.Is(e, io.EOF):
		return "you closed it before the end of the handshake"
	}
	return "the handshake failed"
}
