package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/ftp/dtp"
	"miniftp/ftp/server/internal/guard"
)

// ErrServerClosed is what Serve and ListenAndServe return after Shutdown, Close
// or the end of ListenAndServe's context.
var ErrServerClosed = errors.New("the server is closed")

// Server is an FTP server. Its methods are safe for concurrent use.
type Server struct {
	set    atomic.Pointer[settings]
	table  *table
	ids    atomic.Uint64
	ctx    context.Context
	cancel context.CancelFunc

	mu         sync.Mutex
	closing    bool
	listeners  map[net.Listener]struct{}
	population population
	stopped    chan struct{} // closed with closing
	empty      chan struct{} // closed when closing and no session is left

	ahead    atomic.Int64 // bytes of commands that sessions hold while their logins are judged
	sorts    atomic.Int64 // entries that listings keep for an order
	guard    *guard.Logins
	verifier *verifier
	uploads  *uploads
	hashes   *guard.Queue  // of files
	turned   chan struct{} // a place for each caller who is being turned away
	turning  sync.WaitGroup
}

// New checks the options and makes a Server. It does no input or output.
func New(opts Options) (*Server, error) {
	set, err := newSettings(opts, nil)
	if err != nil {
		return nil, err
	}
	s := &Server{
		table:      newTable(),
		listeners:  map[net.Listener]struct{}{},
		population: newPopulation(),
		guard:      guard.NewLogins(errLoginLate, errHungUp),
		verifier:   newVerifier(),
		uploads:    newUploads(),
		hashes:     guard.NewQueue(set.MaxHashes),
		turned:     make(chan struct{}, maxTurned),
		stopped:    make(chan struct{}),
		empty:      make(chan struct{}),
	}
	s.set.Store(set)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Reload changes the options for sessions that begin from now on; those that run
// keep theirs, but for Rate, which is shared, and for the users: a login asks the new
// Auth. The listeners stay as they are, whatever opts.Listen says, and so
// does the passive port pool while its range is the same. An error changes nothing.
func (s *Server) Reload(opts Options) error {
	set, err := newSettings(opts, s.set.Load())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.set.Load()
	if old.rate != nil && set.rate != nil { // one limit for all, those who are inside included
		dtp.SetRate(old.rate, set.Rate)
		set.rate = old.rate
	}
	if old.hashRate != nil && set.hashRate != nil {
		dtp.SetRate(old.hashRate, set.HashRate)
		set.hashRate = old.hashRate
	}
	s.hashes.Resize(set.MaxHashes)
	s.set.Store(set)
	if old.data.Ports != set.data.Ports {
		old.data.Ports.Close()
	}
	return nil
}

// ListenAndServe listens on every address of Options.Listen and serves until
// Shutdown or Close, or until ctx ends: then no new session is taken, transfers
// may finish within Options.Grace, and ErrServerClosed is returned.
func (s *Server) ListenAndServe(ctx context.Context) error {
	plain, tlsFirst, err := s.ListenAll(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error, len(plain)+len(tlsFirst))
	for _, l := range plain {
		go func() { failed <- s.Serve(l) }()
	}
	for _, l := range tlsFirst {
		go func() { failed <- s.ServeTLS(l) }()
	}
	select {
	case err = <-failed:
		if !errors.Is(err, ErrServerClosed) {
			_ = s.Close()
		}
	case <-ctx.Done():
		err = ErrServerClosed
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.Load().Grace)
		defer cancel()
		if s.Shutdown(grace) != nil {
			_ = s.Close()
		}
	}
	return err
}

// keepAlive finds clients that are gone without a word, during a transfer too, and
// keeps a control connection that is still for the length of a transfer known to
// the NAT routers on its way.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 8}

// ListenAll opens the listeners of Options.Listen, for Serve, and of ListenTLS, for
// ServeTLS, for callers that want to know the addresses before they serve.
// "0.0.0.0:port" listens on IPv4 only; ":port" listens on both address families, and so
// does "[::]:port" unless "0.0.0.0:port" is there as well.
func (s *Server) ListenAll(ctx context.Context) (plain, tlsFirst []net.Listener, err error) {
	set := s.set.Load()
	var ls []net.Listener
	all := slices.Concat(set.Listen, set.ListenTLS)
	for _, addr := range all {
		lc := net.ListenConfig{KeepAliveConfig: keepAlive}
		l, err := lc.Listen(ctx, networkOf(addr, all), addr)
		if err != nil {
			for _, l := range ls {
				_ = l.Close()
			}
			return nil, nil, fmt.Errorf("can't listen on %s: %w", addr, listenError(err))
		}
		ls = append(ls, l)
	}
	n := len(set.Listen)
	return ls[:n:n], ls[n:], nil
}

// networkOf returns the network to listen in: package net takes 0.0.0.0 in "tcp" for
// every address of IPv6 too.
func networkOf(addr string, all []string) string {
	host, port, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case ip.Unmap().Is4():
		return "tcp4"
	case ip == netip.IPv6Unspecified() && !slices.Contains(all, "0.0.0.0:"+port):
		return "tcp"
	}
	return "tcp6"
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
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false) }

// ServeTLS is Serve for sessions that begin with a TLS handshake, without AUTH
// (implicit TLS, port 990). It takes bare TCP connections from l, and needs
// Options.TLS.
func (s *Server) ServeTLS(l net.Listener) error {
	if s.set.Load().tls == nil {
		_ = l.Close()
		return errors.New("server: ServeTLS needs Options.TLS")
	}
	return s.serve(l, true)
}

func (s *Server) serve(l net.Listener, tlsFirst bool) error {
	defer l.Close()
	if !s.track(l) {
		return ErrServerClosed
	}
	defer s.untrack(l)
	s.publicIP(s.set.Load()) // so that it is known when the first client asks
	for full := false; ; {
		conn, err := l.Accept()
		if err == nil {
			full = false
			s.take(conn, tlsFirst)
			continue
		}
		if s.ctx.Err() != nil || s.isClosing() {
			return ErrServerClosed
		}
		var ne net.Error
		if !errors.As(err, &ne) || errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of descriptors, most likely: sessions continue, new ones wait in the backlog.
		if !full {
			full = true
			s.set.Load().Log.Warn("can't accept sessions: raise the limit on open files, or lower max-sessions", "err", err)
		}
		select {
		case <-time.After(acceptAgain):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

// take starts a session for conn, or turns it away.
func (s *Server) take(conn net.Conn, tlsFirst bool) {
	sess := newSession(s, conn, tlsFirst)
	if no := s.admit(sess); no != nil {
		s.turnAway(sess, no)
		return
	}
	go sess.serve()
}

func (s *Server) checkEmpty() {
	if s.closing && len(s.population.sessions) == 0 {
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
	if !s.closing {
		s.closing = true
		close(s.stopped)
	}
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
		s.turning.Wait()
		s.set.Load().data.Ports.Close()
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
	case <-time.After(closeTime): // a client that reads no reply holds nobody up
		s.eachSession(func(sess *session) { _ = sess.raw.Close() })
		<-s.empty
	}
	s.turning.Wait()
	s.set.Load().data.Ports.Close()
	return nil
}

func (s *Server) eachSession(f func(*session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sess := range s.population.sessions {
		f(sess)
	}
}
