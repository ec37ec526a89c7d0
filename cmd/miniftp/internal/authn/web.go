package authn

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp"
)

// web is a source that gets questions by HTTP. The headers are those of the Standard Webhooks specification, version 1.
type web struct {
	url    string
	secret []byte
	client *http.Client
}

// newWeb returns the source at a URL. Its name has no path, which may be a secret.
func newWeb(spec string, secret []byte) (source, string, error) {
	u, err := callout.ParseURL(spec)
	if err != nil {
		return nil, "", err
	}
	client, t := callout.Client(u)
	if u.Scheme == "https" {
		t.Proxy = http.ProxyFromEnvironment
	}
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.IdleConnTimeout = atOnce, atOnce, time.Minute
	return &web{u.String(), secret, client}, u.Scheme + "://" + ftp.Printable(u.Host), nil
}

func (w *web) close() { w.client.CloseIdleConnections() }

func (w *web) ask(ctx context.Context, q *question) (answer, error) {
	body, err := q.encode()
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, callout.Plain(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "miniftp")
	// So that package http sends it again if the server has just closed an idle connection. The header itself is not sent.
	r.Header["Idempotency-Key"] = nil
	callout.Sign(r, w.secret, rand.Text(), body)
	resp, err := w.client.Do(r)
	if err != nil {
		return answer{}, callout.Plain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("it answered with status %d", resp.StatusCode)
	}
	got, err := readAnswer(resp.Body)
	if ctx.Err() != nil {
		return answer{}, callout.Plain(context.DeadlineExceeded)
	}
	return got, err
}
