package gate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// askHook asks a webhook over TLS that the test trusts.
func askHook(ctx context.Context, t *testing.T, secret string, content string, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewTLSServer(h)
	defer s.Close()
	defer s.CloseClientConnections()
	g, err := New([]string{s.URL + "/token"}, []byte(secret))
	check(t, err)
	g.checkers[0].(*webhook).client.Transport.(*http.Transport).TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	got := verdictOf(g.CheckUpload(ctx, uploadOf(content)))
	if strings.Contains(got, "token") {
		t.Errorf("%q shows the path", got)
	}
	return got
}

func answers(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func TestWebhookAnswers(t *testing.T) {
	for _, c := range []struct {
		status     int
		text, want string
	}{
		{200, `{"allow":true}`, "passed"},
		{201, `{"allow":true,"more":1}`, "passed"},
		{200, `{"allow":false,"reason":"no exe"}`, "refused: refused by the check: no exe"},
		{200, `{"allow":false,"reason":"a\r\n226 b"}`, "refused: refused by the check: a"},
		{200, `{"allow":false}`, "refused: refused by the check"},
		{200, `{"allow":"true"}`, "unchecked: the answer"},
		{200, `{"allow":null}`, "unchecked: the answer"},
		{200, `{}`, "unchecked: the answer"},
		{200, ``, "unchecked: the answer"},
		{200, `{"allow":true}{"allow":false}`, "unchecked: the answer"},
		{200, `{"allow":true}` + strings.Repeat(" ", maxOutput), "unchecked: the answer of the webhook is too long"},
		{403, `{"allow":false}`, "unchecked: the webhook answers with status 403"},
		{500, `{"allow":true}`, "unchecked: the webhook answers with status 500"},
	} {
		wants(t, askHook(t.Context(), t, "", "content", answers(c.status, c.text)), c.want)
	}
	wants(t, askHook(t.Context(), t, "", "content", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
			return
		}
		answers(200, `{"allow":true}`)(w, r)
	}), "unchecked: the webhook answers with status 307")
	wants(t, askHook(t.Context(), t, "", strings.Repeat("x", 1<<20), func(w http.ResponseWriter, _ *http.Request) {
		panic(http.ErrAbortHandler)
	}), "unchecked: ")
}

// The signature is over what the header says, which includes the SHA-256 of the content.
func TestWebhookSignature(t *testing.T) {
	const secret, content = "0123456789abcdef", "some content"
	got := askHook(t.Context(), t, secret, content, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		digest := sha256.Sum256(body)
		mac := hmac.New(sha256.New, []byte(secret))
		for _, name := range []string{"Timestamp", "Sha256", "Size", "User", "Path", "From", "Verb"} {
			_, _ = io.WriteString(mac, r.Header.Get("Miniftp-"+name)+"\n")
		}
		h := r.Header
		if r.Method != http.MethodPost || string(body) != content || r.ContentLength != int64(len(content)) || h.Get("Miniftp-Sha256") != hex.EncodeToString(digest[:]) ||
			h.Get("Miniftp-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) || h.Get("Miniftp-Path") != "/in%20box/x.exe" || h.Get("Miniftp-From") != "192.0.2.1" {
			t.Errorf("got %q with %q", body, h)
		}
		answers(200, `{"allow":true}`)(w, r)
	})
	wants(t, got, "passed")
	wants(t, askHook(t.Context(), t, "", "", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Miniftp-Signature") != "" || r.ContentLength != 0 {
			t.Errorf("an empty upload without a secret has %q", r.Header)
		}
		answers(200, `{"allow":true}`)(w, r)
	}), "passed")
}

// A certificate that the system does not trust is not accepted, and a webhook that hangs holds a check only until its
// context ends.
func TestWebhookDown(t *testing.T) {
	s := httptest.NewTLSServer(answers(200, `{"allow":true}`))
	defer s.Close()
	s.Config.ErrorLog = nil
	wants(t, ask(t, s.URL, "x"), "unchecked: tls: failed to verify certificate")
	ctx, cancel := context.WithCancel(t.Context())
	wants(t, askHook(ctx, t, "", "x", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client is gone
		cancel()
		<-r.Context().Done()
	}), "unchecked: context canceled")
}
