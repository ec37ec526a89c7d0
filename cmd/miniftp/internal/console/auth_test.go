package console

import (
	"fmt"
	"strings"
	"testing"
)

// TestHost: without a token, the page answers only if it is asked by a name of this machine.
func TestHost(t *testing.T) {
	s := setUp(t, "")
	for host, want := range map[string]int{
		"127.0.0.1:80": 200, "localhost:1234": 200, "LOCALHOST": 200, "[::1]:80": 200, "127.1.2.3": 200,
		"evil.example": 403, "127.0.0.1.evil.example:80": 403, "localhost.evil.example": 403, "192.0.2.1": 403, "0.0.0.0": 403,
	} {
		for _, path := range []string{"/", "/console/console.js", "/console/console.css"} {
			if got, _, _ := s.do("GET", path, "", "Host: "+host); got != want {
				t.Errorf("%s of %s: %d, want %d", path, host, got, want)
			}
		}
	}
	for _, path := range []string{"/console/", "/console/index.html", "/console/../console.go", "/console/none.js", "/elsewhere"} {
		if got, _, _ := s.do("GET", path, ""); got != 404 && got != 307 && got != 301 {
			t.Errorf("%s: %d", path, got)
		}
	}
	_, head, _ := s.do("GET", "/", "")
	csp := head.Get("Content-Security-Policy")
	if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", head)
	}
}

// TestToken: with a token, nothing is answered without it. The URL that has it leads to one that does not.
func TestToken(t *testing.T) {
	const token = "a token of 16 characters"
	s := setUp(t, token)
	at := "/?token=" + strings.ReplaceAll(token, " ", "+")
	for _, path := range []string{"/", "/console/console.js", "/console/stream"} {
		if got, _, text := s.do("GET", path, "", "Host: ftp.example.org"); got != 401 || strings.Contains(text, "EventSource") {
			t.Errorf("%s without the token: %d", path, got)
		}
	}
	kick := fmt.Sprintf(`{"boot":%d,"id":7}`, s.boot())
	proof := []string{"Origin: " + s.base, proofHeader + ": 1"}
	if got, _, _ := s.do("POST", "/console/kick", kick, proof...); got != 401 || s.kicked.Load() != 0 {
		t.Errorf("kick without the token: %d", got)
	}
	for _, wrong := range []string{"/?token=", at + "x", at[:len(at)-1]} {
		if got, head, _ := s.do("GET", wrong, ""); got != 401 || head.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d, %v", wrong, got, head)
		}
	}
	got, head, _ := s.do("GET", at, "")
	cookie := head.Get("Set-Cookie")
	if got != 303 || head.Get("Location") != "/" || !strings.Contains(cookie, "; HttpOnly; SameSite=Strict") || strings.Contains(cookie, "token") {
		t.Fatalf("with the token: %d, %v", got, head)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	for _, path := range []string{"/", "/console/console.js"} {
		if got, _, _ := s.do("GET", path, "", "Cookie: "+cookie); got != 200 {
			t.Errorf("%s with the cookie: %d", path, got)
		}
		if got, _, _ := s.do("GET", path, "", "Cookie: "+cookie[:len(cookie)-1]); got != 401 {
			t.Errorf("%s with half of the cookie: %d", path, got)
		}
	}
	if got, _, _ := s.do("POST", "/console/kick", kick, append(proof, "Cookie: "+cookie)...); got != 204 || s.kicked.Load() != 7 {
		t.Errorf("kick with the cookie: %d", got)
	}
	s.close()
	if text := s.log.String(); strings.Contains(text, "16 characters") || strings.Count(text, "wrong token") != 1 {
		t.Errorf("the log: %s", text)
	}
}

// TestParseToken checks what a token file may hold.
func TestParseToken(t *testing.T) {
	for text, ok := range map[string]bool{
		"0123456789abcdef\n": true, " 0123456789abcdef\r\n": true, "0123456789abcde": false, "": false,
		"0123456789 abcdef": false, "0123456789abcdef\nx": false, "0123456789abcdé": false,
	} {
		if _, err := ParseToken([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	if a, b := NewToken(), NewToken(); a == b || len(a) < minToken {
		t.Errorf("random tokens: %s, %s", a, b)
	}
}

// TestKick: only the page itself can end a session, and only one of the server that it has seen.
func TestKick(t *testing.T) {
	s := setUp(t, "")
	order := fmt.Sprintf(`{"boot":%d,"id":7}`, s.boot())
	header, own := proofHeader+": 1", "Origin: "+s.base
	for _, tt := range []struct {
		body    string
		headers []string
		want    int
	}{
		{order, nil, 403},
		{order, []string{header}, 403},
		{order, []string{own}, 403},
		{order, []string{header, "Origin: https://evil.example"}, 403},
		{order, []string{header, "Origin: null"}, 403},
		{order, []string{header, own, "Sec-Fetch-Site: cross-site"}, 403},
		{order, []string{header, own, "Sec-Fetch-Site: same-site"}, 403},
		{order, []string{header, own, "Host: evil.example"}, 403},
		{"{", []string{header, own}, 400},
		{`{"boot":1,"id":7}`, []string{header, own}, 409},
		{order, []string{header, own}, 204},
		{order, []string{header, "Sec-Fetch-Site: same-origin"}, 204},
		{fmt.Sprintf(`{"boot":%d,"id":8}`, s.boot()), []string{header, own}, 404},
	} {
		s.kicked.Store(0)
		got, _, text := s.do("POST", "/console/kick", tt.body, tt.headers...)
		if got != tt.want || (s.kicked.Load() != 0) != (tt.want == 204 || tt.want == 404) {
			t.Errorf("%s %v: %d %s, want %d; kicked %d", tt.body, tt.headers, got, text, tt.want, s.kicked.Load())
		}
	}
	for _, h := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"} { // takes the place of a viewer
		if got, _, _ := s.do("GET", "/console/stream", "", h); got != 403 {
			t.Errorf("a stream, %s: %d", h, got)
		}
	}
	if got, _, _ := s.do("GET", "/console/kick", ""); got != 405 {
		t.Errorf("GET: %d", got)
	}
}
