package serve

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

var consoleURL = regexp.MustCompile(`http://[^ ]+`)

// TestConsoleLoopback: the page shares a port with the metrics, and is there while the server drains.
func TestConsoleLoopback(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	p := verbtest.StartServer(t, t.TempDir(), "--metrics", "127.0.0.1:0", "--console", "127.0.0.1:0", "--control", socket)
	metrics := metricsURL.FindString(p.Await("/metrics"))
	page := consoleURL.FindString(p.Await("live page"))
	if page+"metrics" != metrics {
		t.Errorf("the banner has %s and %s", page, metrics)
	}
	eventually(t, "ready", func() bool { status, _ := httpGet(t, page+"readyz"); return status == http.StatusOK }) // the banner is printed before
	for path, want := range map[string]string{"": "console.js", "metrics": "miniftp_sessions", "readyz": "ok"} {
		if status, body := httpGet(t, page+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("/%s: %d %.100s", path, status, body)
		}
	}
	c := p.MustLogIn("anonymous", "x")
	drain := exec.CommandContext(t.Context(), verbtest.Program(t), "drain", "--socket", socket)
	if err := drain.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "draining", func() bool { status, _ := httpGet(t, page+"readyz"); return status == http.StatusServiceUnavailable })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page+"console/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text := ""
	for buf := make([]byte, 4096); !strings.Contains(text, `"draining":true`); {
		n, err := res.Body.Read(buf)
		if text += string(buf[:n]); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	_ = c.Close()
	if err := drain.Wait(); err != nil {
		t.Errorf("drain: %v", err)
	}
	if code := p.Ends(); code != 0 { // although the page is open
		t.Errorf("the server: exit %d", code)
	}
}

// TestConsoleToken: at an address that others can reach, the page needs the token in the URL of the banner.
func TestConsoleToken(t *testing.T) {
	t.Parallel()
	p := verbtest.StartServer(t, t.TempDir(), "--console", "0.0.0.0:0")
	line := p.Await("live page")
	at, token, ok := strings.Cut(consoleURL.FindString(line), "?token=")
	if !ok || len(token) < 20 {
		t.Fatalf("the banner has %s", line)
	}
	at = regexp.MustCompile(`//[^/]*:`).ReplaceAllString(at, "//127.0.0.1:")
	for url, want := range map[string]int{at: 401, at + "?token=x": 401, at + "console/stream": 401, at + "console/console.js": 401, at + "?token=" + token: 303} {
		if got := statusOf(t, url); got != want {
			t.Errorf("%s: %d, want %d", url, got, want)
		}
	}
	p.Await("wrong token for the live page")
	if err := p.Cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if all := strings.Join(p.Read, "\n"); strings.Count(all, token) != 1 {
		t.Errorf("the token is in the output besides the URL:\n%s", all)
	}
}

// statusOf returns the status of a page, without following redirections.
func statusOf(t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// TestConsoleMistakes checks settings with which the page can't be shown safely.
func TestConsoleMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	short, open := filepath.Join(dir, "short"), filepath.Join(dir, "open")
	for file, text := range map[string]string{short: "secret", open: "0123456789abcdef"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	conf := map[string]string{}
	for _, name := range []string{"short", "open"} {
		conf[name] = filepath.Join(dir, name+".toml")
		verbtest.WriteFile(t, conf[name], "root = \""+root+"\"\n[watch]\nconsole = \"127.0.0.1:9101\"\nconsole-token-file = \""+name+"\"\n")
	}
	for _, tt := range []struct {
		args, want string
		code       int
	}{
		{"serve -q --listen 127.0.0.1:0 --console 0.0.0.0:0", "--console-token-file", verb.ExitUsage},
		{"serve --listen 127.0.0.1:0 --console 127.0.0.1:0 --console-token-file " + short, "the token has 6 characters", verb.ExitUsage},
		{"serve --listen 127.0.0.1:0 --console 127.0.0.1:0 --console-token-file " + filepath.Join(dir, "none"), "no such file", verb.ExitLocal},
		{"serve --listen 127.0.0.1:0 --console nowhere", "not an address to listen on", verb.ExitUsage},
		{"config check " + conf["short"], "the token has 6 characters", verb.ExitUsage},
		{"config check " + conf["open"], "can be read by every user", verb.ExitOK},
	} {
		args := strings.Fields(tt.args)
		if args[0] == "serve" {
			args = append(args, root)
		}
		code, _, errs := try(t, args...)
		if code != tt.code || !strings.Contains(errs, tt.want) || strings.Contains(errs, "secret") {
			t.Errorf("%s: exit %d: %s", tt.args, code, errs)
		}
	}
}
