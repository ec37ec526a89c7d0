package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Options say what a Server serves, to whom, and within which bounds. Only Auth
// is needed; the zero value of everything else is a sensible default.
type Options struct {
	Auth Authenticator // who may log in, and to which files

	Listen   []string // for ListenAndServe; default 127.0.0.1:2121
	Greeting string   // the text of the 220; default "miniftp ready"
	Hosts    []string // the names that HOST may ask for (RFC 7151); none: any name

	PassivePorts [2]uint16 // the range of passive data ports; {0, 0}: any free port
	PublicIP     string    // an IPv4 address, or a host that has one, to announce in 227 replies
	Guard        dtp.Guard // with whom data connections may be made; zero: the session's client only

	IdleTimeout  time.Duration // no command for so long ends the session; default 5 min
	LoginTimeout time.Duration // from the greeting to a login; default 1 min
	DataTimeout  time.Duration // for a data connection to come about; default 30 s
	StallTimeout time.Duration // no byte on a data connection for so long; default 60 s
	Grace        time.Duration // for transfers in flight when ListenAndServe's context ends; default 10 s

	MaxSessions      int   // at once; 0: no limit
	MaxSessionsPerIP int   // at once from one address; 0: no limit
	Rate             int64 // bytes per second over all transfers; 0: no limit

	// UploadInPlace writes uploads straight to their final name. By default they
	// go to a hidden name and are renamed when they are whole.
	UploadInPlace bool

	Observer ftp.Observer // is told everything that happens
	Log      *slog.Logger // is told of panics and of failures to accept; default slog.Default()
}

func (o *Options) setDefaults() {
	defaultTo(&o.Greeting, "miniftp ready")
	defaultTo(&o.IdleTimeout, 5*time.Minute)
	defaultTo(&o.LoginTimeout, time.Minute)
	defaultTo(&o.DataTimeout, dtp.DefaultTimeout)
	defaultTo(&o.StallTimeout, dtp.DefaultStall)
	defaultTo(&o.Grace, 10*time.Second)
	defaultTo(&o.Log, slog.Default())
	if len(o.Listen) == 0 {
		o.Listen = []string{"127.0.0.1:2121"}
	}
}

func defaultTo[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// ErrServerClosed is what Serve and ListenAndServe return after Shutdown, Close
// or the end of ListenAndServe's context.
var ErrServerClosed = errors.New("the server is closed")

// Server is an FTP server. Its methods are safe for concurrent use.
type Server struct {
	opts   Options
	table  *table
	data   dtp.Config
	rate   *rate.Limiter
	public publicIP
	ids    atomic.Uint64
	ctx    context.Context
	cancel context.CancelFunc

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	perIP     map[netip.Addr]int
	empty     chan struct{} // closed when closing and no session is left
}

// New checks the options and makes a Server. It does no input or output.
func New(opts Options) (*Server, error) {
	if opts.Auth == nil {
		return nil, errors.New("server: Options.Auth is missing: nobody could log in")
	}
	for _, d := range []time.Duration{opts.IdleTimeout, opts.LoginTimeout, opts.DataTimeout, opts.StallTimeout, opts.Grace} {
		if d < 0 {
			return nil, fmt.Errorf("server: a timeout of %v is negative", d)
		}
	}
	if opts.MaxSessions < 0 || opts.MaxSessionsPerIP < 0 || opts.Rate < 0 {
		return nil, errors.New("server: a limit is negative")
	}
	if ip, err := netip.ParseAddr(opts.PublicIP); err == nil && !ip.Is4() {
		return nil, fmt.Errorf("server: the public IP %v is not an IPv4 address, and a 227 can name no other", ip)
	}
	opts.setDefaults()
	ports, err := dtp.NewPorts(opts.PassivePorts[0], opts.PassivePorts[1])
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &Server{
		opts:      opts,
		table:     newTable(),
		rate:      dtp.NewRate(opts.Rate),
		public:    publicIP{host: opts.PublicIP},
		listeners: map[net.Listener]struct{}{},
		sessions:  map[*session]struct{}{},
		perIP:     map[netip.Addr]int{},
		empty:     make(chan struct{}),
	}
	s.data = dtp.Config{Side: ftp.ServerPI, Ports: ports, Guard: opts.Guard, Timeout: opts.DataTimeout}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// ListenAndServe listens on every address of Options.Listen and serves until
// Shutdown or Close, or until ctx ends: then no new session is taken, transfers
// may finish within Options.Grace, and ErrServerClosed is returned.
func (s *Server) ListenAndServe(ctx context.Context) error {
	ls, err := s.ListenAll(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error, len(ls))
	for _, l := range ls {
		go func() { failed <- s.Serve(l) }()
	}
	select {
	case err = <-failed:
		if !errors.Is(err, ErrServerClosed) {
			_ = s.Close()
		}
	case <-ctx.Done():
		err = ErrServerClosed
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Grace)
		defer cancel()
		if s.Shutdown(grace) != nil {
			_ = s.Close()
		}
	}
	return err
}

// ListenAll opens the listeners of Options.Listen, for callers that want to
// know the addresses before they Serve. "[::]:port" and ":port" listen on both
// address families.
func (s *Server) ListenAll(ctx context.Context) ([]net.Listener, error) {
	var ls []net.Listener
	for _, addr := range s.opts.Listen {
		lc := net.ListenConfig{KeepAlive: -1}
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			for _, l := range ls {
				_ = l.Close()
			}
			return nil, fmt.Errorf("can't listen on %s: %w", addr, listenError(err))
		}
		ls = append(ls, l)
	}
	return ls, nil
}

// listenError keeps what the operating system said, without the address again.
func listenError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
		var sys interface{ Unwrap() error }
		if errors.As(err, &sys) && sys.Unwrap() != nil {
			return sys.Unwrap()
		}
	}
	return err
}

// Serve takes control connections from l until Shutdown or Close, which make it
// return ErrServerClosed. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.track(l) {
		return ErrServerClosed
	}
	defer s.untrack(l)
	for wait := time.Duration(0); ; {
		conn, err := l.Accept()
		if err == nil {
			wait = 0
			s.take(conn)
			continue
		}
		if s.ctx.Err() != nil || s.isClosing() {
			return ErrServerClosed
		}
		var ne net.Error
		if !errors.As(err, &ne) || errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of descriptors, most likely: those inside go on, newcomers wait.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		s.opts.Log.Warn("can't accept a session", "err", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

// take starts a session for conn, or turns it away.
func (s *Server) take(conn net.Conn) {
	sess := newSession(s, conn)
	if why := s.admit(sess); why != "" {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(ftp.NewReply(421, why).Append(nil))
		_ = conn.Close()
		return
	}
	go func() {
		defer s.leave(sess)
		sess.serve()
	}()
}

// admit counts the session in, or says why not.
func (s *Server) admit(sess *session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := sess.control.Remote.Addr()
	switch {
	case s.closing:
		return "The server is shutting down."
	case s.opts.MaxSessions > 0 && len(s.sessions) >= s.opts.MaxSessions:
		return fmt.Sprintf("Too many sessions: the limit is %d. Try again later.", s.opts.MaxSessions)
	case s.opts.MaxSessionsPerIP > 0 && s.perIP[ip] >= s.opts.MaxSessionsPerIP:
		return fmt.Sprintf("Too many sessions from your address: the limit is %d.", s.opts.MaxSessionsPerIP)
	}
	s.sessions[sess] = struct{}{}
	if s.opts.MaxSessionsPerIP > 0 {
		s.perIP[ip]++
	}
	return ""
}

func (s *Server) leave(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
	if ip := sess.control.Remote.Addr(); s.perIP[ip] > 1 {
		s.perIP[ip]--
	} else {
		delete(s.perIP, ip)
	}
	s.checkEmpty()
}

func (s *Server) checkEmpty() {
	if s.closing && len(s.sessions) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// stopListening closes the listeners; no session is admitted any more.
func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close()
	}
	s.checkEmpty()
}

// Shutdown takes no new sessions, says goodbye (421) to idle ones and waits for
// those that transfer. If ctx ends first, it returns ctx's error and the rest
// goes on until Close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	s.eachSession((*session).stop)
	select {
	case <-s.empty:
		s.cancel()
		s.data.Ports.Close()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends everything at once: transfers are cut and their partial uploads
// kept as a cut connection would leave them. It returns when all sessions are gone.
func (s *Server) Close() error {
	s.stopListening()
	s.cancel()
	s.eachSession((*session).stop)
	select {
	case <-s.empty:
	case <-time.After(time.Second): // a client that reads no reply holds nobody up
		s.eachSession(func(sess *session) { _ = sess.conn.Close() })
		<-s.empty
	}
	s.data.Ports.Close()
	return nil
}

func (s *Server) eachSession(f func(*session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sess := range s.sessions {
		f(sess)
	}
}
