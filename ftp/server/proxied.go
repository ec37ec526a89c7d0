package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"

	"miniftp/ftp/dtp"
)

// A balancer in Options.ProxyProtocol sends a header before the first byte of each connection, control or data, that
// says where the client is and which address it has reached (PROXY protocol, versions 1 and 2). The header is read
// exactly, without a buffer that would take bytes of the client, because the session works on the bare connection.

// Bounds on headers.
const (
	longestProxyV1 = 107  // bytes, with the line end
	longestProxyV2 = 4096 // bytes; with extensions such as the names of certificates
	proxyV2Start   = 16   // signature, command, family, and the length of the rest
)

var proxyV2Signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// errNoProxyHeader is returned for a connection from a balancer that does not begin with a header.
var errNoProxyHeader = errors.New("the balancer sent no PROXY header")

// proxied is what a header says. Both are not valid for the balancer's own connections, such as checks whether the
// server is alive.
type proxied struct{ client, reached netip.AddrPort }

// readProxyHeader reads a header from conn, and not a byte more.
func readProxyHeader(conn net.Conn) (proxied, error) {
	if err := conn.SetReadDeadline(time.Now().Add(proxyWait)); err != nil {
		return proxied{}, err
	}
	text, err := proxyHeaderBytes(conn)
	if err != nil {
		return proxied{}, err
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		return proxied{}, fmt.Errorf("the balancer sent a malformed PROXY header: %w", err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return proxied{}, err
	}
	client, reached, ok := h.TCPAddrs()
	if h.Command.IsLocal() || !ok {
		return proxied{}, nil
	}
	return proxied{dtp.AddrPort(client), dtp.AddrPort(reached)}, nil
}

func proxyHeaderBytes(conn io.Reader) ([]byte, error) {
	text := make([]byte, proxyV2Start, 256)
	if _, err := io.ReadFull(conn, text[:1]); err != nil {
		return nil, err
	}
	switch text[0] {
	case 'P': // version 1: a line
		text = text[:1]
		for text[len(text)-1] != '\n' {
			if len(text) == longestProxyV1 {
				return nil, errNoProxyHeader
			}
			text = append(text, 0)
			if _, err := io.ReadFull(conn, text[len(text)-1:]); err != nil {
				return nil, err
			}
		}
		if !bytes.HasPrefix(text, []byte("PROXY ")) {
			return nil, errNoProxyHeader
		}
		return text, nil
	case proxyV2Signature[0]:
		if _, err := io.ReadFull(conn, text[1:]); err != nil {
			return nil, err
		}
		rest := int(binary.BigEndian.Uint16(text[14:]))
		if !bytes.HasPrefix(text, proxyV2Signature) || rest > longestProxyV2 {
			return nil, errNoProxyHeader
		}
		text = append(text, make([]byte, rest)...)
		_, err := io.ReadFull(conn, text[proxyV2Start:])
		return text, err
	}
	return nil, errNoProxyHeader
}

// isProxy reports whether a connection from that address must begin with a header.
func (s *settings) isProxy(from netip.Addr) bool { return in(s.ProxyProtocol, from.Unmap()) }

// takeProxied reads the header of a connection from a balancer, on a goroutine of its own, and then starts the session.
func (s *Server) takeProxied(conn net.Conn, tlsFirst bool, set *settings) {
	begun := s.goBackground(func() {
		defer func() { <-s.headers }()
		stop := context.AfterFunc(s.ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
		h, err := readProxyHeader(conn)
		stop()
		switch {
		case err == nil:
			sess := newSession(s, conn, tlsFirst)
			sess.viaProxy(h)
			s.begin(sess)
		case errors.Is(err, io.EOF): // the balancer checks whether the server is alive
			_ = conn.Close()
		default:
			set.Log.Warn("a connection of a balancer was refused", "from", conn.RemoteAddr().String(), "err", err)
			_ = conn.Close()
		}
	})
	if !begun {
		<-s.headers
		_ = conn.Close()
	}
}

// viaProxy makes the session that of the client in the header.
func (s *session) viaProxy(h proxied) {
	if h.client.IsValid() {
		s.control.Remote = h.client
	}
	if h.reached.IsValid() {
		s.reached = h.reached.Addr()
	}
}

// sender returns the address from which a data connection comes: that in the header if it comes from a balancer.
func (s *settings) sender(conn *net.TCPConn) (netip.AddrPort, error) {
	from := dtp.AddrPort(conn.RemoteAddr())
	if !s.isProxy(from.Addr()) {
		return from, nil
	}
	h, err := readProxyHeader(conn)
	if err != nil || !h.client.IsValid() {
		return from, errors.Join(err, errNoProxyHeader)
	}
	return h.client, nil
}
