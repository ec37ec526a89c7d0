package metrics

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Source is what a scrape asks a server for.
type Source struct {
	Sessions *sessions.List
	Progress func(id uint64) (moved, total int64, ok bool) // see server.Server
	Ports    func() dtp.PortsUsage
	Bans     func() int
	Draining func() bool

	Certificates func() []Certificate
	Hooks        func() Hooks
	Quotas       func() []sessions.Quota // at most 1000
	Logins       func() []LoginSource
}

// LoginSource is a program or web service that is asked about logins.
type LoginSource struct {
	Name    string // from the configuration
	Up      bool
	Answers map[string]uint64 // by result
}

// Hooks says how far the delivery of events is.
type Hooks struct {
	Pending                 int
	Oldest                  time.Time // of the pending ones; zero: there are none
	Delivered, Failed, Dead uint64
}

// Certificate is a certificate of the server.
type Certificate struct {
	Name string // a host, or the base name of its file
	Ends time.Time
}

// Handler returns the handler for Prometheus.
func (m *Metrics) Handler(src Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(m.expose(src))
	})
}

// expose returns all metrics in the text format of Prometheus.
func (m *Metrics) expose(src Source) []byte {
	m.scraping.Lock()
	defer m.scraping.Unlock()
	m.look(src)
	var lines bytes.Buffer
	m.set.WritePrometheus(&lines)
	metrics.WriteProcessMetrics(&lines)
	return described(lines.Bytes())
}

// look sets the metrics that are not counted by events.
func (m *Metrics) look(src Source) {
	m.lookAtSessions(src)
	ports := src.Ports()
	for name, value := range map[string]int{
		"miniftp_draining": index(src.Draining()), "miniftp_bans": src.Bans(),
		"miniftp_passive_ports": ports.Size, "miniftp_passive_ports_in_use": ports.InUse,
		"miniftp_passive_port_leases": ports.Leases, "miniftp_passive_ports_waiting": ports.Waiting,
	} {
		m.gauges[name].Set(float64(value))
	}
	m.lookAtCertificates(src.Certificates())
	m.lookAtHooks(src.Hooks())
	m.lookAtQuotas(src.Quotas())
	m.lookAtLogins(src.Logins())
}

// lookAtLogins replaces the metrics of the sources of logins.
func (m *Metrics) lookAtLogins(all []LoginSource) {
	now := map[string]bool{}
	for _, s := range all {
		label := labelValue.Replace(ftp.Printable(strings.ToValidUTF8(s.Name[:min(len(s.Name), maxName)], "?")))
		up := fmt.Sprintf(`miniftp_auth_source_up{source="%s"}`, label)
		m.set.GetOrCreateGauge(up, nil).Set(float64(index(s.Up)))
		now[up] = true
		for result, n := range s.Answers {
			answers := fmt.Sprintf(`miniftp_auth_answers_total{source="%s",result=%q}`, label, result)
			m.set.GetOrCreateCounter(answers).Set(n)
			now[answers] = true
		}
	}
	for name := range m.sources {
		if !now[name] {
			m.set.UnregisterMetric(name)
		}
	}
	m.sources = now
}

// lookAtHooks sets the metrics of the delivery of events.
func (m *Metrics) lookAtHooks(h Hooks) {
	m.gauges["miniftp_hook_events_pending"].Set(float64(h.Pending))
	age := 0.0
	if !h.Oldest.IsZero() {
		age = max(0, time.Since(h.Oldest).Seconds())
	}
	m.gauges["miniftp_hook_oldest_event_seconds"].Set(age)
	for i, n := range [...]uint64{h.Delivered, h.Failed, h.Dead} {
		m.hooks[i].Set(n)
	}
}

// lookAtQuotas replaces the gauges of the quotas.
func (m *Metrics) lookAtQuotas(all []sessions.Quota) {
	is := map[string]int64{}
	for _, q := range all {
		for _, part := range []struct {
			unit        string
			used, limit int64
		}{{"bytes", q.Bytes, q.MaxBytes}, {"files", q.Files, q.MaxFiles}} {
			if part.limit <= 0 {
				continue
			}
			labels := fmt.Sprintf(`%s{user="%s",path="%s"}`, part.unit, label(q.User), label(q.Path))
			is["miniftp_quota_used_"+labels], is["miniftp_quota_limit_"+labels] = part.used, part.limit
		}
	}
	replace(m.set, m.quotas, is)
	for name, n := range is {
		m.quotas[name].Set(float64(n))
	}
}

// replace makes gauges those whose names are in is.
func replace[V any](set *metrics.Set, gauges map[string]*metrics.Gauge, is map[string]V) {
	for name := range gauges {
		if _, ok := is[name]; !ok {
			set.UnregisterMetric(name)
			delete(gauges, name)
		}
	}
	for name := range is {
		if gauges[name] == nil {
			gauges[name] = set.NewGauge(name, nil)
		}
	}
}

// maxName limits a name in a label, in bytes.
const maxName = 253

// label returns a name as the value of a label.
func label(name string) string {
	name = name[:min(len(name), maxName)]
	return labelValue.Replace(ftp.Printable(strings.ToValidUTF8(name, "?")))
}

// lookAtCertificates replaces the gauges of the certificates. Of those with the same name, the one that ends first counts.
func (m *Metrics) lookAtCertificates(all []Certificate) {
	ends := map[string]time.Time{}
	for _, c := range all {
		name := fmt.Sprintf(`miniftp_certificate_expiry_timestamp_seconds{certificate="%s"}`, label(c.Name))
		if other, ok := ends[name]; !ok || c.Ends.Before(other) {
			ends[name] = c.Ends
		}
	}
	replace(m.set, m.certificates, ends)
	for name, at := range ends {
		m.certificates[name].Set(float64(at.Unix()))
	}
}

// labelValue escapes what has a meaning in the value of a label. Printable has removed newlines.
var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// lookAtSessions counts the sessions and the bytes of running transfers.
//
// A transfer may end while it is asked how far it is. So its bytes are added only if it still runs afterwards, when the
// sum of the ended ones is read under the same lock. What has ended in between is missing until the next scrape, but
// nothing is counted twice, and the sum does not exceed what it will be when all have ended.
func (m *Metrics) lookAtSessions(src Source) {
	began := map[uint64]time.Duration{}
	src.Sessions.Each(func() {}, func(s *sessions.Session) {
		if t, ok := s.Running(); ok {
			began[s.Control.ID] = t.Began
		}
	})
	moved := map[uint64]int64{}
	for id := range began {
		if n, _, ok := src.Progress(id); ok {
			moved[id] = n
		}
	}
	var open [2][2]int
	var running [kinds]int
	var sums [kinds][2][2]uint64
	src.Sessions.Each(func() { sums = m.carried }, func(s *sessions.Session) {
		open[index(s.User != "")][index(s.TLS != sessions.InClear)]++
		t, ok := s.Running()
		if n, asked := moved[s.Control.ID]; ok && asked && began[s.Control.ID] == t.Began {
			kind := kindOf(t.Verb)
			running[kind]++
			sums[kind][t.Stance][index(t.Private)] += uint64(max(0, n))
		}
	})
	for i := range open {
		for j, n := range open[i] {
			m.sessions[i][j].Set(float64(n))
		}
	}
	for kind, n := range running {
		m.running[kind].Set(float64(n))
		for stance := range sums[kind] {
			for tls, sum := range sums[kind][stance] {
				c := m.bytes[kind][stance][tls]
				c.Set(max(c.Get(), sum))
			}
		}
	}
}
