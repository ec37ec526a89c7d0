package callout

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/local"
)

// Sign sets the headers of the Standard Webhooks specification, version 1, in a request with that body. id is the same each
// time that the same message is sent.
func Sign(r *http.Request, secret []byte, id string, body []byte) {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
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
