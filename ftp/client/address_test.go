package client_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
)

// TestStrangerRejectedInActiveMode checks that TrustPassiveHost only concerns the host to dial: in active mode a data
// connection from another host is still rejected.
func TestStrangerRejectedInActiveMode(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "from the server"
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			s.Say("150 here it comes")
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			if c, err := d.Dial("tcp", s.Port.String()); err != nil {
				t.Log(err)
			} else {
				_, _ = io.WriteString(c, "from a stranger")
				_, _ = io.ReadAll(c) // until the client closes it
				_ = c.Close()
			}
			text, _ := s.Server.File(arg)
			s.Send(text)
			s.Say("226 done")
		}
	})
	c := dial(t, f, &client.Options{Mode: ftp.Active, TrustPassiveHost: true, Timeout: 5 * time.Second})
	var b strings.Builder
	if _, err := c.Retrieve(t.Context(), "/f", &b); err != nil || b.String() != "from the server" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// relayAt returns a dialer through a proxy that listens on its own address.
func relayAt(t *testing.T, ip string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	t.Helper()
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		accepted := make(chan net.Conn, 1)
		go func() {
			c, _ := ln.Accept()
			accepted <- c
		}()
		c, err := new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
		if err != nil {
			return nil, err
		}
		in := <-accepted
		out, err := net.Dial("tcp", addr)
		if err != nil {
			_, _ = c.Close(), in.Close()
			return nil, err
		}
		go func() { _, _ = io.Copy(out, in); _ = out.(*net.TCPConn).CloseWrite() }()
		go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		return c, nil
	}
}

// TestProxyAtIPv6 checks that the address of a proxy is not mistaken for that of the server: PASV is tried if the
// server does not support EPSV, although the proxy is reached by IPv6.
func TestProxyAtIPv6(t *testing.T) {
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this host has no IPv6")
	} else {
		_ = ln.Close()
	}
	for _, verbs := range []client.Verbs{client.AnyVerbs, client.ClassicVerbs} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Files["/a"] = "hello"
			f.On["EPSV"] = func(s *fakeserver.Session, _ string) { s.Say("500 what?") }
		})
		c := dial(t, f, &client.Options{Dial: relayAt(t, "::1"), Timeout: 3 * time.Second, Verbs: verbs})
		if _, err := c.Retrieve(t.Context(), "/a", io.Discard); err != nil || f.Count("PASV") != 1 {
			t.Errorf("verbs %v: %v, PASV was sent %d times", verbs, err, f.Count("PASV"))
		}
		_ = c.Close()
	}
}
