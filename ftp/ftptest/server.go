package ftptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/server"
)

// Server is an FTP server for a test. Anyone may log in and do everything, until
// WithUser says who may. Its methods are safe for concurrent use.
type Server struct {
	Addr string // host:port of the control connection
	URL  string // "ftp://" or "ftps://", and Addr; no slash at the end
	FS   afero.Fs
	CAs  *x509.CertPool // what vouches for the server's certificate; nil without WithTLS

	tb    testing.TB
	srv   *server.Server
	inner string // the server behind the relay
	front net.Listener

	login    client.Options
	net      network
	product  *Product
	tls      *tls.Config // the relay's, if it reads what TLS protects
	implicit bool
	ended    chan struct{} // closed by Close

	mu       sync.Mutex
	faults   map[string][]armed // by verb
	events   []ftp.Event
	more     chan struct{} // closed by the next event
	commands []ftp.Command
	clear    []ftp.Command // those that came without TLS
	closed   bool
	open     map[net.Conn]struct{} // of the relay; and its listeners
	ports    map[net.Listener]struct{}
	work     sync.WaitGroup
}

// Option changes how NewServer starts.
type Option func(*config)

type config struct {
	opts     server.Options
	users    server.Static
	login    client.Options // of the first of them
	host     string
	tls      bool
	implicit bool
	net      network
	product  *Product
	faults   []func(*Server)
}

// WithUser adds a user who may log in; anonymous then may not. Perm says what the user may
// do.
func WithUser(name, password string, perm server.Perm) Option {
	return func(c *config) {
		if len(c.users) == 0 {
			c.login = client.Options{User: name, Password: password}
		}
		c.users[name] = server.User{Password: password, Account: server.Account{Perm: perm}}
	}
}

// WithOptions changes the server's options; Auth and Observer are the test's own
// to set here too, and then replace those of this package.
func WithOptions(change func(*server.Options)) Option {
	return func(c *config) { change(&c.opts) }
}

// WithTLS offers AUTH TLS. Faults and Products reach what TLS protects, unless
// WithOptions asks for certificates of clients or allows CCC.
func WithTLS() Option {
	return func(c *config) { c.tls = true }
}

// WithImplicitTLS begins each control connection with TLS; URL is ftps:// then.
func WithImplicitTLS() Option {
	return func(c *config) { c.tls, c.implicit = true, true }
}

// WithIPv6 listens on ::1.
func WithIPv6() Option { return func(c *config) { c.host = "::1" } }

// NewServer starts a server over fs on a free loopback port, and stops it when
// the test ends. A nil fs is an empty memory. A nil tb is for an Example or a program: what
// would fail a test is a panic then, and Close stops the server.
func NewServer(tb testing.TB, fs afero.Fs, options ...Option) *Server {
	if tb == nil {
		tb = noTest{}
	}
	tb.Helper()
	if fs == nil {
		fs = afero.NewMemMapFs()
	}
	s := &Server{
		FS: fs, tb: tb, faults: map[string][]armed{}, more: make(chan struct{}), ended: make(chan struct{}),
		open: map[net.Conn]struct{}{}, ports: map[net.Listener]struct{}{},
	}
	c := &config{users: server.Static{}, host: "127.0.0.1"}
	c.opts.Observer = ftp.ObserverFunc(s.observe)
	c.opts.Log = slog.New(slog.DiscardHandler)
	c.opts.FailureDelay, c.opts.MaxLoginFailures = server.NoDelay, server.NoLimit // tests may log in wrongly as often as they like
	for _, o := range options {
		o(c)
	}
	if c.opts.Auth == nil {
		c.opts.Auth = s.users(c.users)
	}
	var err error
	if c.tls {
		cert, err := server.SelfSigned()
		if err != nil {
			tb.Fatalf("ftptest: %v", err)
		}
		c.opts.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		s.CAs = x509.NewCertPool()
		s.CAs.AddCert(cert.Leaf)
	}
	if s.srv, err = server.New(c.opts); err != nil {
		tb.Fatalf("ftptest: %v", err)
	}
	back := s.listen(c.host)
	s.front = s.listen(c.host)
	s.inner = back.Addr().String()
	s.Addr = s.front.Addr().String()
	s.URL = "ftp://" + s.Addr
	s.net, s.product, s.implicit, s.login = c.net, c.product, c.implicit, c.login
	for _, arm := range c.faults {
		arm(s)
	}
	serve := s.srv.Serve
	if c.implicit {
		s.URL, serve = "ftps://"+s.Addr, s.srv.ServeTLS
	}
	if interceptable(c.opts.TLS, c.opts.AllowCCC) {
		s.tls = c.opts.TLS
	} else if c.implicit {
		tb.Fatal("ftptest: WithImplicitTLS goes with neither certificates of clients nor CCC")
	}
	s.work.Go(func() { _ = serve(back) })
	s.work.Go(s.relay)
	tb.Cleanup(s.Close)
	return s
}

// noTest stands in for a test where there is none.
type noTest struct{ testing.TB }

func (noTest) Helper()                           {}
func (noTest) Cleanup(func())                    {}
func (noTest) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (noTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (s *Server) users(named server.Static) server.Static {
	if len(named) == 0 {
		return server.Static{"anonymous": {Anyone: true, Account: server.Account{FS: s.FS, Perm: server.ReadWrite}}}
	}
	for name, u := range named {
		u.Account.FS = s.FS
		named[name] = u
	}
	return named
}

func (s *Server) listen(host string) net.Listener {
	l, err := listenTCP(host)
	if err != nil {
		s.tb.Fatalf("ftptest: %v", err)
	}
	return l
}

// Close stops the server; sessions end at once. NewServer calls it when the test
// ends.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.ended)
	_ = s.front.Close()
	for c := range s.open {
		if far, ok := c.(*farConn); ok {
			c = far.TCPConn
		}
		_ = c.Close()
	}
	for l := range s.ports {
		_ = l.Close()
	}
	s.mu.Unlock()
	_ = s.srv.Close()
	s.work.Wait()
}

// pause waits, but not beyond Close.
func (s *Server) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-s.ended:
	}
}

func (s *Server) observe(e ftp.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	close(s.more)
	s.more = make(chan struct{})
}

// Client returns a client that is logged in, as the first user of WithUser or as anonymous.
// With WithTLS or WithImplicitTLS it uses TLS and trusts the server. It is closed when the
// test ends; if it can't log in, the test ends at once.
func (s *Server) Client() *client.Client {
	s.tb.Helper()
	o := s.login
	if s.CAs != nil {
		o.TLS, o.TLSConfig = client.ExplicitTLS, &tls.Config{RootCAs: s.CAs}
	}
	if s.implicit {
		o.TLS = client.ImplicitTLS
	}
	c, err := client.Dial(context.Background(), s.Addr, &o)
	if err != nil {
		s.tb.Fatalf("ftptest: %v", err)
	}
	s.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Events returns what has happened at the server so far.
func (s *Server) Events() []ftp.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ftp.Event(nil), s.events...)
}

// Commands returns what clients have sent so far, those that a fault answered
// included. Passwords are masked.
func (s *Server) Commands() []ftp.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ftp.Command(nil), s.commands...)
}

// ClearCommands returns those of Commands that came without TLS.
func (s *Server) ClearCommands() []ftp.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ftp.Command(nil), s.clear...)
}

// WaitEvent waits, for a bounded time, for an event that match agrees to, those
// that happened already included.
func (s *Server) WaitEvent(match func(ftp.Event) bool) ftp.Event {
	s.tb.Helper()
	late := time.After(stepTimeout)
	for seen := 0; ; {
		s.mu.Lock()
		fresh, more := s.events[seen:], s.more
		s.mu.Unlock()
		for _, e := range fresh {
			if match(e) {
				return e
			}
		}
		seen += len(fresh)
		select {
		case <-more:
		case <-late:
			s.tb.Fatalf("ftptest: no such event within %v", stepTimeout)
			return ftp.Event{}
		}
	}
}
