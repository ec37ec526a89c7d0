// Package web is the HTTP server of serve: the metrics, the health checks, the live page and the answers for an authority of
// certificates are its handlers.
//
// A Site is for few clients, such as Prometheus, a balancer, the browser of an administrator or an authority. It limits what each of them can take nevertheless, because a port is easily open to more than that.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

const (
	maxConns   = 64       // at once; others wait in the queue of the system
	maxHeader  = 16 << 10 // bytes of a request without its body
	maxBody    = 64 << 10 // bytes of the body of a request
	headerTime = 5 * time.Second
	// exchangeTime limits a request and its answer. A handler that streams for longer extends its deadlines with
	// http.ResponseController.
	exchangeTime = 30 * time.Second
	// idleTime is longer than the usual time between two requests of Prometheus, one minute, so that it can keep its
	// connection.
	idleTime = 90 * time.Second
	// closeTime limits how long Close lets answers finish.
	closeTime = 2 * time.Second
)

// Site is an HTTP server on one address. Its methods are safe for concurrent use.
type Site struct {
	listener net.Listener
	mux      *http.ServeMux
	server   *http.Server
	cancel   context.CancelFunc // ends the contexts of the requests
	started  sync.Once
	closed   sync.Once
	work     sync.WaitGroup // the accepting goroutine and the connections
}

// Listen returns a Site that listens on addr, and answers after Serve. Failures inside net/http are logged to log.
func Listen(addr string, log *slog.Logger) (*Site, error) {
	l, err := Open(addr)
	if err != nil {
		return nil, err
	}
	return On(l, log), nil
}

// Open listens on addr. ":9100" and "[::]:9100" are all addresses, "0.0.0.0:9100" is all of IPv4.
func Open(addr string) (net.Listener, error) {
	network := "tcp"
	if host, _, err := net.SplitHostPort(addr); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().Is4() {
			network = "tcp4" // else package net listens on IPv6 for 0.0.0.0, too
		}
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), network, addr)
	if err != nil {
		return nil, listenError(err)
	}
	return l, nil
}

// On is like Listen, with a listener that is open already. The Site closes it.
func On(l net.Listener, log *slog.Logger) *Site {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Site{listener: l, mux: http.NewServeMux(), cancel: cancel}
	s.server = &http.Server{
		Handler:           guarded(s.mux),
		ReadHeaderTimeout: headerTime, ReadTimeout: exchangeTime, WriteTimeout: exchangeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // called by the accepting goroutine
				s.work.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.work.Done()
			}
		},
	}
	return s
}

// listenError returns the operating system's part of err. The caller knows the address.
func listenError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	return err
}

// guarded limits what clients can send, refuses requests by which a page of another site would change something, and
// sets headers that forbid browsers what no handler here needs. A handler may set others.
func guarded(h http.Handler) http.Handler {
	h = http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(h, maxBody))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// Handle registers a handler for a pattern of http.ServeMux. A pattern without a method is for GET and HEAD only.
func (s *Site) Handle(pattern string, h http.Handler) {
	if !strings.Contains(pattern, " ") {
		pattern = http.MethodGet + " " + pattern // which http.ServeMux matches to HEAD, too
	}
	s.mux.Handle(pattern, h)
}

// Serve begins to answer, in goroutines that Close ends.
func (s *Site) Serve() {
	s.started.Do(func() {
		s.work.Go(func() { _ = s.server.Serve(netutil.LimitListener(s.listener, maxConns)) })
	})
}

// Addr returns the address that the Site listens on.
func (s *Site) Addr() net.Addr { return s.listener.Addr() }

// Close stops listening, lets answers finish for two seconds and returns when all goroutines of the Site have ended.
// The context of a request ends when Close is called.
func (s *Site) Close() {
	s.closed.Do(func() {
		s.cancel()
		_ = s.listener.Close() // which the server knows only after Serve
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if s.server.Shutdown(ctx) != nil {
			_ = s.server.Close()
		}
	})
	s.work.Wait()
}
