package connect

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/net/proxy"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// dialFunc is the dialer of client.Options.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// viaProxy returns a dialer that connects through the proxy of --proxy or else ALL_PROXY, or nil if there is
// none. NO_PROXY makes exceptions to ALL_PROXY. The proxy looks up host names.
func viaProxy(c *cli.Context, r *ftp.URL, mode ftp.DataMode) (dialFunc, error) {
	spec, from := c.String("proxy"), "--proxy"
	if spec == "" && !exempt(r.Addr, firstEnv("NO_PROXY", "no_proxy")) {
		spec, from = firstEnv("ALL_PROXY", "all_proxy"), "ALL_PROXY"
	}
	if spec == "" || spec == "none" {
		return nil, nil
	}
	u, err := proxyURL(spec)
	if err != nil {
		return nil, verb.Usagef("%s %q: %v", from, ftp.MaskURL(spec), err)
	}
	through, err := proxyDialer(u)
	if err != nil {
		return nil, verb.Usagef("%s %q: %v", from, ftp.MaskURL(spec), err)
	}
	if mode == ftp.Active {
		return nil, verb.Usagef("--active does not work through a proxy (%s), because the server can't connect to the client through it; use passive mode, or --proxy none", from)
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := through(ctx, network, addr)
		if err != nil {
			return nil, &proxyError{u.Scheme + "://" + u.Host, err}
		}
		return conn, nil
	}, nil
}

// ProxyName returns the URL, without a login, of the proxy for connections to r, or "" if there is none.
func ProxyName(c *cli.Context, r *ftp.URL) string {
	spec := c.String("proxy")
	if spec == "" && !exempt(r.Addr, firstEnv("NO_PROXY", "no_proxy")) {
		spec = firstEnv("ALL_PROXY", "all_proxy")
	}
	if u, err := proxyURL(spec); err == nil && spec != "none" {
		return u.Scheme + "://" + u.Host
	}
	return ""
}

func firstEnv(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// exempt reports whether list, the value of NO_PROXY, names the host of addr. Package proxy has the rules but does
// not export them, so exempt lets it dial and sees which of two dialers it calls.
func exempt(addr, list string) bool {
	direct := new(probe)
	p := proxy.NewPerHost(new(probe), direct)
	p.AddFromString(list)
	_, _ = p.Dial("tcp", addr)
	return direct.asked
}

// probe is a dialer that only records that it was called.
type probe struct{ asked bool }

func (p *probe) Dial(string, string) (net.Conn, error) {
	p.asked = true
	return nil, errors.ErrUnsupported
}

// proxyURL parses the URL of a proxy. Without a scheme it is an HTTP proxy.
func proxyURL(spec string) (*url.URL, error) {
	if !strings.Contains(spec, "://") {
		spec = "http://" + spec
	}
	u, err := url.Parse(spec)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("write a proxy as socks5://host:port or http://host:port")
	}
	if u.Port() == "" {
		port := map[string]string{"http": "8080"}[u.Scheme]
		if port == "" {
			port = "1080"
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

func proxyDialer(u *url.URL) (dialFunc, error) {
	switch u.Scheme {
	case "socks5", "socks5h":
		var login *proxy.Auth
		if u.User != nil {
			login = &proxy.Auth{User: u.User.Username()}
			login.Password, _ = u.User.Password()
		}
		d, err := proxy.SOCKS5("tcp", u.Host, login, &net.Dialer{})
		if err != nil {
			return nil, err
		}
		return d.(proxy.ContextDialer).DialContext, nil
	case "http":
		return connector{u}.dial, nil
	}
	return nil, errors.New("only socks5:// and http:// proxies are supported")
}

// connector dials with the CONNECT method of an HTTP proxy (RFC 9110 §9.3.6).
type connector struct{ url *url.URL }

func (p connector) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, p.url.Host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := p.connect(conn, addr)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return tunnel, nil
}

func (p connector) connect(conn net.Conn, addr string) (net.Conn, error) {
	req := &http.Request{Method: http.MethodConnect, Host: addr, URL: &url.URL{Opaque: addr}, Header: http.Header{}}
	if login := p.url.User; login != nil {
		pass, _ := login.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login.Username()+":"+pass)))
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	const mostHeader = 64 << 10
	in := bufio.NewReader(io.LimitReader(conn, mostHeader))
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, errors.New("its answer to CONNECT is not HTTP")
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("it answers CONNECT with %s", ftp.Printable(resp.Status))
	}
	if in.Buffered() == 0 {
		return conn, nil // not wrapped, so that the kernel can copy the bytes
	}
	early, err := in.Peek(in.Buffered())
	return &tunnel{conn, early}, err
}

// tunnel is a connection from which the bytes in early have already been read.
type tunnel struct {
	net.Conn
	early []byte
}

func (t *tunnel) Read(b []byte) (int, error) {
	if len(t.early) > 0 {
		n := copy(b, t.early)
		t.early = t.early[n:]
		return n, nil
	}
	return t.Conn.Read(b)
}

// CloseWrite closes the sending direction, like that of a TCP connection.
func (t *tunnel) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// proxyError is returned if the proxy can't be reached or does not connect. It has no Unwrap, because callers
// would treat the wrapped error as one about the server.
type proxyError struct {
	proxy string
	err   error
}

func (e *proxyError) Error() string {
	err := e.err
	var op *net.OpError
	for errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	return fmt.Sprintf("through the proxy %s: %s", e.proxy, strings.TrimPrefix(verb.Cause(err).Error(), "unknown error "))
}
