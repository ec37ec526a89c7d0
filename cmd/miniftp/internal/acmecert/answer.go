package acmecert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/net/netutil"
)

// answers holds the answers to the challenges of the order that is in progress.
type answers struct {
	mu     sync.Mutex
	byPath map[string]string           // HTTP-01
	byName map[string]*tls.Certificate // TLS-ALPN-01
}

// prepare makes the answer to a challenge. withdraw forgets it.
func (a *answers) prepare(c *acme.Client, name string, challenge *acme.Challenge) (withdraw func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch challenge.Type {
	case http01:
		text, err := c.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return nil, err
		}
		path := c.HTTP01ChallengePath(challenge.Token)
		a.byPath = map[string]string{path: text}
	case alpn01:
		cert, err := c.TLSALPN01ChallengeCert(challenge.Token, name)
		if err != nil {
			return nil, err
		}
		a.byName = map[string]*tls.Certificate{name: &cert}
	default:
		return nil, fmt.Errorf("the challenge %q is unknown", challenge.Type)
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.byPath, a.byName = nil, nil
	}, nil
}

// ChallengePath is the path below which the authority asks for an answer to HTTP-01.
const ChallengePath = "/.well-known/acme-challenge/"

// ServeHTTP answers HTTP-01. Everything else gets 404.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.answers.mu.Lock()
	text, ok := m.answers.byPath[r.URL.Path]
	m.answers.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, text)
}

var errNoChallenge = errors.New("only challenges of the authority are answered here")

// certificate returns the certificate that answers TLS-ALPN-01.
func (a *answers) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return nil, errNoChallenge
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if cert := a.byName[hello.ServerName]; cert != nil {
		return cert, nil
	}
	return nil, errNoChallenge
}

const (
	maxConns      = 16               // for TLS-ALPN-01 at once; others wait in the queue of the system
	handshakeTime = 10 * time.Second // for a connection from beginning to end
)

// ServeALPN answers TLS-ALPN-01 on l: a handshake, and nothing after it. When ctx ends, it closes l and all connections,
// and returns.
func (m *Manager) ServeALPN(ctx context.Context, l net.Listener) {
	config := &tls.Config{GetCertificate: m.answers.certificate, NextProtos: []string{acme.ALPNProto}, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
	l = netutil.LimitListener(l, maxConns)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // not the inner one, which would not end a wait for the limit
	defer stop()
	var open conns
	defer open.end()
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no descriptors, for example
			time.Sleep(100 * time.Millisecond)
			continue
		}
		open.serve(conn, func() {
			_ = conn.SetDeadline(time.Now().Add(handshakeTime))
			_ = tls.Server(conn, config).HandshakeContext(ctx)
		})
	}
}

// conns holds connections that are being served.
type conns struct {
	mu   sync.Mutex
	all  map[net.Conn]bool
	work sync.WaitGroup
}

// serve calls f in a goroutine and then closes conn.
func (c *conns) serve(conn net.Conn, f func()) {
	c.mu.Lock()
	if c.all == nil {
		c.all = map[net.Conn]bool{}
	}
	c.all[conn] = true
	c.mu.Unlock()
	c.work.Go(func() {
		defer func() {
			_ = conn.Close()
			c.mu.Lock()
			delete(c.all, conn)
			c.mu.Unlock()
		}()
		f()
	})
}

// end closes all connections and waits until they are no longer served.
func (c *conns) end() {
	c.mu.Lock()
	for conn := range c.all {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.work.Wait()
}
