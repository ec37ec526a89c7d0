package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

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
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return r, errors.New("write exec:/PATH or https://HOST/PATH")
	case u.User != nil || u.Fragment != "":
		return r, errors.New("a URL must have neither a user nor a fragment: requests are signed instead")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return r, errors.New("http:// is for receivers on this machine (127.0.0.1): use https://")
	}
	r.Name, r.url = u.Scheme+"://"+ftp.Printable(u.Host), text // the rest may be a secret
	r.deliver = newWebhook(text).deliver
	return r, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// rejection is the error of a receiver that is going to reject the event each time.
type rejection struct{ why string }

func (r *rejection) Error() string { return r.why }

func isRejection(err error) bool {
	_, ok := errors.AsType[*rejection](err)
	return ok
}

// plain returns an error of the network without the URL, which may be a secret.
func plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return errors.New(ftp.Printable(err.Error()))
}
