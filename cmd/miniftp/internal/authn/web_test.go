package authn

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/server"
)

const secret = "0123456789abcdef"

// askWeb asks a service over TLS that the test trusts. It returns the result, or the error of the login.
func askWeb(ctx context.Context, t *testing.T, timeout time.Duration, l server.Login, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewTLSServer(h)
	defer s.Close()
	defer s.CloseClientConnections()
	c, err := New(Config{
		Sources: []string{s.URL + "/token"}, Timeout: timeout, Secret: []byte(secret),
		Account: func(user string, _ map[string]any) (*server.Account, error) { return &server.Account{Name: user}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.pause = 0
	c.sources[0].source.(*web).client.Transport.(*http.Transport).TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	_, err = c.Authenticate(ctx, l)
	if err == nil {
		return "ok"
	}
	if strings.Contains(err.Error(), "token") {
		t.Errorf("%v shows the path", err)
	}
	return strings.ReplaceAll(err.Error(), s.URL, "URL")
}

func answers(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func TestWebAnswers(t *testing.T) {
	const down = "the login could not be checked: URL: "
	for _, tt := range []struct {
		status     int
		text, want string
	}{
		{200, `{"result":"ok"}`, "ok"},
		{200, `{"result":"wrong"}`, "login incorrect: refused by URL"},
		{200, `{"result":"unknown"}`, "login incorrect: no source knows the user"},
		{200, ``, down + "the answer: not JSON, or something follows it"},
		{200, `{"result":"ok"}<!-- -->`, down + "the answer: not JSON, or something follows it"},
		{200, `{"result":"ok"}` + strings.Repeat(" ", 10<<20), down + "the answer has more than 65536 bytes"},
		{201, `{"result":"ok"}`, down + "it answered with status 201"},
		{401, `{"result":"wrong"}`, down + "it answered with status 401"},
		{500, `{"result":"ok"}`, down + "it answered with status 500"},
	} {
		if got := askWeb(t.Context(), t, long, login("bob", "x"), answers(tt.status, tt.text)); got != tt.want {
			t.Errorf("%d %.40s: %s", tt.status, tt.text, got)
		}
	}
	got := askWeb(t.Context(), t, long, login("bob", "x"), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
			return
		}
		answers(200, `{"result":"ok"}`)(w, r)
	})
	if got != down+"it answered with status 307" {
		t.Error("a redirection: ", got)
	}
	got = askWeb(t.Context(), t, long, login("bob", "x"), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if !strings.HasPrefix(got, down) {
		t.Error("a service that hangs up: ", got)
	}
	for _, began := range []bool{false, true} {
		got = askWeb(t.Context(), t, 500*time.Millisecond, login("bob", "x"), func(w http.ResponseWriter, r *http.Request) {
			if began {
				_, _ = io.WriteString(w, `{"result":`)
				w.(http.Flusher).Flush()
			}
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})
		if got != down+"no answer in time" {
			t.Errorf("a service that hangs, after it has begun to answer (%v): %s", began, got)
		}
	}
}

// TestQuestion: the fields of a question, and its signature.
func TestQuestion(t *testing.T) {
	l := login("bob", `p"<ä`)
	l.Host = "ftp.example.org"
	l.TLS = &tls.ConnectionState{
		Version:          tls.VersionTLS13,
		PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "bob", Organization: []string{"x"}}}},
		VerifiedChains:   [][]*x509.Certificate{{}},
	}
	got := askWeb(t.Context(), t, long, l, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		want := map[string]any{
			"version": 1.0, "user": "bob", "password": `p"<ä`, "certified": false, "address": "192.0.2.7", "port": 1234.0, "host": "ftp.example.org",
			"protocol": "ftps", "tls": map[string]any{"version": "TLS 1.3", "subject": "CN=bob,O=x", "verified": true},
		}
		var got map[string]any
		a, _ := json.Marshal(want)
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		if b, _ := json.Marshal(got); !bytes.Equal(a, b) {
			t.Errorf("the question is %s", body)
		}
		id, at := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(id + "." + at + "." + string(body)))
		if sent := r.Header.Get("Webhook-Signature"); id == "" || sent != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			t.Errorf("the signature is %q", sent)
		}
		if r.Method != http.MethodPost || r.Header.Get("Idempotency-Key") != "" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		answers(200, `{"result":"ok"}`)(w, r)
	})
	if got != "ok" {
		t.Error(got)
	}
}
