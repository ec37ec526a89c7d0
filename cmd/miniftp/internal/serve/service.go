package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/systemd"
)

// statusEvery is the time between two looks whether the status that systemctl shows has changed.
const statusEvery = 10 * time.Second

// openService finds out whether systemd wants to know how the server is.
func (s *serving) openService() {
	service, err := systemd.Open()
	service.Failed = func(err error) { s.logs.log.Warn("can't tell systemd how the server is", "err", err) }
	if err != nil {
		s.warn("systemd is not told how the server is: " + err.Error())
	}
	s.service = service
}

// status returns what systemctl status shows.
func (s *serving) status() string {
	n := s.logs.events.sessions.Len()
	sessions := fmt.Sprintf("%d sessions", n)
	if n == 1 {
		sessions = "1 session"
	}
	if s.draining.Load() {
		return "draining: " + sessions + " left"
	}
	return sessions
}

// reload reads the settings again, and tells systemd when that begins and ends.
func (s *serving) reload() control.Reloaded {
	s.reloading.Store(time.Now().UnixNano())
	defer s.reloading.Store(0)
	s.service.Reloading()
	result := s.reread()
	status := s.status()
	if len(result.Mistakes) > 0 {
		status += "; not reloaded: " + result.Mistakes[0]
	}
	s.service.Ready(status)
	return result
}

// stopTime is how long a stop can take after the grace period: until sessions are cut, roots closed and logs written.
const stopTime = 15 * time.Second

// stopping tells systemd that the server stops.
func (s *serving) stopping(grace time.Duration) {
	s.service.Stopping(fmt.Sprintf("stopping: waiting up to %v for %d sessions", grace, s.logs.events.sessions.Len()), grace+stopTime)
}

// watch pings the watchdog of systemd while the server works, and returns a function that ends that.
func (s *serving) watch() (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.c.Context))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.service.Watch(ctx, s.alive, func(err error) {
			if err != nil {
				s.logs.log.Error("the watchdog of systemd is not pinged, because the server does not answer", "err", err)
				return
			}
			s.logs.log.Info("the server answers again")
		})
	}()
	return func() { cancel(); <-ended }
}

// watchAll begins what the server does besides serving, and returns a function that ends it.
func (s *serving) watchAll() (end func()) {
	unwatch, forget := s.watch(), s.watchCertificates()
	return func() { forget(); unwatch() }
}

// reloadTime is how long a reload may take until it counts as stuck. It opens the roots of all users, which may be on other servers.
const reloadTime = 5 * time.Minute

var errLoop = errors.New("the loop that handles signals and reloads does not run")

// alive returns an error if the server no longer works. The loop of serveAll answers by running check. A reload, during
// which the loop does nothing else, may take some time. The end of the server has its own limit.
func (s *serving) alive(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.managed.checks <- answer:
	case <-s.managed.ended:
		return nil
	case <-ctx.Done():
		if since := s.reloading.Load(); since != 0 && time.Since(time.Unix(0, since)) < reloadTime {
			return nil
		}
		return errLoop
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errors.New("a lock that each new session needs is not released")
	}
}

// check returns an error if a listener does not accept connections. It blocks if the server's locks are never released.
func (s *serving) check() error {
	s.srv.Progress(0)            // takes the lock of the server
	s.logs.events.sessions.Len() // takes the lock of the observer
	if s.draining.Load() {
		return nil
	}
	for _, l := range s.accepting {
		if err := l.stuck(); err != nil {
			return err
		}
	}
	return nil
}

// acceptor is a listener whose use can be observed. A probe that connects to it would need no help, but would be a session in
// the log, in the limits and in the bans.
type acceptor struct {
	*net.TCPListener
	returns atomic.Uint64 // how often Accept has returned, errors included: without free descriptors the server still works

	waited bool   // when stuck was called last, connections were waiting
	seen   uint64 // the returns at that time
}

// keepAlive is that of the listeners that ftp/server opens.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 8}

func (a *acceptor) Accept() (net.Conn, error) {
	conn, err := a.AcceptTCP()
	a.returns.Add(1)
	if err != nil {
		return nil, err
	}
	_ = conn.SetKeepAliveConfig(keepAlive)
	return conn, nil
}

// stuck returns an error if connections were waiting both now and at the last call, and Accept has not returned since. It is
// not safe for concurrent use.
func (a *acceptor) stuck() error {
	n, err := systemd.Waiting(a.TCPListener)
	returns := a.returns.Load()
	stuck := err == nil && n > 0 && a.waited && returns == a.seen
	a.waited, a.seen = err == nil && n > 0, returns
	if stuck {
		return fmt.Errorf("%d connections to %s wait, and none is accepted", n, a.Addr())
	}
	return nil
}

// observed wraps the listeners.
func (s *serving) observed(ls []net.Listener) []net.Listener {
	for i, l := range ls {
		if tcp, ok := l.(*net.TCPListener); ok {
			a := &acceptor{TCPListener: tcp}
			s.accepting = append(s.accepting, a)
			ls[i] = a
		}
	}
	return ls
}
