package verbtest

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// InProcess is a server in the test process. Log holds its output.
type InProcess struct {
	Addr string
	End  func() (code int)
	Log  *Buffer
}

// Buffer is a bytes.Buffer that is safe for concurrent use.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Serve runs a server in this process. verbs must include serve.
func Serve(t *testing.T, verbs []verb.Verb, args ...string) *InProcess {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	url := make(chan string, 1)
	log := &Buffer{}
	out := &ServeOutput{URL: url}
	ended := make(chan int, 1)
	go func() {
		ended <- flags.Run(ctx, verbs, append([]string{"miniftp", "serve", "--listen", "127.0.0.1:0"}, args...), verb.Stdio{Out: log, Err: tee{log, out}})
	}()
	p := &InProcess{Log: log}
	p.End = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { p.End() })
	select {
	case u := <-url:
		p.Addr = strings.Trim(strings.TrimPrefix(u, "ftp://"), "/")
	case code := <-ended:
		ended <- code // for End
		t.Fatalf("exit %d: %s", code, log.String())
	}
	return p
}

// tee writes to a and b.
type tee struct {
	a, b interface{ Write([]byte) (int, error) }
}

func (w tee) Write(p []byte) (int, error) {
	_, _ = w.a.Write(p)
	return w.b.Write(p)
}

// ServeOutput records the output of serve, and sends the URL in it to the channel.
type ServeOutput struct {
	mu  sync.Mutex
	Buf bytes.Buffer
	URL chan string
}

func (s *ServeOutput) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := announced.Find(b); u != nil && s.URL != nil {
		s.URL <- string(u)
		s.URL = nil
	}
	return s.Buf.Write(b)
}

var announced = regexp.MustCompile(`ftp://127\.0\.0\.1:[0-9]+/`)
