package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp"
)

// MaxReceivers is how many receivers an Outbox can have.
const MaxReceivers = 8

// deliverTime limits one delivery.
const deliverTime = 30 * time.Second

// Receiver is where events are delivered to.
type Receiver struct {
	Name string // for the log, without secrets
	// Program is the path of an executable; "": a webhook, which needs a secret.
	Program string
	url     string
	key     string // identifies it in the journal
	timeout time.Duration
	deliver func(ctx context.Context, e *Event, secret string) error
}

// ParseReceiver returns the receiver that a setting names: exec:PATH, https://… or, on this machine, http://….
func ParseReceiver(text string) (Receiver, error) {
	sum := sha256.Sum256([]byte(text))
	r := Receiver{key: hex.EncodeToString(sum[:8]), timeout: deliverTime}
	if path, ok := strings.CutPrefix(text, "exec:"); ok {
		if !filepath.IsAbs(path) {
			return r, errors.New("the path of a program must be absolute: exec:/usr/local/bin/on-upload")
		}
		r.Name, r.Program, r.deliver = "exec:"+ftp.Printable(path), path, program(path).deliver
		return r, nil
	}
	if !strings.HasPrefix(text, "http") {
		return r, errors.New("write exec:/PATH or https://HOST/PATH")
	}
	u, err := callout.ParseURL(text)
	if err != nil {
		return r, err
	}
	r.Name, r.url = u.Scheme+"://"+ftp.Printable(u.Host), text // the rest may be a secret
	r.deliver = newWebhook(u).deliver
	return r, nil
}

// rejection is the error of a receiver that is going to reject the event each time.
type rejection struct{ why string }

func (r *rejection) Error() string { return r.why }

func isRejection(err error) bool {
	_, ok := errors.AsType[*rejection](err)
	return ok
}
