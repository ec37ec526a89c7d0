// Package acmecert gets certificates from an authority by ACME (RFC 8555) and renews them. It answers the challenges by
// which the authority checks that the names are this host's: HTTP-01 (RFC 8555 §8.3) and TLS-ALPN-01 (RFC 8737).
//
// One goroutine, that of Run, asks the authority: for one name after the other, and after a failure later each time.
// Handshakes never wait for it. Keys and certificates are kept in a directory (store.go), so that a restart asks for
// nothing.
//
// order.go speaks with the authority, answer.go answers it. The package does not know what the certificates are for, and
// must not depend on serve.
package acmecert

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// DefaultDirectory is the directory of Let's Encrypt.
const DefaultDirectory = acme.LetsEncryptURL

// Config describes an authority and how to get certificates from it.
type Config struct {
	Directory   string         // the URL of the authority's directory
	Authorities *x509.CertPool // that may have signed the certificate of that URL; nil means those of the system
	Email       string         // for the authority; may be empty
	Dir         string         // where the keys and certificates of all authorities are kept
	HTTP, ALPN  bool           // which challenges are answered
}

// Manager gets and renews certificates. Its methods are safe for concurrent use.
type Manager struct {
	Config
	log     *slog.Logger
	changed func()
	wake    chan struct{} // the hosts have changed

	client *acme.Client // used by Run only; nil before the account is known

	mu    sync.RWMutex
	rsa   bool
	hosts []*host // in the order of Use

	answers answers
}

// host is a name and its certificate. Its fields are guarded by Manager.mu.
type host struct {
	name     string
	cert     *tls.Certificate // nil: none yet
	due      time.Time        // when to ask for the next one
	failures int              // since the last success
	problem  string           // why the last attempt failed; "" after a success
}

const (
	// attemptTime limits one attempt to get a certificate.
	attemptTime = 5 * time.Minute
	// firstWait is the time between the first failure and the next attempt. It triples up to lastWait, so that an hour
	// has at most four attempts: Let's Encrypt admits five failed validations of a name per hour.
	firstWait = 2 * time.Minute
	lastWait  = 6 * time.Hour
	// leastAge is the minimum time between two certificates for the same name, however short they are valid.
	leastAge = time.Hour
	// renewBefore is the maximum time before the end of a certificate at which it is renewed. Those that are valid for
	// less than 90 days are renewed when a third of their time is left.
	renewBefore = 30 * 24 * time.Hour
	// longestSleep bounds the wait of Run, because timers stand still while the machine is suspended.
	longestSleep = time.Hour
)

// New returns a Manager without hosts. changed, which must not block, is called after a certificate was obtained.
func New(c Config, log *slog.Logger, changed func()) *Manager {
	return &Manager{Config: c, log: log, changed: changed, wake: make(chan struct{}, 1)}
}

// Authority returns the host name of the authority.
func (m *Manager) Authority() string {
	u, err := url.Parse(m.Directory)
	if err != nil {
		return ""
	}
	return u.Host
}

// Use sets the names to get certificates for, each in lower case. It reads the certificates that were kept. Certificates
// of names that are no longer among them are not renewed. If rsa is set, new keys are RSA keys, for old clients.
func (m *Manager) Use(names []string, rsa bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rsa = rsa
	old := m.hosts
	m.hosts = nil
	for _, name := range names {
		if i := slices.IndexFunc(old, func(h *host) bool { return h.name == name }); i >= 0 {
			m.hosts = append(m.hosts, old[i])
			continue
		}
		h := &host{name: name}
		cert, err := m.load(name)
		if err != nil {
			m.log.Warn("the certificate that was kept can't be used, so a new one is requested", "host", name, "err", err)
		}
		if cert != nil {
			h.cert, h.due = cert, renewAt(cert.Leaf)
			if rsa && cert.Leaf.PublicKeyAlgorithm != x509.RSA {
				h.due = time.Time{}
			}
		}
		m.hosts = append(m.hosts, h)
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// renewAt returns when to renew a certificate.
func renewAt(leaf *x509.Certificate) time.Time {
	left := min(leaf.NotAfter.Sub(leaf.NotBefore)/3, renewBefore)
	early := time.Duration(rand.Int64N(int64(left/10) + 1)) // so that not all servers ask at once
	return leaf.NotAfter.Add(-left - early)
}

// Get returns the certificate for a name, or nil before the authority has issued one.
func (m *Manager) Get(name string) *tls.Certificate {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, h := range m.hosts {
		if h.name == name {
			return h.cert
		}
	}
	return nil
}

// State is a name and its certificate.
type State struct {
	Host    string
	Cert    *tls.Certificate // nil: none yet
	Problem string           // why the last attempt to get one failed; "" if it did not
}

// States returns all names and their certificates.
func (m *Manager) States() (all []State) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, h := range m.hosts {
		all = append(all, State{h.name, h.cert, h.problem})
	}
	return all
}

// Run gets and renews certificates until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	for {
		h, wait := m.next(time.Now())
		if h != nil && wait <= 0 {
			m.attempt(ctx, h)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer := time.NewTimer(min(wait, longestSleep))
		select {
		case <-timer.C:
		case <-m.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// next returns the host that needs a certificate first, and the time until then.
func (m *Manager) next(now time.Time) (*host, time.Duration) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.hosts) == 0 {
		return nil, longestSleep
	}
	h := slices.MinFunc(m.hosts, func(a, b *host) int { return a.due.Compare(b.due) })
	return h, h.due.Sub(now)
}

// attempt tries once to get a certificate.
func (m *Manager) attempt(ctx context.Context, h *host) {
	m.mu.RLock()
	old, rsa := h.cert, m.rsa
	m.mu.RUnlock()
	if kept, _ := m.load(h.name); kept != nil && old != nil && kept.Leaf.NotAfter.After(old.Leaf.NotAfter) {
		m.succeeded(h, kept) // another server with the same directory has renewed it
		return
	}
	limited, cancel := context.WithTimeoutCause(ctx, attemptTime, errSlow)
	defer cancel()
	cert, err := m.obtain(limited, h.name, rsa)
	switch {
	case ctx.Err() != nil: // the server stops
	case err != nil:
		m.failed(h, err)
	default:
		if err := m.save(h.name, cert); err != nil {
			m.log.Warn("the new certificate can't be kept, so a restart needs another one", "host", h.name, "err", err)
		}
		m.succeeded(h, cert)
	}
}

var errSlow = errors.New("the authority did not finish within " + attemptTime.String())

func (m *Manager) succeeded(h *host, cert *tls.Certificate) {
	m.mu.Lock()
	h.cert, h.failures, h.problem = cert, 0, ""
	h.due = renewAt(cert.Leaf)
	if least := time.Now().Add(leastAge); h.due.Before(least) {
		h.due = least
	}
	m.mu.Unlock()
	m.log.Info("certificate obtained; new connections use it", "host", h.name, "authority", m.Authority(), "until", cert.Leaf.NotAfter)
	m.changed()
}

func (m *Manager) failed(h *host, err error) {
	wait := firstWait
	for range min(h.failures, 10) {
		wait = min(3*wait, lastWait)
	}
	if after, ok := acme.RateLimit(err); ok {
		wait = max(wait, min(after, 24*time.Hour))
	}
	wait += time.Duration(rand.Int64N(int64(wait / 10))) // so that not all servers ask at once
	text := said(err)
	m.mu.Lock()
	h.failures++
	h.problem = text
	h.due = time.Now().Add(wait)
	what := "can't get a certificate"
	if h.cert != nil {
		what = "can't renew the certificate"
	}
	m.mu.Unlock()
	m.log.Warn(what, "host", h.name, "authority", m.Authority(), "err", text, "again_in", wait.Round(time.Second).String())
}

// maxSaid limits what the authority says in a line of the log.
const maxSaid = 600

// said returns an error as text: what the authority says, without the words that package acme adds.
func said(err error) string {
	text := err.Error()
	if auth, ok := errors.AsType[*acme.AuthorizationError](err); ok && len(auth.Errors) > 0 {
		text = problem(auth.Errors[0])
	} else if order, ok := errors.AsType[*acme.OrderError](err); ok && order.Problem != nil {
		text = problem(order.Problem)
	} else if one, ok := errors.AsType[*acme.Error](err); ok {
		text = problem(one)
	}
	var kind *challengeError
	if errors.As(err, &kind) {
		text = kind.kind + ": " + text
	}
	return printable(text)
}

func problem(err error) string {
	one, ok := errors.AsType[*acme.Error](err)
	if !ok {
		return err.Error()
	}
	return cmp.Or(one.Detail, one.ProblemType, err.Error())
}
