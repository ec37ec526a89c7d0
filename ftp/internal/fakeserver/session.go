package fakeserver

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
)

// Session is one control connection of a Server.
type Session struct {
	Server   *Server
	Conn     net.Conn
	In       *bufio.Reader
	Listener net.Listener   // of EPSV or PASV; nil: none
	Port     netip.AddrPort // of PORT or EPRT
	Dir      string         // the current directory; "" is the login directory
	Offset   int            // of REST
	ASCII    bool
	DataTLS  *tls.Config // for data connections; nil: no TLS

	from string // of RNFR
}

func (s *Session) run() {
	if s.Server.Greeting == "" {
		_, _ = s.In.ReadByte() // waits until the other side gives up
		return
	}
	s.Raw(s.Server.Greeting)
	for {
		verb, arg, ok := s.Next()
		if !ok {
			return
		}
		if h := s.Server.On[verb]; h != nil {
			h(s, arg)
		} else {
			s.Behave(verb, arg)
		}
	}
}

// Next reads one command.
func (s *Session) Next() (verb, arg string, ok bool) {
	line, err := s.In.ReadString('\n')
	if err != nil {
		return "", "", false
	}
	line = strings.TrimSuffix(line, "\r\n")
	s.Server.mu.Lock()
	s.Server.got = append(s.Server.got, line)
	s.Server.mu.Unlock()
	verb, arg, _ = strings.Cut(line, " ")
	return verb, arg, true
}

// Raw sends text on the control connection.
func (s *Session) Raw(text string) { _, _ = io.WriteString(s.Conn, text) }

// Say sends a line on the control connection.
func (s *Session) Say(line string) { s.Raw(line + "\r\n") }

// StartTLS starts TLS on the control connection.
func (s *Session) StartTLS(cfg *tls.Config) {
	c := tls.Server(s.Conn, cfg)
	s.Conn, s.In = c, bufio.NewReader(c)
}

// Listen opens a port for the next data connection.
func (s *Session) Listen() {
	s.DropData()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Server.t.Error(err)
		return
	}
	s.Listener = ln
	s.Server.closeLater(ln)
}

// ListenPort returns the port that Listen opened.
func (s *Session) ListenPort() int { return s.Listener.Addr().(*net.TCPAddr).Port }

// DropData closes the listener and drops the address of PORT or EPRT.
func (s *Session) DropData() {
	if s.Listener != nil {
		_ = s.Listener.Close()
		s.Listener = nil
	}
	s.Port = netip.AddrPort{}
}

// Data opens the data connection: it accepts one after EPSV or PASV, and dials after EPRT or PORT.
func (s *Session) Data() net.Conn {
	defer s.DropData()
	var c net.Conn
	var err error
	if s.Listener != nil {
		c, err = s.Listener.Accept()
	} else {
		c, err = net.Dial("tcp", s.Port.String())
	}
	if err != nil {
		return Gone() // let the handler run to its end
	}
	s.Server.closeLater(c)
	if s.DataTLS != nil {
		return tls.Server(c, s.DataTLS)
	}
	return c
}

// Errorf reports an error of the test.
func (s *Session) Errorf(format string, args ...any) { s.Server.t.Errorf(format, args...) }

// Gone returns a closed connection, for handlers that need one although none could be made.
func Gone() net.Conn {
	a, b := net.Pipe()
	_, _ = a.Close(), b.Close()
	return b
}

// Send sends text over a data connection and closes it.
func (s *Session) Send(text string) {
	c := s.Data()
	_, _ = io.WriteString(c, text)
	_ = c.Close()
}
