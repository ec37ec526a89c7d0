package client_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
)

// secured records the TLS state of a Client's data connections.
type secured struct {
	mu  sync.Mutex
	all []ftp.TLS
}

func (s *secured) Observe(e ftp.Event) {
	if d, ok := e.What.(ftp.DataSecured); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, d.TLS)
	}
}

// taken returns what was recorded since the last call.
func (s *secured) taken() []ftp.TLS {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// securePeer starts a stock server and returns the peer for it.
func securePeer(t *testing.T, name string, o peers.Options, mode ftp.DataMode) (peer, *peers.Server, *secured) {
	t.Helper()
	s := peers.Start(t, name, t.TempDir(), o)
	seen := &secured{}
	return peer{
		addr: s.Addr, user: s.User, password: s.Password, mode: mode,
		odd: func(file string) bool { return !stumbles(name, file) },
		also: func(c *client.Options) {
			c.TLS = map[peers.TLSMode]client.TLSMode{peers.Explicit: client.ExplicitTLS, peers.Implicit: client.ImplicitTLS}[o.TLS]
			c.TLSConfig, c.Observer = &tls.Config{RootCAs: s.Certs.CA}, seen
		},
	}, s, seen
}

// eachSecurePeer calls f for everything that the stock servers support: explicit and implicit TLS, both versions,
// both modes. A server that can require it requires that data connections resume the session, so a client that does
// not would fail. Implicit TLS differs only at the start, so half of its combinations are left out. An ordinary run
// uses a sample that has each server, version and mode, and implicit TLS with one of the servers.
func eachSecurePeer(t *testing.T, half bool, f func(t *testing.T, name string, o peers.Options, mode ftp.DataMode)) {
	for _, name := range peers.Names() {
		for _, how := range []peers.TLSMode{peers.Explicit, peers.Implicit} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				o := peers.Options{TLS: how, TLSVersion: version, RequireReuse: true}
				if !peers.Can(name, o) {
					o.RequireReuse = false
				}
				if !peers.Can(name, o) {
					continue // pure-ftpd does not support implicit TLS
				}
				for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
					if half && how == peers.Implicit && (mode == ftp.Active) == (version == tls.VersionTLS13) {
						continue
					}
					if sample := (mode == ftp.Passive) == (version == tls.VersionTLS13) && (how == peers.Explicit || version == tls.VersionTLS12 && name == "proftpd"); !sample && !testutil.Soaking {
						continue
					}
					way := map[peers.TLSMode]string{peers.Explicit: "explicit", peers.Implicit: "implicit"}[how]
					t.Run(fmt.Sprintf("%s/%s %s %v", name, way, tls.VersionName(version), mode), func(t *testing.T) {
						t.Parallel()
						f(t, name, o, mode)
					})
				}
			}
		}
	}
}

// resumesNothing reports whether the server resumes no session: pure-ftpd accepts no ticket of TLS 1.3.
func resumesNothing(name string, version uint16) bool {
	return name == "pure-ftpd" && version == tls.VersionTLS13
}

// TestAgainstPeersUnderTLS does with TLS what TestAgainstPeers does without. All data connections use the version of
// TLS that the server is limited to.
func TestAgainstPeersUnderTLS(t *testing.T) {
	t.Parallel()
	eachSecurePeer(t, true, func(t *testing.T, name string, o peers.Options, mode ftp.DataMode) {
		p, _, seen := securePeer(t, name, o, mode)
		p.exercise(t)
		all := seen.taken()
		if len(all) < 50 {
			t.Errorf("%d data connections were under TLS", len(all))
		}
		for i, x := range all {
			if x.Version != tls.VersionName(o.TLSVersion) || x.Resumed == resumesNothing(name, o.TLSVersion) {
				t.Fatalf("data connection %d of %d: %+v", i, len(all), x)
			}
		}
	})
}

// The same over IPv6, once for each server, in its default configuration.
func TestAgainstPeersUnderTLSOverIPv6(t *testing.T) {
	t.Parallel()
	for i, name := range peers.Names() {
		mode := []ftp.DataMode{ftp.Passive, ftp.Active}[i%2]
		t.Run(name+" "+mode.String(), func(t *testing.T) {
			t.Parallel()
			p, _, _ := securePeer(t, name, peers.Options{TLS: peers.Explicit, IPv6: true}, mode)
			p.exercise(t)
		})
	}
}

// Many uploads in a row arrive whole at servers that also send session tickets on data connections.
func TestUploadsToPeersArriveWhole(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1<<20 + 1}
	eachSecurePeer(t, false, func(t *testing.T, name string, o peers.Options, mode ftp.DataMode) {
		p, s, _ := securePeer(t, name, o, mode)
		c := p.dial(t)
		for i := range map[bool]int{false: 12, true: 30}[testutil.Soaking] {
			body := testutil.Noise(1<<20 + 100)[i:][:sizes[i%len(sizes)]]
			file := fmt.Sprintf("upload%02d", i)
			if n, err := c.Store(t.Context(), file, bytes.NewReader(body)); err != nil || n != int64(len(body)) {
				t.Errorf("upload %d: %d of %d bytes, %v", i, n, len(body), err)
			}
			if b, err := os.ReadFile(filepath.Join(s.Root, file)); err != nil || !bytes.Equal(b, body) {
				t.Errorf("upload %d: %d of %d bytes arrived: %v", i, len(b), len(body), err)
			}
		}
	})
}

// A server whose certificate is not trusted, or is for another name, gets no login. Nor does a server that does not
// support the requested implicit TLS.
func TestPeersWithWrongCertificates(t *testing.T) {
	t.Parallel()
	other := peers.NewCerts(t)
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s, _ := securePeer(t, name, peers.Options{TLS: peers.Explicit}, ftp.Passive)
			for what, o := range map[string]client.Options{
				"another authority": {TLS: client.ExplicitTLS, TLSConfig: &tls.Config{RootCAs: other.CA}},
				"another name":      {TLS: client.ExplicitTLS, TLSConfig: &tls.Config{RootCAs: s.Certs.CA, ServerName: "example.org"}},
				"implicit":          {TLS: client.ImplicitTLS, TLSConfig: &tls.Config{RootCAs: s.Certs.CA}},
			} {
				o.User, o.Password = p.user, p.password
				c, err := client.Dial(t.Context(), p.addr, &o)
				if err == nil {
					_ = c.Close()
				}
				if !testutil.IsA[*client.TLSError](err) {
					t.Errorf("%s: %v", what, err)
				}
			}
			// Without TLS these servers refuse the login, and a client with TLS never tries that.
			c, err := client.Dial(t.Context(), p.addr, &client.Options{User: p.user, Password: p.password})
			if err == nil {
				_ = c.Close()
				t.Error("the server accepted a login without TLS")
			}
		})
	}
	t.Run("no TLS at all", func(t *testing.T) {
		for _, name := range peers.Names() {
			s := peers.Start(t, name, t.TempDir(), peers.Options{})
			var said []string
			_, err := client.Dial(t.Context(), s.Addr, &client.Options{
				User: s.User, Password: s.Password, TLS: client.ExplicitTLS,
				Observer: ftp.ObserverFunc(func(e ftp.Event) {
					if c, ok := e.What.(ftp.CommandGiven); ok {
						said = append(said, c.Command.Verb)
					}
				}),
			})
			if !testutil.IsA[*client.TLSError](err) || !slices.Equal(said, []string{"AUTH"}) {
				t.Errorf("%s: %v, after %s", name, err, strings.Join(said, " "))
			}
		}
	})
}
