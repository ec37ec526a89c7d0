// Package metrics counts what a server does, for Prometheus. It follows the events of the server's sessions, and asks the
// server for the rest when it is scraped.
//
// Counting an event takes a few atomic operations, and nothing is kept per session. All values of labels are known when
// the program is compiled, or are names of certificates in the configuration, or users with a quota, who are at most 1000, and
// their mounts: never a path, a name or an address of which clients could make any number.
//
// families.go names the metrics, count.go counts events, scrape.go looks at the server and writes the answer.
package metrics

import (
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/VictoriaMetrics/metrics"

	"miniftp/ftp"
)

// Metrics holds the metrics of a server.
type Metrics struct {
	set *metrics.Set

	opened      *metrics.Counter
	commands    *metrics.Counter
	replies     [600]*metrics.Counter // by code; those not in troubles are made with the first reply
	logins      *metrics.Counter
	failed      map[string]*metrics.Counter // logins, by reason
	refused     [reasons]*metrics.Counter
	handshakes  map[handshake]*metrics.Counter
	changes     map[string][2]*metrics.Counter // by verb; failed, done
	transfers   [kinds][2][2][2]*metrics.Counter
	connections map[connection]*metrics.Counter

	bytes   [kinds][2][2]*metrics.Counter // set when scraped
	carried [kinds][2][2]uint64           // bytes of transfers that have ended; guarded by the lock of the sessions.List

	replyTime, sessionTime *metrics.PrometheusHistogram
	transferTime           [kinds]*metrics.PrometheusHistogram
	openTime               [2]*metrics.PrometheusHistogram

	scraping sync.Mutex // one scrape at a time, so that a counter never goes down
	sessions [2][2]*metrics.Gauge
	running  [kinds]*metrics.Gauge
	gauges   map[string]*metrics.Gauge // those with one value

	hooks        [len(hookResults)]*metrics.Counter // set when scraped
	certificates map[string]*metrics.Gauge          // those that exist now; guarded by scraping
	quotas       map[string]*metrics.Gauge          // the same
	sources      map[string]bool                    // the metrics of sources of logins that exist now; guarded by scraping
}

// reasons is the number of values of ftp.Reason.
const reasons = int(ftp.ReasonNotResumed) + 1

// The kinds of transfers.
const (
	download = iota
	upload
	listing
	kinds
)

var directions = [kinds]string{"download", "upload", "listing"}

// The two results of what can fail, and the two values of labels such as tls.
var (
	results = [2]string{"failed", "ok"}
	truth   = [2]string{"false", "true"}
)

// changing holds the verbs of ftp.Changed. Others are counted as "other".
var changing = []string{"APPE", "DELE", "MDTM", "MFF", "MFMT", "MKD", "RMD", "RNFR", "RNTO", "SITE CHMOD", "SITE SYMLINK", "SITE UTIME", "STOR", "STOU", other}

const other = "other"

// The reasons for failed logins besides those of ftp.Reason.
const incorrect = "incorrect"

// loginReasons holds the reasons of ftp.Reason for which logins fail. Others are counted as "other".
var loginReasons = []ftp.Reason{ftp.ReasonLoginFailures, ftp.ReasonSessionsPerUser, ftp.ReasonLoginTimeout, ftp.ReasonTLSRequired, ftp.ReasonClientCertificate, ftp.ReasonExpired, ftp.ReasonLoginUnchecked}

// hookResults holds the results of deliveries, in the order of Hooks.
var hookResults = [...]string{"delivered", "failed", "given_up"}

// troubles holds the codes of replies that somebody may want an alert for. Their counters exist from the start, because
// Prometheus does not see the increase from nothing to 1.
var troubles = []int{421, 425, 426, 450, 451, 452, 530, 550, 552, 553}

// Limits of histograms, in seconds.
var (
	quick = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	long  = []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400}
)

// New returns the metrics of a server, all of them 0. deciding returns the setting that decides about refusals for a
// reason.
func New(version string, deciding func(ftp.Reason) string) *Metrics {
	set := metrics.NewSet()
	m := &Metrics{
		set:    set,
		opened: set.NewCounter("miniftp_sessions_opened_total"), commands: set.NewCounter("miniftp_commands_total"),
		logins: set.NewCounter(`miniftp_logins_total{result="ok",reason=""}`), failed: map[string]*metrics.Counter{},
		handshakes: map[handshake]*metrics.Counter{}, changes: map[string][2]*metrics.Counter{}, connections: map[connection]*metrics.Counter{},
		replyTime:   set.NewPrometheusHistogramExt("miniftp_reply_duration_seconds", quick),
		sessionTime: set.NewPrometheusHistogramExt("miniftp_session_duration_seconds", long),
		gauges:      map[string]*metrics.Gauge{}, certificates: map[string]*metrics.Gauge{}, quotas: map[string]*metrics.Gauge{},
	}
	set.NewGauge(fmt.Sprintf("miniftp_build_info{version=%q,goversion=%q}", version, runtime.Version()), nil).Set(1)
	for _, f := range families {
		if f.single {
			m.gauges[f.name] = set.NewGauge(f.name, nil)
		}
	}
	for _, reason := range append([]string{incorrect, other}, slugs(loginReasons)...) {
		m.failed[reason] = set.NewCounter(fmt.Sprintf(`miniftp_logins_total{result="failed",reason=%q}`, reason))
	}
	for i := range m.refused {
		r := ftp.Reason(i)
		m.refused[i] = set.NewCounter(fmt.Sprintf("miniftp_refusals_total{reason=%q,setting=%q}", slug(r), deciding(r)))
	}
	for _, code := range troubles {
		m.newReply(code)
	}
	for _, h := range handshakesOf() {
		m.handshakes[h] = set.NewCounter(fmt.Sprintf("miniftp_tls_handshakes_total{connection=%q,version=%q,resumed=%q}", h.which, h.version, truth[index(h.resumed)]))
	}
	for _, verb := range changing {
		var both [2]*metrics.Counter
		for i, result := range results {
			both[i] = set.NewCounter(fmt.Sprintf("miniftp_changes_total{verb=%q,result=%q}", verb, result))
		}
		m.changes[verb] = both
	}
	for _, c := range connectionsOf() {
		m.connections[c] = set.NewCounter(fmt.Sprintf("miniftp_data_connections_total{outcome=%q,stance=%q}", c.outcome, c.stance))
	}
	for _, stance := range stances {
		m.openTime[stance] = set.NewPrometheusHistogramExt(fmt.Sprintf("miniftp_data_connection_open_seconds{stance=%q}", stance), quick)
	}
	for i, in := range truth {
		for j, tls := range truth {
			m.sessions[i][j] = set.NewGauge(fmt.Sprintf("miniftp_sessions{logged_in=%q,tls=%q}", in, tls), nil)
		}
	}
	for i, result := range hookResults {
		m.hooks[i] = set.NewCounter(fmt.Sprintf("miniftp_hook_deliveries_total{result=%q}", result))
	}
	m.newTransfers()
	return m
}

// newReply makes the counter of replies with that code.
func (m *Metrics) newReply(code int) {
	m.replies[code] = m.set.NewCounter(fmt.Sprintf("miniftp_replies_total{code=\"%d\"}", code))
}

// newTransfers makes the metrics of transfers.
func (m *Metrics) newTransfers() {
	for kind, direction := range directions {
		m.running[kind] = m.set.NewGauge(fmt.Sprintf("miniftp_transfers_running{direction=%q}", direction), nil)
		m.transferTime[kind] = m.set.NewPrometheusHistogramExt(fmt.Sprintf("miniftp_transfer_duration_seconds{direction=%q}", direction), long)
		for _, stance := range stances {
			for i, tls := range truth {
				how := fmt.Sprintf("direction=%q,stance=%q,tls=%q", direction, stance, tls)
				m.bytes[kind][stance][i] = m.set.NewCounter("miniftp_transfer_bytes_total{" + how + "}")
				for j, result := range results {
					m.transfers[kind][stance][i][j] = m.set.NewCounter(fmt.Sprintf("miniftp_transfers_total{%s,result=%q}", how, result))
				}
			}
		}
	}
}

var stances = [2]ftp.Stance{ftp.Listens, ftp.Dials}

// slug returns a reason as the value of a label.
func slug(r ftp.Reason) string { return strings.ReplaceAll(strings.ToLower(r.String()), " ", "_") }

func slugs(all []ftp.Reason) (s []string) {
	for _, r := range all {
		s = append(s, slug(r))
	}
	return s
}

// index returns the index of b in truth.
func index(b bool) int {
	if b {
		return 1
	}
	return 0
}
