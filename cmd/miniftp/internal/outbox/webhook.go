package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"miniftp/cmd/miniftp/internal/callout"
)

// webhook is a receiver that gets events by HTTP. The headers are those of the Standard Webhooks specification, version 1.
type webhook struct {
	url    string
	client *http.Client
}

func newWebhook(u *url.URL) *webhook {
	client, t := callout.Client(u)
	if u.Scheme == "https" {
		t.Proxy = http.ProxyFromEnvironment
	}
	t.ResponseHeaderTimeout, t.MaxConnsPerHost, t.IdleConnTimeout = deliverTime, workers, time.Minute
	return &webhook{u.String(), client}
}

func (w *webhook) deliver(ctx context.Context, e *Event, secretFile string) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	secret, err := callout.ReadSecret(secretFile)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return callout.Plain(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "miniftp")
	callout.Sign(req, secret, e.ID, body)
	resp, err := w.client.Do(req)
	if err != nil {
		return callout.Plain(err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return nil
	case code/100 == 3 || code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return &rejection{fmt.Sprintf("it answered %d", code)}
	default:
		return fmt.Errorf("it answered %d", code)
	}
}
