package serve

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/metrics"
)

// expiryEvery is the time between two looks at the ends of the certificates.
const expiryEvery = time.Hour

// expiry remembers which certificates were warned of.
type expiry struct {
	wake chan struct{} // look now

	mu     sync.Mutex
	stages map[string]int // by name and end of a certificate: the Stage that was warned of
}

func newExpiry() *expiry { return &expiry{wake: make(chan struct{}, 1)} }

// look makes watch look soon.
func (x *expiry) look() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// forget makes news return warnings that it has returned before.
func (x *expiry) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stages = nil
}

// news returns a warning for each certificate that has come nearer to its end than the last warning said.
func (x *expiry) news(all []control.Certificate, now time.Time) (warnings []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	stages := map[string]int{}
	for _, c := range all {
		key, stage := c.Name()+" "+c.NotAfter.String(), c.Stage(now)
		if stage > max(x.stages[key], stages[key]) {
			warnings = append(warnings, c.Problem(now))
		}
		stages[key] = max(stage, x.stages[key])
	}
	x.stages = stages // those of other certificates are gone
	return warnings
}

// watch calls warn with news at each tick, and when look was called, until ctx ends.
func (x *expiry) watch(ctx context.Context, tick <-chan time.Time, all func() []control.Certificate, warn func(string)) {
	for {
		select {
		case <-tick:
		case <-x.wake:
		case <-ctx.Done():
			return
		}
		for _, text := range x.news(all(), time.Now()) {
			warn(text)
		}
	}
}

// beginACME makes s.acme, if there are hosts of --tls-acme, and connects the certificates.
func (s *serving) beginACME(certs *certificates) {
	if len(certs.named()) > 0 {
		s.acme = acmecert.New(certs.authority, s.logs.log, s.expiry.look)
	}
	s.useCertificates(certs)
}

// useCertificates connects the certificates of the settings with the log, the expiry and the authority.
func (s *serving) useCertificates(certs *certificates) {
	if certs != nil {
		certs.log, certs.loaded, certs.acme = s.logs.log, s.expiry.look, s.acme
	}
}

// showCertificates makes certs those that the server shows, renews and watches, and warns of those that end soon. It reads
// those that were kept.
func (s *serving) showCertificates(certs *certificates, warn func(string)) {
	s.certs.Store(certs)
	if s.acme != nil {
		s.acme.Use(certs.named(), s.cf.TLSLegacy || len(s.cf.TLSOldFor) > 0)
	}
	for _, text := range s.expiry.news(s.certificates(), time.Now()) {
		warn(text)
	}
}

// certificates describes the certificates that are in use.
func (s *serving) certificates() []control.Certificate {
	if certs := s.certs.Load(); certs != nil {
		return certs.list()
	}
	return []control.Certificate{}
}

// watchCertificates renews certificates and warns of their end, until end is called.
func (s *serving) watchCertificates() (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.c.Context))
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(expiryEvery)
		defer tick.Stop()
		s.expiry.watch(ctx, tick.C, s.certificates, func(text string) { s.logs.log.Warn(text) })
	})
	if s.acme != nil {
		work.Go(func() { s.acme.Run(ctx) })
	}
	return func() { cancel(); work.Wait() }
}

// measuredCertificates returns the certificates for the metrics: by the name of a host or, without one, of a file.
func (s *serving) measuredCertificates() (all []metrics.Certificate) {
	for _, c := range s.certificates() {
		if c.NotAfter.IsZero() {
			continue
		}
		name := filepath.Base(c.File)
		if len(c.Names) > 0 {
			name = c.Names[0]
		}
		all = append(all, metrics.Certificate{Name: name, Ends: c.NotAfter})
	}
	return all
}
