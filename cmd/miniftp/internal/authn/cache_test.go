package authn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/ftp/server"
)

// TestCache: a good answer is remembered for a while, for exactly the same login.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		asked := 0
		c, _ := chainOf(t, time.Minute, func(_ context.Context, q *question) (answer, error) {
			asked++
			if down {
				return answer{}, errors.New("down")
			}
			if q.Password == "x" || q.Certified {
				return answer{result: ok}, nil
			}
			return answer{result: wrong}, nil
		})
		logIn := func(l server.Login, want string, wantAsked int) {
			t.Helper()
			asked = 0
			if got := verdict(t.Context(), c, l); got != want || asked != wantAsked {
				t.Errorf("%s, asked %d times, want %s and %d", got, asked, want, wantAsked)
			}
		}
		logIn(login("bob", "x"), "ok bob", 1)
		down = true
		again := login("bob", "x")
		again.Remote = netip.MustParseAddrPort("192.0.2.7:4321")
		logIn(again, "ok bob", 0)
		down = false
		for _, change := range []func(l *server.Login){
			func(l *server.Login) { l.User = "bobx"; l.Password = "" },
			func(l *server.Login) { l.Password = "y" },
		} {
			l := login("bob", "x")
			change(&l)
			if got := verdict(t.Context(), c, l); got != "refused" {
				t.Errorf("%+v: %s", l, got)
			}
		}
		for _, change := range []func(l *server.Login){
			func(l *server.Login) { l.User = "bo"; l.Password = "x" },
			func(l *server.Login) { l.Host = "other" },
			func(l *server.Login) { l.Remote = netip.MustParseAddrPort("192.0.2.8:1") },
			func(l *server.Login) { l.Remote = netip.MustParseAddrPort("[2001:db8::1]:1") },
			func(l *server.Login) { l.TLS = &tls.ConnectionState{} },
			func(l *server.Login) { l.Certified, l.Password = true, "" },
			func(l *server.Login) {
				l.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "bob"}}}}
			},
			func(l *server.Login) { l.TLS = &tls.ConnectionState{Version: tls.VersionTLS10} },
			func(l *server.Login) { l.TLS = &tls.ConnectionState{Version: tls.VersionTLS13} },
			func(l *server.Login) {
				cert := &x509.Certificate{Subject: pkix.Name{CommonName: "bob"}}
				l.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
			},
		} {
			l := login("bob", "x")
			change(&l)
			logIn(l, "ok "+l.User, 1)
			logIn(l, "ok "+l.User, 0)
		}
		l := login("bob", "x")
		l.Remote = netip.MustParseAddrPort("[2001:db8::2]:1")
		logIn(l, "ok bob", 0) // the same network
		time.Sleep(time.Minute)
		logIn(login("bob", "x"), "ok bob", 1)
		if n := c.Stats()[0].Counts["cached"]; n != 12 {
			t.Errorf("%d are counted as cached", n)
		}
		for i := range 2 * maxCached {
			l := login(fmt.Sprint("user", i), "x")
			c.cache.put(&l, c.sources[1], nil)
		}
		if n := len(c.cache.hits); n > maxCached {
			t.Errorf("%d answers are remembered", n)
		}
	})
}
