// Package party starts servers that take part in copies from server to server, for tests.
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

// Party is a server that takes part in copies, on a loopback address of its own if
// there are several. The client calls from a third one: a data connection between two
// parties is one with another host to both.
type Party struct {
	Addr, User, Password string
	TLS                  *tls.Config // nil: clear
	FS                   afero.Fs
	Timeout              time.Duration
}

// Dial logs in, from 127.0.0.3.
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

// Ours starts our own server at a loopback address.
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

// OursTLS is Ours with TLS required, and sessions that have to be resumed.
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

func (p *Party) Write(t *testing.T, name, text string) {
	t.Helper()
	if err := afero.WriteFile(p.FS, name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Has checks that a file is there with that text, or, for "", that it is not.
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

// Alone checks that there is nothing but these names.
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
		t.Errorf("there is %q, want %q", got, names)
	}
}

// Usable checks that a Client is at rest after what it was used for.
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

// Between copies a file over two connections that somebody else holds.
func Between(ctx context.Context, from *client.Client, file string, to *client.Client, dest string, p fxp.Plan) (fxp.Result, error) {
	p.From, p.To = fxp.File{Client: from, Path: file}, fxp.File{Client: to, Path: dest}
	return fxp.Copy(ctx, p)
}

// Through is Between through this program.
func Through(ctx context.Context, from *client.Client, file string, to *client.Client, dest string, p fxp.Plan) (fxp.Result, error) {
	p.Through = true
	return Between(ctx, from, file, to, dest, p)
}
