package web

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func open(t *testing.T) (s *Site, base string) {
	t.Helper()
	s, err := Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t)
	})
	s.Serve()
	return s, "http://" + s.Addr().String()
}

// do sends a request and returns the status, the headers and the body.
func do(t *testing.T, method, url, origin string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

func TestMethods(t *testing.T) {
	s, base := open(t)
	s.Handle("/read", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "tea\n")
	}))
	s.Handle("POST /write", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		}
	}))
	for _, tt := range []struct {
		method, path, origin string
		want                 int
		body                 string
	}{
		{"GET", "/read", "", http.StatusTeapot, "tea\n"},
		{"HEAD", "/read", "", http.StatusTeapot, ""},
		{"POST", "/read", "", http.StatusMethodNotAllowed, "Method Not Allowed\n"},
		{"DELETE", "/read", "", http.StatusMethodNotAllowed, "Method Not Allowed\n"},
		{"GET", "/", "", http.StatusNotFound, "404 page not found\n"},
		{"POST", "/write", "", http.StatusOK, ""},
		{"POST", "/write", "https://elsewhere.example", http.StatusForbidden, "cross-origin request detected from Origin header\n"},
		{"GET", "/write", "", http.StatusMethodNotAllowed, "Method Not Allowed\n"},
	} {
		status, head, body := do(t, tt.method, base+tt.path, tt.origin)
		if status != tt.want || tt.origin == "" && body != tt.body {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.path, status, body, tt.want, tt.body)
		}
		if head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Cache-Control") != "no-store" || !strings.Contains(head.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, head)
		}
	}
	res, err := http.Post(base+"/write", "text/plain", strings.NewReader(strings.Repeat("x", maxBody+1)))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too long: %s", res.Status)
	}
}

// TestLongHeader sends a request whose headers are too long.
func TestLongHeader(t *testing.T) {
	s, _ := open(t)
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", strings.Repeat("x", 2*maxHeader))
	line, _ := bufio.NewReader(c).ReadString('\n')
	if !strings.Contains(line, " 431 ") {
		t.Errorf("answer %q, want 431", line)
	}
}

// TestClose checks that Close ends the context of a running request, and waits for its handler and for connections
// that have sent nothing.
func TestClose(t *testing.T) {
	s, base := open(t)
	entered := make(chan struct{})
	var left atomic.Bool
	s.Handle("/stream", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		time.Sleep(closeTime + time.Second/2) // longer than Close lets answers finish
		left.Store(true)
	}))
	silent, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := http.Get(base + "/stream"); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-entered
	s.Close()
	if !left.Load() {
		t.Error("Close returned before the handler")
	}
	<-answered
	s.Close()
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
}

// TestCloseUnserved checks that a Site can be closed without Serve, and that Listen names no address in its error.
func TestCloseUnserved(t *testing.T) {
	s, err := Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Listen(s.Addr().String(), slog.New(slog.DiscardHandler))
	if err == nil || err.Error() != "address already in use" {
		t.Errorf("the address is in use, but Listen returned %v", err)
	}
	s.Close()
	if again, err := Listen(s.Addr().String(), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	} else {
		again.Close()
	}
}
