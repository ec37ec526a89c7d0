package acmecert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/acme"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/ftp"
)

const (
	requestTime = time.Minute     // for a request to the authority and its answer
	cleanUpTime = 3 * time.Second // for giving up what a failed order leaves at the authority
	maxRetries  = 5               // of a request that failed at the authority
)

// The challenges, as RFC 8555 and RFC 8737 name them.
const (
	http01 = "http-01"
	alpn01 = "tls-alpn-01"
)

// challengeError says by which challenge the authority did not find the name to be this host's.
type challengeError struct {
	kind string
	err  error
}

func (e *challengeError) Error() string { return e.kind + ": " + e.err.Error() }
func (e *challengeError) Unwrap() error { return e.err }

// obtain gets a new certificate with a new key.
func (m *Manager) obtain(ctx context.Context, name string, useRSA bool) (*tls.Certificate, error) {
	if err := local.MayCreate(m.file(name)); err != nil { // otherwise each restart would ask for another one
		return nil, err
	}
	c, closeIdle, err := m.account(ctx)
	if err != nil {
		return nil, err
	}
	defer closeIdle()
	order, err := m.authorizeByAny(ctx, c, name)
	if err == nil {
		var cert *tls.Certificate
		if cert, err = finish(ctx, c, order, name, useRSA); err == nil {
			return cert, nil
		}
	}
	m.client = nil // it may be the account that the authority does not know any more
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	return nil, err
}

// account returns a client with an account at the authority. closeIdle closes the connections that it keeps.
func (m *Manager) account(ctx context.Context) (c *acme.Client, closeIdle func(), err error) {
	if m.client != nil {
		return m.client, m.client.HTTPClient.CloseIdleConnections, nil
	}
	key, err := m.accountKey()
	if err != nil {
		return nil, nil, err
	}
	c = &acme.Client{
		Key: key, DirectoryURL: m.Directory, UserAgent: "miniftp",
		HTTPClient: &http.Client{Timeout: requestTime, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 15 * time.Second, MaxConnsPerHost: 4,
			TLSClientConfig: &tls.Config{RootCAs: m.Authorities, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		}},
		RetryBackoff: func(n int, _ *http.Request, resp *http.Response) time.Duration {
			if n > maxRetries || resp == nil || resp.StatusCode == http.StatusTooManyRequests { // which Run waits for
				return 0
			}
			return 200 * time.Millisecond << n
		},
	}
	contact := &acme.Account{}
	if m.Email != "" {
		contact.Contact = []string{"mailto:" + m.Email}
	}
	_, err = c.Register(ctx, contact, acme.AcceptTOS)
	if errors.Is(err, acme.ErrAccountAlreadyExists) {
		err = nil
		if m.Email != "" {
			_, err = c.UpdateReg(ctx, contact)
		}
	}
	if err != nil {
		c.HTTPClient.CloseIdleConnections()
		return nil, nil, err
	}
	m.client = c
	return c, c.HTTPClient.CloseIdleConnections, nil
}

// authorizeByAny makes an order whose names the authority has checked, by the first challenge that succeeds.
func (m *Manager) authorizeByAny(ctx context.Context, c *acme.Client, name string) (order *acme.Order, err error) {
	var kinds []string
	if m.ALPN {
		kinds = append(kinds, alpn01)
	}
	if m.HTTP {
		kinds = append(kinds, http01)
	}
	err = errors.New("neither of the challenges that the authority could use is answered: set tls-acme-http or tls-acme-alpn")
	for _, kind := range kinds {
		if order, err = m.authorize(ctx, c, name, kind); err == nil {
			return order, nil
		}
		if !errors.As(err, new(*challengeError)) { // no other challenge would help
			return nil, err
		}
	}
	return nil, err
}

// authorize makes an order and lets the authority check the name.
func (m *Manager) authorize(ctx context.Context, c *acme.Client, name, kind string) (order *acme.Order, err error) {
	if order, err = c.AuthorizeOrder(ctx, acme.DomainIDs(name)); err != nil {
		return nil, err
	}
	if order.Status == acme.StatusReady || order.Status == acme.StatusValid {
		return order, nil
	}
	for _, at := range order.AuthzURLs {
		if err := m.prove(ctx, c, name, kind, at); err != nil {
			return nil, err
		}
	}
	return c.WaitOrder(ctx, order.URI)
}

// prove lets the authority check the name of one authorization.
func (m *Manager) prove(ctx context.Context, c *acme.Client, name, kind, at string) (err error) {
	auth, err := c.GetAuthorization(ctx, at)
	if err != nil {
		return err
	}
	if auth.Status != acme.StatusPending {
		return nil // it was checked for an earlier order; if it failed, so does the order
	}
	defer func() {
		if err != nil && !errors.As(err, new(*acme.AuthorizationError)) { // it is still pending, and authorities limit those
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
			defer cancel()
			_ = c.RevokeAuthorization(ctx, at)
		}
	}()
	for _, challenge := range auth.Challenges {
		if challenge.Type != kind {
			continue
		}
		withdraw, err := m.answers.prepare(c, name, challenge)
		if err != nil {
			return err
		}
		defer withdraw()
		if _, err := c.Accept(ctx, challenge); err != nil {
			return err
		}
		if _, err := c.WaitAuthorization(ctx, at); errors.As(err, new(*acme.AuthorizationError)) {
			return &challengeError{kind, err}
		} else if err != nil {
			return err
		}
		return nil
	}
	return &challengeError{kind, errors.New("the authority does not offer this challenge")}
}

// finish gets the certificate of an order.
func finish(ctx context.Context, c *acme.Client, order *acme.Order, name string, useRSA bool) (*tls.Certificate, error) {
	var key crypto.Signer
	var err error
	if useRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := c.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, err
	}
	cert := &tls.Certificate{Certificate: chain, PrivateKey: key}
	if err := check(cert, name); err != nil {
		return nil, fmt.Errorf("the authority sent a certificate that can't be used: %w", err)
	}
	return cert, nil
}

// check parses the certificate of the host and returns an error unless it is for name and belongs to its key.
func check(cert *tls.Certificate, name string) (err error) {
	if len(cert.Certificate) == 0 {
		return errors.New("it is empty")
	}
	if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
		return err
	}
	key, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return errors.New("its key can't sign")
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(cert.Leaf.PublicKey) {
		return errors.New("it is for another key")
	}
	return cert.Leaf.VerifyHostname(name)
}

// printable returns text as one line of limited length, without control characters.
func printable(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return ftp.Printable(text)
}
