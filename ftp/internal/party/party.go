// Package party starts servers for tests of copies from server to server.
package party

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/fxp"
	"miniftp/ftp/server"
)

// Party is a server that takes part in a copy. If there are two, each has its own loopback
// address, and the client connects from a third. So both servers see a data connection with a
// host other than the client.
type Party struct {
	Addr, User, Password string
	TLS                  *tls.Config // the client's; nil for no TLS
	FS                   afero.Fs
	Timeout              time.Duration
}

// Dial returns a client that is logged in, connected from 127.0.0.3.
func (p *Party) Dial(t *testing.T, change ...func(*client.Options)) *client.Client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
	o := client.Options{User: p.User, Password: p.Password, Dial: d.DialContext, TLSConfig: p.TLS, Timeout: p.Timeout}
	if p.TLS != nil {
		o.TLS = client.ExplicitTLS
	}
	for _, f := range change {
		f(&o)
	}
	c, err := client.Dial(t.Context(), p.Addr, &o)
	var none *client.ConnectError
	if errors.As(err, &none) {
		t.Skipf("no second loopback address: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Ours starts a server of package server on a loopback address.
func Ours(t *testing.T, host string, fxp bool, change ...func(*server.Options)) *Party {
	t.Helper()
	p := &Party{User: "u", Password: "p", FS: fsroot.NewMem()}
	o := server.Options{
		Auth: server.Static{"u": {Password: "p", Account: server.Account{FS: p.FS, Perm: server.ReadWrite, FXP: fxp}}},
		Log:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&o)
	}
	srv, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", host+":0")
	if err != nil {
		t.Skip("no such address here:", err)
	}
	p.Addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return p
}

// OursTLS is like Ours, but requires TLS, and that data connections resume the TLS session.
func OursTLS(t *testing.T, host string, fxp bool, change ...func(*server.Options)) *Party {
	t.Helper()
	cert, err := server.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	p := Ours(t, host, fxp, append(change, func(o *server.Options) {
		o.TLS, o.TLSRequired, o.SessionReuse = &tls.Config{Certificates: []tls.Certificate{cert}}, true, dtp.ReuseRequire
	})...)
	p.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	return p
}

// Write creates a file on the server.
func (p *Party) Write(t *testing.T, name, text string) {
	t.Helper()
	if err := afero.WriteFile(p.FS, name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Has checks that a file exists with that text, or, for "", that it does not exist.
func (p *Party) Has(t *testing.T, name, text string) {
	t.Helper()
	b, err := afero.ReadFile(p.FS, name)
	if text == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if string(b) != text {
		t.Errorf("%s is %d bytes, %v; want %d", name, len(b), err, len(text))
	}
}

// Alone checks that the root directory contains these names, separated by blanks, and no others.
func (p *Party) Alone(t *testing.T, names string) {
	t.Helper()
	list, err := afero.ReadDir(p.FS, "/")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, fi := range list {
		all = append(all, fi.Name())
	}
	if got := strings.Join(all, " "); got != names {
		t.Errorf("the root contains %q, want %q", got, names)
	}
}

// Usable checks that Clients work, with no transfer left open.
func Usable(t *testing.T, all ...*client.Client) {
	t.Helper()
	for _, c := range all {
		if _, err := c.Command(t.Context(), "NOOP", ""); err != nil {
			t.Errorf("the connection is not usable: %v", err)
			continue
		}
		if _, err := c.Store(t.Context(), "/probe", strings.NewReader("probe")); err != nil {
			t.Errorf("Store after a copy: %v", err)
		}
		if err := c.Delete(t.Context(), "/probe"); err != nil {
			t.Errorf("Delete after a copy: %v", err)
		}
	}
}

// Between copies a file between the servers of two clients, which the caller owns.
func Between(ctx context.Context, from *client.Client, file string, to *client.Client, dest string, p fxp.Plan) (fxp.Result, error) {
	p.From, p.To = fxp.File{Client: from, Path: file}, fxp.File{Client: to, Path: dest}
	return fxp.Copy(ctx, p)
}

// Through is like Between, but all data goes through this program.
func Through(ctx context.Context, from *client.Client, file string, to *client.Client, dest string, p fxp.Plan) (fxp.Result, error) {
	p.Through = true
	return Between(ctx, from, file, to, dest, p)
}
