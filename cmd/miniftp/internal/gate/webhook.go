package gate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp/server"
)

// webhook asks an HTTP server with a POST of the content. What the upload is about is in the header.
type webhook struct {
	url    *url.URL
	secret []byte
	client *http.Client
}

func newWebhook(spec string, secret []byte) (checker, error) {
	u, err := callout.ParseURL(spec)
	if err != nil {
		return nil, err
	}
	client, transport := callout.Client(u)
	transport.DisableKeepAlives = true
	return &webhook{u, secret, client}, nil
}

// String returns the URL without its path, which may be a secret.
func (w *webhook) String() string { return w.url.Scheme + "://" + w.url.Host }

func (w *webhook) check(ctx context.Context, u *server.GateUpload) error {
	digest, err := hashContent(ctx, u)
	if err != nil {
		return err
	}
	body := newBody(u)
	defer body.end()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), body)
	if err != nil {
		return errors.New("not a valid URL")
	}
	if r.ContentLength = u.Size; u.Size == 0 {
		r.Body = http.NoBody
	}
	w.describe(r.Header, u, digest)
	answer, err := w.client.Do(r)
	if err != nil {
		return callout.Plain(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answers with status %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxOutput+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxOutput:
		return errors.New("the answer of the webhook is too long")
	}
	return webhookVerdict(text)
}

func webhookVerdict(text []byte) error {
	var verdict struct {
		Allow  *bool  `json:"allow"`
		Reason string `json:"reason"`
	}
	switch err := json.Unmarshal(text, &verdict); {
	case err != nil || verdict.Allow == nil:
		return errors.New(`the answer of the webhook is not {"allow":true} or {"allow":false,"reason":"…"}`)
	case *verdict.Allow:
		return nil
	}
	if why := callout.FirstLine(verdict.Reason); why != "" {
		return refuse("refused by the check: %s", why)
	}
	return refuse("refused by the check")
}

// describe sets the header that says what the upload is. The signature is over all other values, one on a line. One of
// them is the SHA-256 of the content.
func (w *webhook) describe(h http.Header, u *server.GateUpload, digest string) {
	h.Set("Content-Type", "application/octet-stream")
	h.Set("User-Agent", "miniftp")
	signed := hmac.New(sha256.New, w.secret)
	for _, v := range [][2]string{
		{"Miniftp-Timestamp", strconv.FormatInt(time.Now().Unix(), 10)},
		{"Miniftp-Sha256", digest},
		{"Miniftp-Size", strconv.FormatInt(u.Size, 10)},
		{"Miniftp-User", escape(u.User)},
		{"Miniftp-Path", escape(u.Path)},
		{"Miniftp-From", host(u.Remote)},
		{"Miniftp-Verb", u.Verb},
	} {
		h.Set(v[0], v[1])
		fmt.Fprintln(signed, v[1])
	}
	if len(w.secret) > 0 {
		h.Set("Miniftp-Signature", "sha256="+hex.EncodeToString(signed.Sum(nil)))
	}
}

// escape returns s percent-encoded, for a header. Slashes stay.
func escape(s string) string { return strings.ReplaceAll(url.PathEscape(s), "%2F", "/") }
