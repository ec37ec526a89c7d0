package client_test

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// TestDialURL checks that a URL selects the user, the TLS mode and the current directory.
func TestDialURL(t *testing.T) {
	files := afero.NewMemMapFs()
	if err := files.MkdirAll("/a b/c", 0o755); err != nil {
		t.Fatal(err)
	}
	alice := ftptest.WithUser("al@ice", "p/w S3CR3T", server.ReadWrite)
	const login = "al%40ice:p%2Fw%20S3CR3T@"
	plain, implicit := ftptest.NewServer(t, files, alice, ftptest.WithTLS()), ftptest.NewServer(t, files, alice, ftptest.WithImplicitTLS())
	for _, tt := range []struct {
		url  string
		srv  *ftptest.Server
		o    *client.Options
		pwd  string // "": DialURL must fail
		tls  bool
		want func(error) bool
	}{
		{url: "ftp://" + login + plain.Addr, srv: plain, pwd: "/"},
		{url: "ftp://" + login + plain.Addr + "/a%20b", srv: plain, pwd: "/a b"},
		{url: "ftp://" + login + plain.Addr + "/a%20b/c/", srv: plain, pwd: "/a b/c"},
		{url: "ftp://" + login + plain.Addr + "/%2F", srv: plain, pwd: "/"},
		{url: "ftpes://" + login + plain.Addr, srv: plain, pwd: "/", tls: true},
		{url: "ftps://" + login + implicit.Addr, srv: implicit, pwd: "/", tls: true},
		{url: "ftp://" + login + plain.Addr, srv: plain, o: &client.Options{User: "bob", Password: "x", TLS: client.ExplicitTLS}, pwd: "/", tls: true},
		{url: "ftp://al%40ice@" + plain.Addr, srv: plain, o: &client.Options{Password: "p/w S3CR3T"}, pwd: "/"},

		{url: "ftp://" + login + plain.Addr + "/none", srv: plain, want: func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		{url: "ftp://" + plain.Addr, srv: plain, want: func(err error) bool { return code(err) == 530 }},
		{url: "ftp://al%40ice:S3CR3T@" + plain.Addr, srv: plain, want: func(err error) bool { return code(err) == 530 }},
		{url: "http://" + login + plain.Addr, srv: plain, want: func(err error) bool { return err != nil }},
		{url: "ftp://alice:S3CR3T/@" + plain.Addr, srv: plain, want: func(err error) bool { return err != nil }},
	} {
		o := client.Options{}
		if tt.o != nil {
			o = *tt.o
		}
		o.TLSConfig = &tls.Config{RootCAs: tt.srv.CAs}
		c, err := client.DialURL(t.Context(), tt.url, &o)
		if tt.pwd == "" {
			if !tt.want(err) || strings.Contains(err.Error(), "S3CR3T") {
				t.Errorf("%s: %v", tt.url, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		pwd, err := c.Pwd(t.Context())
		if _, secure := c.TLS(); pwd != tt.pwd || secure != tt.tls {
			t.Errorf("%s: in %s (%v), TLS %v", tt.url, pwd, err, secure)
		}
		_ = c.Close()
	}
}

// code returns the code of the reply that refused.
func code(err error) ftp.Code {
	var e *ftp.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
