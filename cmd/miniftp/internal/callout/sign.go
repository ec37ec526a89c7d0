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
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/ftp"
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

// ReadSecret returns the secret in a file.
func ReadSecret(file string) ([]byte, error) {
	text, _, err := local.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret, err := ParseSecret(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ftp.Printable(file), err)
	}
	return secret, nil
}

// ParseSecret returns the secret in the text of a file, without white space around it. After the prefix whsec_, which is that of
// the Standard Webhooks specification, it is in base64.
func ParseSecret(text []byte) ([]byte, error) {
	secret := bytes.TrimSpace(text)
	if encoded, ok := bytes.CutPrefix(secret, []byte("whsec_")); ok {
		var err error
		if secret, err = base64.StdEncoding.DecodeString(string(encoded)); err != nil {
			return nil, errors.New("what follows whsec_ is not base64")
		}
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the secret has %d bytes, but must have at least %d", len(secret), minSecret)
	}
	return secret, nil
}
