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

// Server is an FTP server for a test. Without WithUser, anonymous may log in and do
// everything. Its methods are safe for concurrent use.
type Server struct {
	Addr string // host:port for control connections
	URL  string // "ftp://" or "ftps://", followed by Addr; no slash at the end
	FS   afero.Fs
	CAs  *x509.CertPool // a pool that contains the server's certificate; nil without TLS

	tb    testing.TB
	srv   *server.Server
	inner string       // the address of the real server
	front net.Listener // the relay's listener at Addr

	login    client.Options // for Client
	net      network
	product  *Product
	tls      *tls.Config // for the relay, if it decrypts TLS; else nil
	implicit bool
	ended    chan struct{} // closed by Close

	mu       sync.Mutex
	faults   map[string][]armed // by verb
	events   []ftp.Event
	more     chan struct{} // closed by the next event
	commands []ftp.Command
	clear    []ftp.Command // the commands received without TLS
	closed   bool
	open     map[net.Conn]struct{}     // the relay's connections, for Close
	ports    map[net.Listener]struct{} // the relay's listeners for data connections, for Close
	work     sync.WaitGroup
}

// Option configures a Server.
type Option func(*config)

type config struct {
	opts     server.Options
	users    server.Static
	login    client.Options // for the first user of WithUser
	host     string
	tls      bool
	implicit bool
	net      network
	product  *Product
	faults   []func(*Server)
}

// WithUser adds a user with the permissions perm. Without WithUser, only anonymous may log in;
// with it, only the added users may.
func WithUser(name, password string, perm server.Perm) Option {
	return func(c *config) {
		if len(c.users) == 0 {
			c.login = client.Options{User: name, Password: password}
		}
		c.users[name] = server.User{Password: password, Account: server.Account{Perm: perm}}
	}
}

// WithOptions calls change with the options of the server. If change sets Auth or
// Observer, they replace those of this package; without this package's Observer,
// Events and WaitEvent see nothing.
func WithOptions(change func(*server.Options)) Option {
	return func(c *config) { change(&c.opts) }
}

// WithTLS enables AUTH TLS. Faults and Products also work with TLS, unless
// WithOptions requires certificates of clients or allows CCC.
func WithTLS() Option {
	return func(c *config) { c.tls = true }
}

// WithImplicitTLS makes each control connection begin with TLS. The URL begins with ftps://.
func WithImplicitTLS() Option {
	return func(c *config) { c.tls, c.implicit = true, true }
}

// WithIPv6 makes the server listen on ::1 instead of 127.0.0.1.
func WithIPv6() Option { return func(c *config) { c.host = "::1" } }

// NewServer starts a server for the files in fs on a free loopback port, and stops it
// when the test ends. If fs is nil, it is an empty filesystem in memory. In an Example or
// a program tb may be nil: errors then cause a panic, and Close stops the server.
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
		tb.Fatal("ftptest: WithImplicitTLS can't be combined with client certificates or CCC")
	}
	s.work.Go(func() { _ = serve(back) })
	s.work.Go(s.relay)
	tb.Cleanup(s.Close)
	return s
}

// noTest is the testing.TB that is used when NewServer is called with nil.
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

// Close stops the server and ends all sessions at once. It is called automatically when
// the test ends.
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
		if far, ok := c.(*delayedConn); ok {
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

// pause waits for d or until Close.
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

// Client returns a client that is logged in as the first user of WithUser, or as anonymous. With
// WithTLS or WithImplicitTLS it uses TLS and trusts the server's certificate. It is closed when
// the test ends. If it cannot log in, the test fails.
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

// Events returns the events of the server so far.
func (s *Server) Events() []ftp.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ftp.Event(nil), s.events...)
}

// Commands returns the commands that clients have sent so far, including those that a
// fault has answered. Passwords are masked.
func (s *Server) Commands() []ftp.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ftp.Command(nil), s.commands...)
}

// ClearCommands is like Commands, but returns only the commands received without TLS.
func (s *Server) ClearCommands() []ftp.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ftp.Command(nil), s.clear...)
}

// WaitEvent returns the first event for which match returns true, including events in
// the past. It waits up to ten seconds; then the test fails.
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
