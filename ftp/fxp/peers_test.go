package fxp_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
	"miniftp/ftp/internal/party"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
)

// stockParty starts a stock server; "miniftp" is our own.
func stockParty(t *testing.T, name, host string, o peers.Options) *party.Party {
	t.Helper()
	if name == "miniftp" {
		if o.TLS != peers.Off {
			return party.OursTLS(t, host, o.FXP)
		}
		return party.Ours(t, host, o.FXP)
	}
	dir := t.TempDir()
	s := peers.Start(t, name, dir, o)
	files, closer, err := fsroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	p := &party.Party{Addr: s.Addr, User: s.User, Password: s.Password, FS: files}
	if s.Certs != nil {
		p.TLS = &tls.Config{RootCAs: s.Certs.CA}
	}
	return p
}

var allParties = append([]string{"miniftp"}, peers.Names()...)

// TestCopyBetweenPeers copies from each server to each, with the options that each needs: always without TLS, and
// with TLS if one of the two can be the TLS client. After it only the files are left, and both connections can be
// used.
func TestCopyBetweenPeers(t *testing.T) {
	t.Parallel()
	body := string(testutil.Noise(1 << 20))
	for way, secure := range map[string]peers.TLSMode{"clear": peers.Off, "TLS": peers.Explicit} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			o := peers.Options{FXP: true, TLS: secure}
			sources, targets := map[string]*party.Party{}, map[string]*party.Party{}
			for _, name := range allParties {
				sources[name], targets[name] = stockParty(t, name, "127.0.0.1", o), stockParty(t, name, "127.0.0.1", o)
				if _, err := sources[name].Dial(t).Store(t.Context(), "f", strings.NewReader(body)); err != nil {
					t.Fatal(err)
				}
			}
			for i, from := range allParties {
				for j, to := range allParties {
					// Each is the source of two copies, and the destination of two.
					if far := (j - i + len(allParties)) % len(allParties); far > 1 && !testutil.Soaking {
						continue
					}
					t.Run(from+" to "+to, func(t *testing.T) {
						copyBetween(t, from, to, sources[from], targets[to], body)
					})
				}
			}
		})
	}
}

// copyBetween copies twice: to a new file, and replacing that one.
func copyBetween(t *testing.T, from, to string, a, b *party.Party, body string) {
	ca, cb := a.Dial(t), b.Dial(t)
	for range 2 {
		res, err := party.Between(t.Context(), ca, "f", cb, "copy", fxp.Plan{KeepTime: true})
		switch secure := a.TLS != nil; {
		case secure && !reverses(from) && !reverses(to):
			if !testutil.IsA[*client.TLSError](err) {
				t.Fatalf("two servers that can't be TLS clients: %v", err)
			}
			res, err = party.Through(t.Context(), ca, "f", cb, "copy", fxp.Plan{KeepTime: true})
		case secure && from == "proftpd" && to != "miniftp" && err != nil:
			// The source sends without reading the session tickets of the destination, and the last bytes
			// are lost. That has to be detected.
			if !testutil.IsA[*fxp.Error](err) {
				t.Fatalf("a copy that was cut short: %v", err)
			}
			ca, cb = a.Dial(t), b.Dial(t)
			res, err = party.Through(t.Context(), ca, "f", cb, "copy", fxp.Plan{KeepTime: true})
		}
		if err != nil || res.Bytes != int64(len(body)) || res.Verified != "sizes and replies" {
			t.Fatalf("%+v, %v; want the whole file", res, err)
		}
	}
	b.Has(t, "copy", body)
	b.Alone(t, "copy")
	for _, c := range []*client.Client{ca, cb} {
		if _, err := c.Command(t.Context(), "NOOP", ""); err != nil {
			t.Error(err)
		}
	}
	if err := cb.Delete(t.Context(), "copy"); err != nil {
		t.Error(err)
	}
}

// reverses reports whether that server can be the TLS client of a data connection.
func reverses(name string) bool { return name == "miniftp" || name == "proftpd" }

// In their default configuration the stock servers forbid such copies, and reply so.
func TestCopyForbiddenByPeers(t *testing.T) {
	t.Parallel()
	for _, name := range peers.Names() {
		for _, source := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " as the source", false: " as the destination"}[source], func(t *testing.T) {
				t.Parallel()
				stock, own := stockParty(t, name, "", peers.Options{}), party.Ours(t, "127.0.0.1", true)
				a, b := stock, own
				if !source {
					a, b = own, stock
				}
				ca, cb := a.Dial(t), b.Dial(t)
				if _, err := ca.Store(t.Context(), "f", strings.NewReader("content")); err != nil {
					t.Fatal(err)
				}
				res, err := party.Between(t.Context(), ca, "f", cb, "copy", fxp.Plan{})
				if (err == nil) != (name == "proftpd") { // which accepts a data connection from any host
					t.Errorf("%+v, %v; only proftpd allows it", res, err)
				}
				if err == nil {
					return
				}
				if !testutil.IsA[*fxp.NoWayError](err) {
					t.Fatal(err)
				}
				if ca.Alive() && cb.Alive() {
					if exists, _ := afero.Exists(b.FS, "copy"); exists {
						t.Error("a copy that failed left a file")
					}
				} else if name != "pure-ftpd" { // which can't be interrupted while it waits for a data connection
					t.Error("a control connection was closed")
				}
				ca, cb = a.Dial(t), b.Dial(t)
				if _, err := party.Through(t.Context(), ca, "f", cb, "copy", fxp.Plan{}); err != nil {
					t.Error(err)
				}
				b.Has(t, "copy", "content")
			})
		}
	}
}
