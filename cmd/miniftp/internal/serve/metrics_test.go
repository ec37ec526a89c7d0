package serve

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// httpGet returns the status and the body of an HTTP page.
func httpGet(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(r)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(all)
}

// samples parses what /metrics answers.
func samples(t *testing.T, text string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " ")
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[line[:i]] = v
	}
	return all
}

// eventually waits until done returns true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

var metricsURL = regexp.MustCompile(`http://[^ ]+/metrics`)

// script sends commands over a control connection of its own, each after the final reply to the one before, and returns
// the codes of the replies.
func script(t *testing.T, addr string, lines ...string) (codes []int) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	c := textproto.NewConn(nc)
	for _, line := range append([]string{""}, lines...) {
		if line != "" {
			if err := c.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		code := 100
		for code < 200 {
			if code, _, err = c.ReadResponse(0); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		codes = append(codes, code)
	}
	return codes
}

// TestMetrics runs the program with --metrics, lets clients succeed and fail in all ways, and compares what was counted.
func TestMetrics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), verbtest.Pattern(1000), 0o644); err != nil {
		t.Fatal(err)
	}
	up := filepath.Join(t.TempDir(), "up")
	if err := os.WriteFile(up, verbtest.Pattern(5000), 0o644); err != nil {
		t.Fatal(err)
	}
	p := verbtest.StartServer(t, dir, "--metrics", "127.0.0.1:0", "--user", "u:secret", "--user", "reader:secret:ro", "--tls-self-signed", "--data-timeout", "3", "--failure-delay", "0")
	page := metricsURL.FindString(p.Await("/metrics"))
	plain, secure := "ftp://u:secret@"+p.Addr, "ftpes://u:secret@"+p.Addr
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{
		{"get", "-q", plain + "/a", out},
		{"get", "-q", "--active", "--insecure", secure + "/a", out + "2"},
		{"put", "-q", "--insecure", up, secure + "/up"},
		{"put", "-q", "--active", up, plain + "/up2"},
		{"ls", plain + "/"},
		{"rm", plain + "/up"},
	} {
		if code, _, errs := try(t, args...); code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, errs)
		}
	}
	for _, args := range [][]string{
		{"rm", "ftp://reader:secret@" + p.Addr + "/a"},
		{"ls", "ftp://u:wrong@" + p.Addr + "/"},
	} {
		if code, _, _ := try(t, args...); code == 0 {
			t.Fatalf("%v: exit 0", args)
		}
	}
	codes := script(t, p.Addr, "USER u", "PASS secret", "PORT 192,0,2,1,100,1", "EPSV", "RETR a", "PORT 127,0,0,1,0,20", "MKD d", "RMD nowhere", "QUIT")
	if want := []int{220, 331, 230, 504, 229, 425, 504, 257, 550, 221}; !slices.Equal(codes, want) {
		t.Fatalf("replies %v, want %v", codes, want)
	}
	var text string
	var got map[string]float64
	eventually(t, "the sessions end", func() bool {
		_, text = httpGet(t, page)
		got = samples(t, text)
		return got["miniftp_session_duration_seconds_count"] == 9
	})
	checkCounts(t, got)
	promtool := verbtest.StockProgram(t, "promtool")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if said, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(said)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}

// checkCounts compares what TestMetrics has done with what was counted. Of the metrics named here, all values but
// these must be 0.
func checkCounts(t *testing.T, got map[string]float64) {
	t.Helper()
	want := map[string]float64{
		`miniftp_sessions_opened_total`:                                                              9,
		`miniftp_logins_total{result="ok",reason=""}`:                                                8,
		`miniftp_logins_total{result="failed",reason="incorrect"}`:                                   1,
		`miniftp_transfers_total{direction="download",stance="listens",tls="false",result="ok"}`:     1,
		`miniftp_transfers_total{direction="download",stance="listens",tls="false",result="failed"}`: 1,
		`miniftp_transfers_total{direction="download",stance="dials",tls="true",result="ok"}`:        1,
		`miniftp_transfers_total{direction="upload",stance="listens",tls="true",result="ok"}`:        1,
		`miniftp_transfers_total{direction="upload",stance="dials",tls="false",result="ok"}`:         1,
		`miniftp_transfers_total{direction="listing",stance="listens",tls="false",result="ok"}`:      1,
		`miniftp_transfer_bytes_total{direction="download",stance="listens",tls="false"}`:            1000,
		`miniftp_transfer_bytes_total{direction="download",stance="dials",tls="true"}`:               1000,
		`miniftp_transfer_bytes_total{direction="upload",stance="listens",tls="true"}`:               5000,
		`miniftp_transfer_bytes_total{direction="upload",stance="dials",tls="false"}`:                5000,
		`miniftp_data_connections_total{outcome="opened",stance="listens"}`:                          3,
		`miniftp_data_connections_total{outcome="opened",stance="dials"}`:                            2,
		`miniftp_data_connections_total{outcome="nobody_came",stance="listens"}`:                     1,
		`miniftp_data_connections_total{outcome="refused",stance="dials"}`:                           2,
		`miniftp_changes_total{verb="DELE",result="ok"}`:                                             1,
		`miniftp_changes_total{verb="MFMT",result="ok"}`:                                             2, // after each put
		`miniftp_changes_total{verb="MKD",result="ok"}`:                                              1,
		`miniftp_changes_total{verb="RMD",result="failed"}`:                                          1,
		`miniftp_refusals_total{reason="login_incorrect",setting=""}`:                                1,
		`miniftp_refusals_total{reason="no_copies_from_server_to_server",setting="fxp"}`:             1,
		`miniftp_refusals_total{reason="no_permission",setting="users.perm"}`:                        1,
		`miniftp_refusals_total{reason="data_connection_with_another_host",setting="data-any-host"}`: 1,
		`miniftp_refusals_total{reason="data_connection_to_a_low_port",setting="data-low-ports"}`:    1,
		`miniftp_transfer_duration_seconds_count{direction="upload"}`:                                2,
		`miniftp_data_connection_open_seconds_count{stance="dials"}`:                                 2,
	}
	listing := `miniftp_transfer_bytes_total{direction="listing",stance="listens",tls="false"}`
	if got[listing] == 0 {
		t.Error(listing + " is 0")
	}
	want[listing] = got[listing]
	exact := []string{"miniftp_sessions_opened_total", "miniftp_logins_total", "miniftp_transfers_total", "miniftp_transfer_bytes_total", "miniftp_data_connections_total", "miniftp_changes_total", "miniftp_refusals_total", "miniftp_sessions{", "miniftp_transfers_running"}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		_, named := want[name]
		if !named && !slices.ContainsFunc(exact, func(family string) bool { return strings.HasPrefix(name, family) }) {
			continue
		}
		if got[name] != want[name] {
			t.Errorf("%s is %v, want %v", name, got[name], want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestReady follows /healthz and /readyz through a drain with a delay: /readyz is 503 while new sessions are still
// admitted, and both are answered until the last session has ended.
func TestReady(t *testing.T) {
	t.Parallel()
	p := verbtest.StartServer(t, t.TempDir(), "--metrics", "127.0.0.1:0", "--control", filepath.Join(t.TempDir(), "s"), "--drain-delay", "5")
	base := strings.TrimSuffix(metricsURL.FindString(p.Await("/metrics")), "metrics")
	is := func(when, path string, want int, says string) {
		t.Helper()
		if status, text := httpGet(t, base+path); status != want || text != says+"\n" {
			t.Errorf("%s: /%s is %d %q, want %d %q", when, path, status, text, want, says)
		}
	}
	is("serving", "healthz", 200, "ok")
	eventually(t, "/readyz is 200", func() bool { status, _ := httpGet(t, base+"readyz"); return status == 200 })
	first, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := bufio.NewReader(first).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	socket := p.Cmd.Args[slices.Index(p.Cmd.Args, "--control")+1]
	drain := exec.CommandContext(t.Context(), verbtest.Program(t), "drain", "--socket", socket)
	if err := drain.Start(); err != nil {
		t.Fatal(err)
	}
	p.Await("until the drain delay has passed")
	is("draining", "readyz", 503, "draining")
	if got := script(t, p.Addr, "QUIT"); got[0] != 220 {
		t.Errorf("during the drain delay a new session got %v", got)
	}
	p.Await("draining: no new sessions")
	eventually(t, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", p.Addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	is("after the delay", "readyz", 503, "draining")
	is("after the delay", "healthz", 200, "ok")
	if _, text := httpGet(t, base+"metrics"); samples(t, text)["miniftp_draining"] != 1 {
		t.Error("miniftp_draining is not 1")
	}
	_ = first.Close()
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if err := drain.Wait(); err != nil {
		t.Errorf("drain: %v", err)
	}
}

// TestReadyWhileStopping: after a signal, /readyz is 503 while a transfer may still finish.
func TestReadyWhileStopping(t *testing.T) {
	t.Parallel()
	s := serveHere(t, "--metrics", "127.0.0.1:0", "--user", "u:secret", "--grace", "20", "mem://")
	page := metricsURL.FindString(s.Log.String())
	nc, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	c := textproto.NewConn(nc)
	say := func(line string, want int) string {
		t.Helper()
		if line != "" {
			_ = c.PrintfLine("%s", line)
		}
		_, text, err := c.ReadResponse(want)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return text
	}
	say("", 220)
	say("USER u", 331)
	say("PASS secret", 230)
	text := say("EPSV", 229)
	port := strings.Split(text, "|")[3]
	host, _, _ := net.SplitHostPort(s.Addr)
	data, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	say("STOR f", 150)
	fmt.Fprint(data, "half")
	got := map[string]float64{}
	eventually(t, "the bytes of the running upload are counted", func() bool {
		_, text := httpGet(t, page)
		got = samples(t, text)
		return got[`miniftp_transfer_bytes_total{direction="upload",stance="listens",tls="false"}`] == 4
	})
	if got[`miniftp_transfers_running{direction="upload"}`] != 1 || got[`miniftp_sessions{logged_in="true",tls="false"}`] != 1 {
		t.Errorf("during the transfer: %v", got)
	}
	ended := make(chan int, 1)
	go func() { ended <- s.End() }()
	ready := strings.TrimSuffix(page, "metrics") + "readyz"
	eventually(t, "/readyz is 503", func() bool { status, _ := httpGet(t, ready); return status == 503 })
	_ = data.Close()
	say("", 226)
	<-ended
	if status, _ := httpGet(t, ready); status != 0 {
		t.Error("the HTTP server has outlived the program")
	}
}

// TestMetricsAddress: addresses that are no addresses, or in use, are errors that name the setting.
func TestMetricsAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for addr, want := range map[string]string{
		"9100":            `--metrics "9100": not an address to listen on`,
		"1.2.3:9100":      `--metrics "1.2.3:9100": not an address to listen on`,
		l.Addr().String(): "--metrics: can't listen on " + l.Addr().String() + ": address already in use",
	} {
		code, _, errs := try(t, "serve", "--listen", "127.0.0.1:0", "--metrics", addr, "mem://")
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("--metrics %s: exit %d, %q, want %q", addr, code, errs, want)
		}
	}
}

// TestSharedSite: settings with the same address share an HTTP server.
func TestSharedSite(t *testing.T) {
	for _, same := range [][2]string{{":9100", "[::]:9100"}, {"127.0.0.1:80", "127.0.0.1:http"}, {"[::1]:1", "[0::1]:1"}} {
		if normalAddress(same[0]) != normalAddress(same[1]) {
			t.Errorf("%s and %s are different addresses", same[0], same[1])
		}
	}
	if normalAddress("127.0.0.1:1") == normalAddress("[::1]:1") {
		t.Error("127.0.0.1 and ::1 are the same address")
	}
}
