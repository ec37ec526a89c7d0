package metrics

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// server feeds metrics with the events of sessions.
type server struct {
	*Metrics
	list  *sessions.List
	at    time.Time
	moved map[uint64]int64 // of running transfers
	asked func()           // called when the server is asked for progress; may be nil

	certificates []Certificate
	hooks        Hooks
	quotas       []sessions.Quota
	logins       []LoginSource
}

func newServer() *server {
	s := &server{
		Metrics: New("1.2.3", func(r ftp.Reason) string {
			if r == ftp.ReasonBanned {
				return "ban-time"
			}
			return ""
		}), at: time.Now(), moved: map[uint64]int64{}, certificates: []Certificate{{"ftp.example.org", time.Unix(2e9, 0)}},
		quotas: []sessions.Quota{{User: "alice", Path: "/", Bytes: 5, MaxBytes: 10, Files: 1, MaxFiles: 2}},
		logins: []LoginSource{{Name: "exec:/usr/local/bin/check-login", Up: true, Answers: map[string]uint64{"ok": 3, "wrong": 1, "unknown": 0, "failed": 0, "skipped": 0, "cached": 7}}},
	}
	s.list = sessions.New(func(ftp.Reason) string { return "" }, func(e ftp.Event, one *sessions.Session, _ bool) { s.Follow(s.list, e, one) })
	return s
}

// do emits events of a session, one each second.
func (s *server) do(id uint64, all ...ftp.Happening) {
	for _, what := range all {
		s.at = s.at.Add(time.Second)
		s.list.Observe(ftp.Event{At: s.at, Control: &ftp.Control{ID: id, Side: ftp.ServerPI, Remote: netip.MustParseAddrPort("192.0.2.1:1")}, What: what})
	}
}

func (s *server) source() Source {
	return Source{
		Sessions: s.list,
		Progress: func(id uint64) (moved, total int64, ok bool) {
			if s.asked != nil {
				s.asked()
			}
			moved, ok = s.moved[id]
			return moved, 0, ok
		},
		Ports: func() dtp.PortsUsage { return dtp.PortsUsage{Size: 10, InUse: 4, Leases: 3, Waiting: 2} },
		Bans:  func() int { return 7 }, Draining: func() bool { return true },
		Certificates: func() []Certificate { return s.certificates },
		Hooks:        func() Hooks { return s.hooks },
		Quotas:       func() []sessions.Quota { return s.quotas },
		Logins:       func() []LoginSource { return s.logins },
	}
}

// scrape returns the values of all lines that are not 0.
func (s *server) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(string(s.expose(s.source()))) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " ")
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if v != 0 {
			all[line[:i]] = v
		}
	}
	return all
}

// expect fails the test unless the lines have these values.
func expect(t *testing.T, when string, got, want map[string]float64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: %s is %v, want %v", when, name, got[name], want[name])
		}
	}
}

func given(verb string) ftp.CommandGiven { return ftp.CommandGiven{Command: ftp.Command{Verb: verb}} }

func reply(verb string, code ftp.Code) ftp.ReplyGiven {
	return ftp.ReplyGiven{Verb: verb, Reply: ftp.NewReply(code, "x")}
}

func TestCounts(t *testing.T) {
	s := newServer()
	s.do(1, ftp.ControlOpened{}, reply("", 220), ftp.ControlSecured{TLS: ftp.TLS{Version: "TLS 1.3", Resumed: true}},
		given("USER"), reply("USER", 331), given("PASS"), ftp.LoggedInAs{User: "alice"}, reply("PASS", 230),
		given("RETR"), ftp.DataOpened{Stance: ftp.Dials, Took: 20 * time.Millisecond}, ftp.DataSecured{TLS: ftp.TLS{Version: "TLS 1.2"}}, reply("RETR", 150),
		ftp.TransferDone{Verb: "RETR", Mode: ftp.Active, Protection: ftp.Private, Bytes: 1000, Took: 2 * time.Second}, reply("RETR", 226))
	s.do(2, ftp.ControlOpened{}, given("USER"), reply("USER", 331), given("PASS"), ftp.Refused{}, reply("PASS", 530),
		given("DELE"), ftp.Changed{Verb: "DELE", Reply: ftp.NewReply(250, "x")}, reply("DELE", 250),
		given("MKD"), ftp.Changed{Verb: "SITE MAGIC", Reply: ftp.NewReply(550, "x")}, reply("MKD", 550))
	s.do(3, ftp.Refused{Reason: ftp.ReasonBanned}) // not admitted
	s.do(4, ftp.ControlOpened{}, ftp.StrangerRefused{}, ftp.Refused{Reason: 99}, ftp.ControlClosed{})
	got := s.scrape(t)
	expect(t, "at the end", got, map[string]float64{
		`miniftp_build_info{version="1.2.3",goversion="` + runtime.Version() + `"}`:           1,
		`miniftp_sessions{logged_in="true",tls="true"}`:                                       1,
		`miniftp_sessions{logged_in="false",tls="false"}`:                                     1,
		`miniftp_sessions_opened_total`:                                                       3,
		`miniftp_session_duration_seconds_count`:                                              1,
		`miniftp_session_duration_seconds_sum`:                                                3,
		`miniftp_logins_total{result="ok",reason=""}`:                                         1,
		`miniftp_logins_total{result="failed",reason="incorrect"}`:                            1,
		`miniftp_refusals_total{reason="address_banned",setting="ban-time"}`:                  1,
		`miniftp_refusals_total{reason="other",setting=""}`:                                   2,
		`miniftp_refusals_total{reason="data_connection_with_another_host",setting=""}`:       1,
		`miniftp_tls_handshakes_total{connection="control",version="TLS 1.3",resumed="true"}`: 1,
		`miniftp_tls_handshakes_total{connection="data",version="TLS 1.2",resumed="false"}`:   1,
		`miniftp_commands_total`:                                                              7,
		`miniftp_replies_total{code="220"}`:                                                   1,
		`miniftp_replies_total{code="331"}`:                                                   2,
		`miniftp_reply_duration_seconds_count`:                                                7,
		`miniftp_reply_duration_seconds_sum`:                                                  1 + 2 + 3 + 1 + 2 + 2 + 2,
		`miniftp_changes_total{verb="DELE",result="ok"}`:                                      1,
		`miniftp_changes_total{verb="other",result="failed"}`:                                 1,
		`miniftp_transfers_total{direction="download",stance="dials",tls="true",result="ok"}`: 1,
		`miniftp_transfer_bytes_total{direction="download",stance="dials",tls="true"}`:        1000,
		`miniftp_transfer_duration_seconds_sum{direction="download"}`:                         2,
		`miniftp_data_connections_total{outcome="opened",stance="dials"}`:                     1,
		`miniftp_data_connections_total{outcome="stranger",stance="listens"}`:                 1,
		`miniftp_data_connection_open_seconds_bucket{stance="dials",le="0.025"}`:              1,
		`miniftp_data_connection_open_seconds_bucket{stance="dials",le="0.01"}`:               0,
		`miniftp_bans`:                  7,
		`miniftp_draining`:              1,
		`miniftp_passive_ports`:         10,
		`miniftp_passive_ports_in_use`:  4,
		`miniftp_passive_port_leases`:   3,
		`miniftp_passive_ports_waiting`: 2,
	})
}

// TestLongTransfer checks that bytes are counted while a transfer runs, each exactly once, and that the sum never
// goes down: not if the transfer ends while it is asked how far it is, and not if another one begins then.
func TestLongTransfer(t *testing.T) {
	const bytes, running = `miniftp_transfer_bytes_total{direction="upload",stance="listens",tls="false"}`, `miniftp_transfers_running{direction="upload"}`
	s := newServer()
	begin := []ftp.Happening{given("STOR"), ftp.DataOpened{Stance: ftp.Listens}, reply("STOR", 150)}
	end := []ftp.Happening{ftp.TransferDone{Verb: "STOR", Direction: ftp.Store, Bytes: 1000, Took: time.Hour}, reply("STOR", 226)}
	s.do(1, ftp.ControlOpened{})
	s.do(1, begin...)
	s.moved[1] = 400
	expect(t, "while it runs", s.scrape(t), map[string]float64{bytes: 400, running: 1})
	s.moved[1] = 900
	s.asked = func() {
		s.asked = nil
		delete(s.moved, 1)
		s.do(1, end...)
	}
	expect(t, "if it ends meanwhile", s.scrape(t), map[string]float64{bytes: 1000, running: 0})
	s.do(1, begin...)
	s.moved[1] = 700
	s.asked = func() {
		s.asked = nil
		s.do(1, end...)
		s.do(1, begin...)
		s.moved[1] = 800
	}
	expect(t, "if another one begins meanwhile", s.scrape(t), map[string]float64{bytes: 2000})
	delete(s.moved, 1)
	expect(t, "if the server does not know it", s.scrape(t), map[string]float64{bytes: 2000, running: 0})
	s.moved[1] = 500
	expect(t, "before the end", s.scrape(t), map[string]float64{bytes: 2500, running: 1})
	delete(s.moved, 1)
	expect(t, "a lower sum", s.scrape(t), map[string]float64{bytes: 2500})
	s.do(1, end...)
	expect(t, "at the end", s.scrape(t), map[string]float64{bytes: 3000, running: 0})
}

// TestOutcomes checks how data connections that fail are counted.
func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		stance ftp.Stance
		err    error
		want   string
	}{
		{ftp.Listens, fmt.Errorf("%w within 30s", dtp.ErrNobodyCame), nobodyCame},
		{ftp.Dials, fmt.Errorf("%w within 30s", dtp.ErrNoAnswer), noAnswer},
		{ftp.Dials, fmt.Errorf("connect: %w", syscall.ECONNREFUSED), dialFailed},
		{ftp.Listens, &net.OpError{Op: "accept", Err: net.ErrClosed}, acceptFailed},
		{ftp.Listens, errors.New("the client hung up"), canceled},
		{ftp.Dials, &dtp.GuardError{Addr: netip.MustParseAddrPort("192.0.2.1:2000")}, refused},
		{ftp.Listens, &dtp.TLSError{Data: true, Err: syscall.ECONNRESET}, tlsFailed},
		{ftp.Listens, &dtp.TLSError{Data: true, Err: dtp.ErrNotResumed}, notResumed},
	} {
		s := newServer()
		s.do(1, ftp.ControlOpened{}, ftp.DataFailed{Stance: tt.stance, Err: tt.err})
		expect(t, tt.err.Error(), s.scrape(t), map[string]float64{fmt.Sprintf("miniftp_data_connections_total{outcome=%q,stance=%q}", tt.want, tt.stance): 1})
	}
}

// TestLogins checks the reasons for failed logins.
func TestLogins(t *testing.T) {
	for _, tt := range []struct {
		want   string // "": it does not count as a login
		events []ftp.Happening
	}{
		{"incorrect", []ftp.Happening{given("PASS"), ftp.Refused{Reason: ftp.ReasonLogin}, reply("PASS", 530)}},
		{"incorrect", []ftp.Happening{given("PASS"), ftp.Refused{Reason: ftp.ReasonLogin}, ftp.Refused{Reason: ftp.ReasonLogin}, reply("PASS", 421)}},
		{"too_many_failed_logins", []ftp.Happening{given("PASS"), ftp.Refused{Reason: ftp.ReasonLoginFailures}, reply("PASS", 421)}},
		{"tls_required", []ftp.Happening{given("USER"), ftp.Refused{Reason: ftp.ReasonTLSRequired}, reply("USER", 530)}},
		{"other", []ftp.Happening{given("PASS"), reply("PASS", 421)}},
		{"other", []ftp.Happening{given("PASS"), ftp.Refused{Reason: ftp.ReasonCommandRate}, reply("PASS", 421)}},
		{"", []ftp.Happening{given("PASS"), reply("PASS", 503)}},
		{"", []ftp.Happening{ftp.Refused{}, given("RETR"), reply("RETR", 530)}},
	} {
		s := newServer()
		s.do(1, ftp.ControlOpened{})
		s.do(1, tt.events...)
		sum := 0.0
		for name, n := range s.scrape(t) {
			if strings.HasPrefix(name, `miniftp_logins_total{result="failed"`) {
				sum += n
				if name != fmt.Sprintf("miniftp_logins_total{result=\"failed\",reason=%q}", tt.want) {
					t.Errorf("%v: counted as %s", tt.events, name)
				}
			}
		}
		if sum != float64(index(tt.want != "")) {
			t.Errorf("%v: %v failed logins", tt.events, sum)
		}
	}
}

// TestNoAllocations checks that counting an event allocates nothing.
func TestNoAllocations(t *testing.T) {
	s := newServer()
	s.do(1, ftp.ControlOpened{}, reply("PASS", 230))
	one := &sessions.Session{}
	for _, what := range []ftp.Happening{
		given("RETR"), reply("RETR", 230),
		ftp.DataOpened{Stance: ftp.Dials},
		ftp.DataSecured{TLS: ftp.TLS{Version: "TLS 1.3"}},
		ftp.TransferDone{Verb: "RETR", Bytes: 1},
		ftp.Refused{Reason: ftp.ReasonBanned},
		ftp.Changed{Verb: "DELE", Reply: ftp.NewReply(250, "x")},
		ftp.ControlSecured{TLS: ftp.TLS{Version: "TLS 1.3"}},
		ftp.LoggedInAs{},
		ftp.ControlClosed{},
	} {
		e := ftp.Event{At: s.at, Control: &ftp.Control{Side: ftp.ServerPI}, What: what}
		if n := testing.AllocsPerRun(100, func() { s.Follow(s.list, e, one) }); n > 0 {
			t.Errorf("%T: %v allocations", what, n)
		}
	}
}

// TestFamilies checks that each family of the set is in the table, and each line of miniftp's in a family that is
// described once.
func TestFamilies(t *testing.T) {
	s := newServer()
	s.do(1, ftp.ControlOpened{}, reply("", 220))
	seen := map[string]int{}
	for line := range strings.Lines(string(s.expose(s.source()))) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			seen[strings.Fields(name)[0]]++
		}
	}
	for _, f := range families {
		platform := strings.HasPrefix(f.name, "process_") // not all of them are everywhere
		if n := seen[f.name]; n > 1 || n == 0 && !platform {
			t.Errorf("%s is described %d times", f.name, n)
		}
	}
	for _, name := range s.set.ListMetricNames() {
		if familyOf([]byte(name+" ")) == nil {
			t.Errorf("%s is not in the table of families", name)
		}
	}
}

// BenchmarkFollow measures the events of a small transfer.
func BenchmarkFollow(b *testing.B) {
	s := newServer()
	one := &sessions.Session{}
	var events []ftp.Event
	for _, what := range []ftp.Happening{
		given("EPSV"), reply("EPSV", 229), given("RETR"), ftp.DataOpened{Stance: ftp.Listens}, reply("RETR", 150), ftp.TransferDone{Verb: "RETR", Bytes: 1}, reply("RETR", 226),
	} {
		events = append(events, ftp.Event{At: s.at, Control: &ftp.Control{Side: ftp.ServerPI}, What: what})
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range events {
			s.Follow(s.list, e, one)
		}
	}
}

// TestCertificates: each certificate has a gauge as long as the server uses it. Of two with one name, the end of the first
// counts. Names from the configuration can't break the format.
func TestCertificates(t *testing.T) {
	const gauge = `miniftp_certificate_expiry_timestamp_seconds{certificate=`
	s := newServer()
	expect(t, "at first", s.scrape(t), map[string]float64{gauge + `"ftp.example.org"}`: 2e9})
	at := func(sec int64) time.Time { return time.Unix(sec, 0) }
	s.certificates = []Certificate{{"a", at(9)}, {"a", at(7)}, {"a", at(8)}, {"q\"u\\o\nte", at(5)}, {strings.Repeat("n", 9999), at(6)}, {"bad\xff", at(4)}}
	got := s.scrape(t)
	expect(t, "after a reload", got, map[string]float64{gauge + `"a"}`: 7, gauge + `"q\"u\\o?te"}`: 5, gauge + `"` + strings.Repeat("n", maxName) + `"}`: 6, gauge + `"bad?"}`: 4, gauge + `"ftp.example.org"}`: 0})
	s.certificates = nil
	for name := range s.scrape(t) {
		if strings.HasPrefix(name, gauge) {
			t.Errorf("%s is left", name)
		}
	}
}

// TestQuotas: each limit of a quota has two gauges as long as the server reports it. Names can't break the format.
func TestQuotas(t *testing.T) {
	s := newServer()
	expect(t, "at first", s.scrape(t), map[string]float64{
		`miniftp_quota_used_bytes{user="alice",path="/"}`: 5, `miniftp_quota_limit_bytes{user="alice",path="/"}`: 10,
		`miniftp_quota_used_files{user="alice",path="/"}`: 1, `miniftp_quota_limit_files{user="alice",path="/"}`: 2,
	})
	s.quotas = []sessions.Quota{{User: "b\"\n", Path: "/in", Bytes: 7, MaxBytes: 8, Files: 3}}
	got := s.scrape(t)
	expect(t, "after a change", got, map[string]float64{`miniftp_quota_used_bytes{user="b\"?",path="/in"}`: 7, `miniftp_quota_limit_bytes{user="b\"?",path="/in"}`: 8})
	for name := range got {
		if strings.Contains(name, "alice") || strings.Contains(name, "quota_used_files") {
			t.Errorf("%s is left", name)
		}
	}
}

// TestLoginSources: the sources of logins are those that the server asks now.
func TestLoginSources(t *testing.T) {
	s := newServer()
	want := `miniftp_auth_answers_total{source="exec:/usr/local/bin/check-login",result="cached"} 7`
	if got := string(s.expose(s.source())); !strings.Contains(got, want) {
		t.Errorf("%s is missing in\n%s", want, got)
	}
	s.logins = []LoginSource{{Name: `a"b`, Answers: map[string]uint64{"ok": 1}}}
	got := string(s.expose(s.source()))
	if strings.Contains(got, "check-login") || !strings.Contains(got, `miniftp_auth_source_up{source="a\"b"} 0`) || !strings.Contains(got, `{source="a\"b",result="ok"} 1`) {
		t.Errorf("after a reload:\n%s", got)
	}
}
