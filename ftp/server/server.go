package server

import (
	"context"
	"crypto/rand"
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

// ErrServerClosed is returned by Serve, ServeTLS and ListenAndServe after Shutdown or Close, or when the
// context of ListenAndServe has ended.
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
	leaving    bool // no connection is accepted; those that were are still admitted, until closing
	listeners  map[net.Listener]struct{}
	population population
	stopped    chan struct{} // closed when closing is set
	deaf       chan struct{} // closed when leaving is set and no listener is left
	empty      chan struct{} // closed when closing is set and no session is left

	ahead      atomic.Int64 // bytes of held commands of sessions whose login is being judged
	sorts      atomic.Int64 // entries that listings keep in memory to sort them
	guard      *guard.Logins
	id         string // in a State
	leases     *leases
	sharing    sync.Once // starts keepShared
	verifier   *verifier
	uploads    *uploads
	hashes     *guard.Queue // slots for hashes of files
	checks     *guard.Queue // slots for checks by Options.Gate
	absences   absences
	quotaUses  quotaUses
	headers    chan struct{}  // one element per connection of a balancer whose header is awaited
	turnedAway chan struct{}  // one element per connection that is being turned away
	background sync.WaitGroup // goroutines of turnAway and goBackground
}

// New returns a Server, or an error if the options are not valid. It does no input or output.
func New(opts Options) (*Server, error) {
	set, err := newSettings(opts, nil)
	if err != nil {
		return nil, err
	}
	s := &Server{
		table:      newTable(),
		listeners:  map[net.Listener]struct{}{},
		population: newPopulation(),
		guard:      guard.NewLogins(errLoginLate, errHungUp, ErrAuthUnavailable),
		verifier:   newVerifier(),
		uploads:    newUploads(),
		hashes:     guard.NewQueue(set.MaxHashes),
		checks:     guard.NewQueue(set.MaxChecks),
		headers:    make(chan struct{}, maxHeaders),
		turnedAway: make(chan struct{}, maxTurnedAway),
		stopped:    make(chan struct{}),
		deaf:       make(chan struct{}),
		id:         rand.Text(),
		empty:      make(chan struct{}),
	}
	s.set.Store(set)
	s.leases = &leases{srv: s, own: map[string]int{}, leaving: map[string]int{}}
	if s.shares() {
		s.guard.OnBan = s.publishBan
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Reload changes the options for new sessions. Running sessions keep theirs, with two exceptions: Rate and
// HashRate are shared by all sessions, and a new login in a running session uses the new Auth. The listeners do
// not change, whatever opts.Listen says. The pool of passive ports is kept if its range is the same. If the
// options are not valid, Reload returns an error and changes nothing.
func (s *Server) Reload(opts Options) error {
	set, err := newSettings(opts, s.set.Load())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.set.Load()
	if old.rate != nil && set.rate != nil { // running sessions share the limit, too
		dtp.SetRate(old.rate, set.Rate)
		set.rate = old.rate
	}
	if old.hashRate != nil && set.hashRate != nil {
		dtp.SetRate(old.hashRate, set.HashRate)
		set.hashRate = old.hashRate
	}
	s.hashes.Resize(set.MaxHashes)
	s.checks.Resize(set.MaxChecks)
	s.set.Store(set)
	s.quotaUses.keep(set.Auth)
	if old.data.Ports != set.data.Ports {
		old.data.Ports.Close()
	}
	return nil
}

// ListenAndServe listens on the addresses of Options.Listen and ListenTLS and serves until Shutdown or Close,
// or until ctx ends. In that case no new session is admitted, and transfers may finish within Options.Grace. It
// then returns ErrServerClosed.
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

// keepAlive detects clients that are gone without closing the connection. It also keeps NAT routers from
// forgetting a control connection that is silent during a long transfer.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 8}

// ListenAll opens the listeners of Options.Listen, for Serve, and those of Options.ListenTLS, for ServeTLS. It
// is for callers that need the addresses before they serve. "0.0.0.0:port" listens on IPv4 only. ":port"
// listens on both address families; so does "[::]:port" unless "0.0.0.0:port" is listed, too.
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

// networkOf returns the network to listen in. With "tcp", package net listens on all IPv6 addresses for
// 0.0.0.0, too.
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

// listenError returns the operating system's part of err, without the address, which the caller adds.
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

// Serve accepts control connections from l until Shutdown or Close, after which it returns ErrServerClosed. It
// closes l.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false) }

// ServeTLS is like Serve, for sessions that start with a TLS handshake instead of AUTH (implicit TLS, port
// 990). l must return plain TCP connections, and Options.TLS must be set.
func (s *Server) ServeTLS(l net.Listener) error {
	if s.set.Load().tls == nil {
		_ = l.Close()
		return errors.New("server: ServeTLS needs Options.TLS")
	}
	return s.serve(l, true)
}

// serve accepts connections until the server closes. A failed Accept does not end it, unless the listener
// itself has failed.
func (s *Server) serve(l net.Listener, tlsFirst bool) error {
	defer l.Close()
	if !s.track(l) {
		return ErrServerClosed
	}
	defer s.untrack(l)
	if s.shares() {
		s.sharing.Do(func() { s.goBackground(s.keepShared) })
	}
	for host := range s.set.Load().public { // starts the lookups, so that the first client need not do without
		s.publicIP(s.set.Load(), host)
	}
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
		// Probably no descriptor is free. Sessions continue, and new connections wait in the backlog.
		if !full {
			full = true
			s.set.Load().Log.Warn("can't accept sessions: raise the limit on open files, or lower max-sessions", "err", err)
		}
		select {
		case <-time.After(acceptRetry):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

// take starts a session for conn, or turns it away.
func (s *Server) take(conn net.Conn, tlsFirst bool) {
	if set := s.set.Load(); set.isProxy(dtp.AddrPort(conn.RemoteAddr()).Addr()) {
		select {
		case s.headers <- struct{}{}:
			s.takeProxied(conn, tlsFirst, set)
		default: // too many headers are awaited
			_ = conn.Close()
		}
		return
	}
	s.begin(newSession(s, conn, tlsFirst))
}

// begin starts a session, or turns it away.
func (s *Server) begin(sess *session) {
	if no := s.admit(sess); no != nil {
		s.turnAway(sess, no)
		return
	}
	go sess.serve()
}

// checkEmpty closes empty once the server is closing and the last session has ended. Server.mu must be held.
func (s *Server) checkEmpty() {
	if s.closing && len(s.population.sessions) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// track adds a listener that Close has to close. It reports false if the server is closing already.
func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.leaving {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	s.checkDeaf()
}

// checkDeaf closes deaf once leaving is set and no listener is left. Server.mu must be held.
func (s *Server) checkDeaf() {
	if s.leaving && len(s.listeners) == 0 {
		select {
		case <-s.deaf:
		default:
			close(s.deaf)
		}
	}
}

// isClosing reports whether the server accepts no connections.
func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing || s.leaving
}

// stopAccepting closes the listeners, and waits until the connections that they have returned are sessions.
func (s *Server) stopAccepting(ctx context.Context) {
	s.mu.Lock()
	s.leaving = true
	for l := range s.listeners {
		_ = l.Close()
	}
	s.checkDeaf()
	s.mu.Unlock()
	select {
	case <-s.deaf:
	case <-time.After(deafTime): // a listener whose Accept does not end with Close
	case <-ctx.Done():
	}
}

// stopListening closes the listeners. From then on no session is admitted.
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

// Shutdown admits no new sessions, ends idle ones with a 421, and waits for those that transfer. If ctx ends
// first, Shutdown returns its error, and the remaining sessions continue until Close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	s.eachSession((*session).stop)
	select {
	case <-s.empty:
		s.cancel()
		s.background.Wait()
		s.set.Load().data.Ports.Close()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all sessions at once. It cuts running transfers; their partial uploads are kept, as after a lost
// connection. It returns when all sessions have ended.
func (s *Server) Close() error {
	s.stopListening()
	s.cancel()
	s.eachSession((*session).stop)
	select {
	case <-s.empty:
	case <-time.After(closeTime): // don't wait longer for clients that do not read
		s.eachSession(func(sess *session) { _ = sess.raw.Close() })
		<-s.empty
	}
	s.background.Wait()
	s.set.Load().data.Ports.Close()
	return nil
}

func (s *Server) eachSession(f func(*session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sess := range s.population.sessions {
		f(sess)
	}
}
