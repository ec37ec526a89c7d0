package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/server"
)

// Backend is the server that is controlled.
type Backend struct {
	Name     string // see NodeName
	Version  string
	Since    time.Time
	Listen   func() []Listener
	Sessions *sessions.List
	Server   *server.Server

	Certificates func() []Certificate
	Quotas       func() []sessions.Quota

	// Reload reads the settings again. Drain admits no new sessions and returns when the last one has ended.
	Reload   func(context.Context) (Reloaded, error)
	Drain    func(context.Context) error
	Draining func() bool
}

// infos describes the sessions.
func (b *Backend) infos() []sessions.Info {
	return sessions.WithQuotas(b.Sessions.Infos(b.Name, b.Server.Progress), b.Quotas())
}

// kick ends sessions and returns those that it has ended.
func (b *Backend) kick(w Which) ([]sessions.Info, error) {
	match, err := w.match()
	if err != nil {
		return nil, err
	}
	ended := []sessions.Info{}
	for _, in := range b.infos() {
		if match(&in) && b.Server.Kick(in.ID) {
			ended = append(ended, in)
		}
	}
	return ended, nil
}

// Server answers requests over a socket.
type Server struct {
	b      *Backend
	http   *http.Server
	socket *socket
	ended  chan struct{}
	stop   context.CancelFunc
}

// Bounds on requests and their answers.
const (
	maxRequest   = 1 << 20
	requestTime  = 10 * time.Second // for reading the header of a request
	closeTime    = 2 * time.Second  // for answers that are being written when the server stops
	watcherQueue = 1024             // events that a listener has not read yet
	writeTime    = 30 * time.Second // for writing an event
)

// Listen makes the socket at path and answers requests for b.
func Listen(b *Backend, path string) (*Server, error) {
	sock, err := listen(path)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{b: b, socket: sock, ended: make(chan struct{}), stop: stop}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+serverPath, s.answer(func(*http.Request) (any, error) {
		return About{b.Name, b.Version, os.Getpid(), b.Since, b.Draining(), b.Sessions.Len(), b.Listen(), b.Certificates()}, nil
	}))
	mux.HandleFunc("GET "+sessionsPath, s.answer(func(*http.Request) (any, error) { return b.infos(), nil }))
	mux.HandleFunc("POST "+kickPath, s.answer(func(r *http.Request) (any, error) {
		return with(r, b.kick)
	}))
	mux.HandleFunc("POST "+drainPath, s.answer(func(r *http.Request) (any, error) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the end of the client is noticed
		return struct{}{}, b.Drain(r.Context())
	}))
	mux.HandleFunc("POST "+reloadPath, s.answer(func(r *http.Request) (any, error) { return b.Reload(r.Context()) }))
	mux.HandleFunc("GET "+bansPath, s.answer(func(*http.Request) (any, error) {
		bans := []Ban{}
		for _, ban := range b.Server.Bans() {
			bans = append(bans, banOf(ban))
		}
		return bans, nil
	}))
	mux.HandleFunc("POST "+bansPath, s.answer(func(r *http.Request) (any, error) {
		return with(r, func(o banOrder) (any, error) {
			if err := b.Server.Ban(o.name(), time.Duration(o.Seconds*float64(time.Second))); err != nil {
				return nil, verb.Usagef("%v", err)
			}
			return struct{}{}, nil
		})
	}))
	mux.HandleFunc("DELETE "+bansPath, s.answer(func(r *http.Request) (any, error) {
		return with(r, func(o banOrder) (any, error) {
			if !b.Server.Unban(o.name()) {
				return nil, failed(verb.ExitRefused, "%s is not banned", o.Ban)
			}
			return struct{}{}, nil
		})
	}))
	mux.HandleFunc("GET "+eventsPath, s.events)
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: requestTime, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(sock)
	}()
	return s, nil
}

// Path returns the path of the socket.
func (s *Server) Path() string { return s.socket.path }

// Close removes the socket and lets answers finish.
func (s *Server) Close() {
	s.socket.remove()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	s.http.RegisterOnShutdown(s.stop) // ends streams of events
	if s.http.Shutdown(ctx) != nil {
		s.stop()
		_ = s.http.Close()
	}
	<-s.ended
}

// with calls f with the request's body.
func with[V, R any](r *http.Request, f func(V) (R, error)) (R, error) {
	var v V
	var none R
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		return none, verb.Usagef("the request is not valid: %v", err)
	}
	return f(v)
}

// answer returns a handler that answers with what f returns, as JSON.
func (s *Server) answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		v, err := f(r)
		status := http.StatusOK
		if err != nil {
			status, v = http.StatusUnprocessableEntity, refusal{err.Error(), verb.ExitCode(err)}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(v)
	}
}

// events writes events, one JSON object per line: the recent ones or, with ?follow=1, those from now on.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if r.URL.Query().Get("follow") == "" {
		for _, v := range s.b.Sessions.Recent() {
			_ = enc.Encode(v)
		}
		return
	}
	watcher, stop := s.b.Sessions.Watch(watcherQueue)
	defer stop()
	_ = out.Flush() // the client knows now that it will miss nothing
	for {
		select {
		case v := <-watcher.C:
			_ = out.SetWriteDeadline(time.Now().Add(writeTime))
			err := enc.Encode(v)
			if err == nil && len(watcher.C) == 0 {
				err = out.Flush()
			}
			if err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// String names the ban for people.
func (b Ban) String() string {
	if b.User == "" {
		return b.Addr
	}
	return b.User + " at " + b.Addr
}

// errInUse is returned if another server answers on a socket.
var errInUse = errors.New("another server uses this socket")
