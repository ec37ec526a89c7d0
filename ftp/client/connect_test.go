package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// After Connect, a caller can inspect the server before Login sends it a password.
func TestConnectThenLogin(t *testing.T) {
	srv := ftptest.NewServer(t, afero.NewMemMapFs(), ftptest.WithTLS(), ftptest.WithUser("anna", "secret", server.ReadWrite))
	c, err := client.Connect(t.Context(), srv.Addr, &client.Options{TLS: client.ExplicitTLS, TLSConfig: &tls.Config{RootCAs: srv.CAs}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if cs, ok := c.TLS(); !ok || len(cs.PeerCertificates) != 1 || c.Greeting().Code != 220 {
		t.Errorf("TLS %v, greeting %v", ok, c.Greeting())
	}
	if r, err := c.Command(t.Context(), "FEAT", ""); err != nil || !ftp.ParseFeatures(r).Has("MLST") {
		t.Errorf("FEAT: %v, %v", r, err)
	}
	var no *ftp.Error
	if _, err := c.Pwd(t.Context()); !errors.As(err, &no) || no.Code != 530 {
		t.Errorf("before the login: %v", err)
	}
	if err := c.Login(t.Context(), "anna", "wrong"); !errors.As(err, &no) || no.Verb != "PASS" || !c.Alive() {
		t.Errorf("a wrong password: %v, alive %v", err, c.Alive())
	}
	if err := c.Login(t.Context(), "anna", "secret"); err != nil || !c.Features().Has("MLST") {
		t.Fatal(err)
	}
	if err := c.MakeDir(t.Context(), "/d"); err != nil {
		t.Error(err)
	}
	if _, err := c.ReadDir(t.Context(), "/"); err != nil {
		t.Error(err)
	}
}

// New uses an existing connection, and closes it if it fails.
func TestNewOverConnection(t *testing.T) {
	srv := ftptest.NewServer(t, afero.NewMemMapFs(), ftptest.WithUser("anna", "secret", server.ReadWrite))
	dial := func() net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Addr)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	c, err := client.New(t.Context(), dial(), srv.Addr, &client.Options{User: "anna", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadDir(t.Context(), "/"); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]*client.Options{
		"wrong password": {User: "anna", Password: "wrong"}, "line break": {User: "a\nb"}, "ports": {ActivePorts: dtp.PortRange{First: 9, Last: 2}},
	} {
		conn := dial()
		if _, err := client.New(t.Context(), conn, srv.Addr, o); err == nil {
			t.Errorf("%s: New returned no error", name)
		}
		if _, err := conn.Write(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the connection is open: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.New(ctx, dial(), srv.Addr, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
