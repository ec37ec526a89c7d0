package serve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// managed is what miniftp who and the other verbs that manage a running server ask it for. The loop of serveAll does it.
type managed struct {
	reloads chan chan control.Reloaded
	checks  chan chan error // see alive
	drains  chan struct{}   // a value: begin to drain
	drained chan struct{}   // closed when the last session has ended after that
	ended   chan struct{}   // closed when the loop has ended
}

func newManaged() managed {
	return managed{make(chan chan control.Reloaded), make(chan chan error), make(chan struct{}), make(chan struct{}), make(chan struct{})}
}

var errStopping = errors.New("the server is stopping")

// backend returns the server for package control.
func (s *serving) backend(plain, tlsFirst []net.Listener) *control.Backend {
	listeners := slices.Concat(plain, tlsFirst)
	return &control.Backend{
		Name: s.name, Version: s.c.App.Version, Since: time.Now().Round(time.Millisecond),
		Listen: func() (all []control.Listener) {
			for i, l := range listeners {
				all = append(all, control.Listener{Addr: l.Addr().String(), TLS: i >= len(plain), Header: s.expectsHeader(l.Addr())})
			}
			return all
		},
		Sessions: s.logs.events.sessions, Server: s.srv, Draining: s.draining.Load, Certificates: s.certificates, Quotas: s.quotas,
		Reload: func(ctx context.Context) (control.Reloaded, error) {
			answer := make(chan control.Reloaded, 1)
			select {
			case s.managed.reloads <- answer:
				return <-answer, nil
			case <-s.managed.ended:
				return control.Reloaded{}, errStopping
			case <-ctx.Done():
				return control.Reloaded{}, context.Cause(ctx)
			}
		},
		Drain: func(ctx context.Context) error {
			select {
			case s.managed.drains <- struct{}{}:
			case <-s.managed.ended:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			select {
			case <-s.managed.drained:
				return nil
			case <-s.managed.ended:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	}
}

// expectsHeader reports whether a connection from this host to a listener begins with a PROXY header.
func (s *serving) expectsHeader(at net.Addr) bool {
	from := dtp.AddrPort(at).Addr() // this is where a connection to an own address comes from
	if from.IsUnspecified() {
		from = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return slices.ContainsFunc(*s.proxied.Load(), func(p netip.Prefix) bool { return p.Contains(from) })
}

// manage makes the socket, and publishes the sessions in the state that servers share. The caller must call end. A socket
// that can't be made is an error only if --control was given.
func (s *serving) manage(plain, tlsFirst []net.Listener) (end func(), err error) {
	b, at := s.backend(plain, tlsFirst), slices.Concat(plain, tlsFirst)[0].Addr()
	var socket *control.Server
	if s.cf.Control != settings.ControlOff {
		path := s.cf.Control
		if path == "" {
			path, err = control.DefaultPath(at)
		}
		if err == nil {
			socket, err = control.Listen(b, path)
		}
		switch {
		case err != nil && s.cf.Given(&s.cf.Control):
			return nil, s.cf.Located(&s.cf.Control, err)
		case err != nil:
			s.warn("no socket for miniftp who and other verbs that manage the server: " + err.Error() + " (--control off: without one)")
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.c.Context))
	published := make(chan struct{})
	go func() {
		defer close(published)
		if state := s.roots.shared; state != nil {
			control.Publish(ctx, b, state, s.logs.log)
		}
	}()
	return func() {
		cancel()
		if socket != nil {
			socket.Close()
		}
		<-published
	}, nil
}

// drain begins to drain, unless it has begun already. /readyz is 503 from now on. With DrainDelay the listeners stay open
// for a while, until balancers have seen that.
func (s *serving) drain() {
	if s.draining.Swap(true) {
		return
	}
	s.service.Status(s.status())
	delay := s.cf.DrainDelay
	if delay > 0 {
		s.logs.log.Info("draining: new sessions are admitted until the drain delay has passed", "seconds", seconds(delay))
	}
	go func() {
		select {
		case <-time.After(delay):
		case <-s.managed.ended:
			return
		}
		s.logs.log.Info("draining: no new sessions; the server ends with the last one")
		if s.srv.Drain(s.c.Context) == nil {
			close(s.managed.drained)
		}
	}()
}

// ends reports whether an error of Serve ends the server: not if the server drains, and has closed its listeners.
func (s *serving) ends(err error) bool {
	return !s.draining.Load() || !errors.Is(err, server.ErrServerClosed)
}
