package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// secureSite is our own server with TLS, explicit and implicit. It requires data connections to resume the TLS
// session.
type secureSite struct {
	*server.Server
	explicit, implicit string // addresses
	roots              *x509.CertPool
}

func serveSecure(t *testing.T, fsys afero.Fs, host string, version uint16) *secureSite {
	t.Helper()
	cert, roots := certificate(t)
	srv, err := server.New(server.Options{
		Auth:        server.Static{"u": {Password: "p", Account: server.Account{FS: fsys, Perm: server.ReadWrite}}},
		Log:         slog.New(slog.NewTextHandler(t.Output(), nil)),
		TLS:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version},
		TLSRequired: true, SessionReuse: dtp.ReuseRequire,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &secureSite{Server: srv, roots: roots}
	var served sync.WaitGroup
	for _, addr := range []*string{&s.explicit, &s.implicit} {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Skip("no such address here:", err)
		}
		*addr = ln.Addr().String()
		serve := srv.Serve
		if addr == &s.implicit {
			serve = srv.ServeTLS
		}
		served.Go(func() {
			if err := serve(ln); !errors.Is(err, server.ErrServerClosed) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		_ = srv.Close()
		served.Wait()
	})
	return s
}

// peer returns the peer for the server.
func (s *secureSite) peer(how client.TLSMode, mode ftp.DataMode) peer {
	p := peer{addr: s.explicit, user: "u", password: "p", mode: mode, all: true}
	if how == client.ImplicitTLS {
		p.addr = s.implicit
	}
	p.also = func(o *client.Options) { o.TLS, o.TLSConfig = how, &tls.Config{RootCAs: s.roots} }
	return p
}

// Our client and server with TLS: both versions in both modes, in memory and on disk, by IPv4 and IPv6, explicit and
// implicit.
func TestAgainstOurServerUnderTLS(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	ways := []struct {
		how         client.TLSMode
		host, store string
	}{
		{client.ExplicitTLS, "127.0.0.1", "memory"},
		{client.ImplicitTLS, "::1", "disk"},
		{client.ImplicitTLS, "127.0.0.1", "memory"},
		{client.ExplicitTLS, "::1", "disk"},
	}
	n := 0
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			w := ways[n]
			n++
			t.Run(fmt.Sprint(tls.VersionName(version), " ", mode, "/", w.host, "/", w.store), func(t *testing.T) {
				t.Parallel()
				fsys := fsroot.NewMem()
				if w.store == "disk" {
					root, err := fsroot.OpenRoot(t.TempDir())
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = root.Close() })
					fsys = root
				}
				serveSecure(t, fsys, w.host, version).peer(w.how, mode).exercise(t)
			})
		}
	}
}

// cancelAt cancels at the nth event of a Client after set.
type cancelAt struct {
	mu     sync.Mutex
	left   int
	cancel context.CancelCauseFunc
}

func (c *cancelAt) Observe(ftp.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		c.cancel(errEnough)
	}
}

func (c *cancelAt) set(n int, cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.cancel = n, cancel
}

// fired reports whether it has cancelled.
func (c *cancelAt) fired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left <= 0
}

// A transfer with TLS that is cancelled at any event leaves a Client that works or is dead, and a file that is either
// the old or the new one.
func TestCancelUnderTLS(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			for what, transfer := range cancelled {
				t.Run(tls.VersionName(version)+" "+mode.String()+" "+what, func(t *testing.T) {
					t.Parallel()
					fsys, at := fsroot.NewMem(), &cancelAt{}
					p := serveSecure(t, fsys, "127.0.0.1", version).peer(client.ExplicitTLS, mode)
					also := p.also
					p.also = func(o *client.Options) {
						also(o)
						o.Observer = at
						// The server's connection for a cancelled transfer may come late. Use ports of
						// its own, so that no other test takes that connection for its own.
						first := testutil.FreePorts(t, 8)
						o.ActivePorts = dtp.PortRange{First: first, Last: first + 7}
					}
					c := p.dial(t)
					for n := 1; ; n++ {
						if err := afero.WriteFile(fsys, "/f", before, 0o644); err != nil {
							t.Fatal(err)
						}
						if !c.Alive() {
							c = p.dial(t)
						}
						ctx, cancel := context.WithCancelCause(t.Context())
						at.set(n, cancel)
						err := transfer(ctx, c)
						fired := at.fired()
						cancel(nil)
						judgeCancel(t, c, n, err)
						b, readErr := afero.ReadFile(fsys, "/f")
						isOld, isNew := bytes.Equal(b, before), bytes.Equal(b, after)
						if readErr != nil || !isOld && !isNew || err == nil && what == "Store" && !isNew {
							t.Errorf("cancelled at event %d, %v: the file has %d bytes, %v", n, err, len(b), readErr)
						}
						if !fired {
							break
						}
					}
				})
			}
		}
	}
}

// cancelled holds the operations to cancel. before and after are the contents of /f.
var (
	before, after = testutil.Noise(300_000), testutil.Noise(700_000)

	cancelled = map[string]func(ctx context.Context, c *client.Client) error{
		"Store": func(ctx context.Context, c *client.Client) error {
			_, err := c.Store(ctx, "/f", bytes.NewReader(after))
			return err
		},
		"Retrieve": func(ctx context.Context, c *client.Client) error {
			var got bytes.Buffer
			_, err := c.Retrieve(ctx, "/f", &got)
			if err == nil && !bytes.Equal(got.Bytes(), before) {
				return fmt.Errorf("content with %d bytes", got.Len())
			}
			return err
		},
		"List": func(ctx context.Context, c *client.Client) error {
			for _, err := range c.List(ctx, "/") {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
)

// judgeCancel checks that an operation succeeded or was cancelled, and that the Client, if alive, can be used.
func judgeCancel(t *testing.T, c *client.Client, n int, err error) {
	t.Helper()
	what := fmt.Sprint("cancelled at event ", n)
	if err != nil && !errors.Is(err, errEnough) {
		t.Errorf("%s: %v", what, err)
	}
	if !c.Alive() {
		return
	}
	if _, err := c.Store(t.Context(), "/other", bytes.NewReader(testutil.Noise(1000))); err != nil {
		t.Errorf("%s: the next Store: %v", what, err)
	}
	var got bytes.Buffer
	if _, err := c.Retrieve(t.Context(), "/other", &got); err != nil || !bytes.Equal(got.Bytes(), testutil.Noise(1000)) {
		t.Errorf("%s: the next Retrieve: %d bytes, %v", what, got.Len(), err)
	}
	if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
		t.Errorf("%s: the next Pwd: %q, %v", what, dir, err)
	}
}

// A server that shuts down lets a transfer with TLS finish. One that is closed cuts it, and no file looks whole.
func TestServerShutsDownUnderTLS(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	body := testutil.Noise(8 << 20)
	for _, hard := range []bool{false, true} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprint(tls.VersionName(version), " hard ", hard), func(t *testing.T) {
				fsys := fsroot.NewMem()
				if err := afero.WriteFile(fsys, "/f", body, 0o644); err != nil {
					t.Fatal(err)
				}
				s := serveSecure(t, fsys, "127.0.0.1", version)
				p := s.peer(client.ExplicitTLS, ftp.Passive)
				down, up := p.dial(t), p.dial(t)
				went := make(chan error, 1)
				begun := make(chan struct{}, 2)
				gone := make(chan struct{})
				go func() {
					<-begun
					<-begun
					if hard {
						went <- s.Close()
					} else {
						go func() { went <- s.Shutdown(t.Context()) }()
					}
					close(gone)
				}()
				var got bytes.Buffer
				var both sync.WaitGroup
				both.Go(func() {
					_, err := down.Retrieve(t.Context(), "/f", io.MultiWriter(&got, &gate{begun: begun, gone: gone}))
					if (err == nil) == hard || err == nil && !bytes.Equal(got.Bytes(), body) {
						t.Errorf("Retrieve: %d bytes, %v", got.Len(), err)
					}
				})
				both.Go(func() {
					_, err := up.Store(t.Context(), "/up", io.MultiReader(bytes.NewReader(body[:1000]), &gate{begun: begun, gone: gone}, bytes.NewReader(body[1000:])))
					if (err == nil) == hard {
						t.Errorf("Store: %v", err)
					}
				})
				both.Wait()
				if err := <-went; err != nil {
					t.Errorf("the server: %v", err)
				}
				b, err := afero.ReadFile(fsys, "/up")
				if hard && err == nil || !hard && !bytes.Equal(b, body) {
					t.Errorf("the upload has %d bytes: %v", len(b), err)
				}
			})
		}
	}
}

// gate blocks a transfer until the server begins to go down.
type gate struct {
	begun chan struct{}
	gone  chan struct{}
	once  sync.Once
}

func (g *gate) Write(b []byte) (int, error) {
	g.once.Do(func() { g.begun <- struct{}{}; <-g.gone })
	return len(b), nil
}

func (g *gate) Read([]byte) (int, error) {
	g.once.Do(func() { g.begun <- struct{}{}; <-g.gone })
	return 0, io.EOF
}
