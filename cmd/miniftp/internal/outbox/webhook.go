package outbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
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
	"miniftp/cmd/miniftp/internal/local"
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
	secret, err := ReadSecret(secretFile)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return callout.Plain(err)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "miniftp")
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sign(secret, e.ID, at, body)))
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

// sign returns the signature of a request.
func sign(secret []byte, id, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return mac.Sum(nil)
}

// minSecret is the length of the shortest secret, in bytes.
const minSecret = 16

// ReadSecret returns the secret in a file. After the prefix whsec_ it is in base64.
func ReadSecret(file string) ([]byte, error) {
	text, _, err := local.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(text)
	if encoded, ok := strings.CutPrefix(string(text), "whsec_"); ok {
		if text, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("what follows whsec_ in the file of the secret is not base64")
		}
	}
	if len(text) < minSecret {
		return nil, fmt.Errorf("the file of the secret must hold at least %d bytes", minSecret)
	}
	return text, nil
}
