package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// inProcess is serve within the test; what it writes is in log when it has ended.
type inProcess struct {
	addr string
	end  func() (code int)
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serveVerbs runs a server in this process; verbs has serve.
func serveVerbs(t *testing.T, verbs []verb, args ...string) *inProcess {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	url := make(chan string, 1)
	log := &lockedBuffer{}
	out := &serveOutput{url: url}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, verbs, append([]string{"miniftp", "serve", "--listen", "127.0.0.1:0"}, args...), stdio{out: log, err: tee{log, out}})
	}()
	p := &inProcess{log: log}
	p.end = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { p.end() })
	select {
	case u := <-url:
		p.addr = strings.Trim(strings.TrimPrefix(u, "ftp://"), "/")
	case code := <-ended:
		t.Fatalf("exit %d: %s", code, log.String())
	}
	return p
}

// tee writes to both.
type tee struct {
	a, b interface{ Write([]byte) (int, error) }
}

func (w tee) Write(p []byte) (int, error) {
	_, _ = w.a.Write(p)
	return w.b.Write(p)
}

// serveOutput keeps what serve writes, and tells where it listens.
type serveOutput struct {
	mu  sync.Mutex
	buf bytes.Buffer
	url chan string
}

func (s *serveOutput) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := announced.Find(b); u != nil && s.url != nil {
		s.url <- string(u)
		s.url = nil
	}
	return s.buf.Write(b)
}

var announced = regexp.MustCompile(`ftp://127\.0\.0\.1:[0-9]+/`)
