package outbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
)

const guide = "docs/hooks.md"

// fenced returns the code block of docs/hooks.md that contains mark.
func fenced(t *testing.T, mark string) string {
	t.Helper()
	text, err := os.ReadFile(verbtest.InModule(guide))
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(text), "\n```") {
		if _, code, _ := strings.Cut(block, "\n"); i%2 == 1 && strings.Contains(code, mark) {
			return code + "\n"
		}
	}
	t.Fatalf("%s has no block with %s", guide, mark)
	return ""
}

func event(verb, path string) Event {
	return newEvent(server.Change{Verb: verb, Path: path, User: "alice", Bytes: 5}, "here")
}

func parsed(t *testing.T, text string) Receiver {
	t.Helper()
	r, err := ParseReceiver(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func secretFile(t *testing.T) string {
	return verbtest.WriteFile(t, filepath.Join(t.TempDir(), "secret"), "a secret of more than 16 bytes\n")
}

// TestWebhookSignature: the Python script in docs/hooks.md accepts a request, and none that was changed.
func TestWebhookSignature(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("MINIFTP_REQUIRE_PEERS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	script := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "verify.py"), fenced(t, "compare_digest"))
	secret := secretFile(t)
	var header http.Header
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	defer s.Close()
	e := event("STOR", "/a <b>\n\"c\" ü")
	if err := parsed(t, s.URL).deliver(t.Context(), &e, secret); err != nil {
		t.Fatal(err)
	}
	verify := func(id, at, body string) bool {
		cmd := exec.CommandContext(t.Context(), python, script, secret, id, at, header.Get("Webhook-Signature"))
		cmd.Stdin = strings.NewReader(body)
		out, err := cmd.CombinedOutput()
		if len(out) > 0 {
			t.Logf("%s", out)
		}
		return err == nil
	}
	id, at := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	if id != e.ID || !verify(id, at, string(body)) {
		t.Errorf("refused: %v\n%s", header, body)
	}
	if verify(id, at, string(body)+" ") || verify(id, at+"0", string(body)) || verify(id+"0", at, string(body)) {
		t.Error("a changed request is accepted")
	}
	var back Event
	if err := json.Unmarshal(body, &back); err != nil || back.Path != e.Path {
		t.Errorf("%s: %v", body, err)
	}
}

func TestWebhookAnswers(t *testing.T) {
	code := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
	}))
	r, secret, e := parsed(t, s.URL+"/hidden-token"), secretFile(t), event("STOR", "/f")
	for _, tt := range []struct {
		code           int
		ok, isRejected bool
	}{{200, true, false}, {204, true, false}, {302, false, true}, {400, false, true}, {404, false, true}, {408, false, false}, {429, false, false}, {500, false, false}, {503, false, false}} {
		code = tt.code
		err := r.deliver(t.Context(), &e, secret)
		if (err == nil) != tt.ok || isRejection(err) != tt.isRejected {
			t.Errorf("%d: %v", tt.code, err)
		}
	}
	s.Close()
	err := r.deliver(t.Context(), &e, secret)
	if err == nil || isRejection(err) || strings.Contains(err.Error(), "hidden-token") {
		t.Errorf("closed: %v", err)
	}
	if err := r.deliver(t.Context(), &e, secret+"x"); err == nil || isRejection(err) {
		t.Errorf("without a secret: %v", err)
	}
}

func TestReceivers(t *testing.T) {
	for _, text := range []string{"", "exec:", "exec:on-upload", "ftp://h/x", "https://", "https://u:p@h/", "http://example.org/", "http://localhost.example.org/", "/bin/true"} {
		if r, err := ParseReceiver(text); err == nil {
			t.Errorf("%q: %+v", text, r)
		}
	}
	for text, name := range map[string]string{"https://h/x?token=1": "https://h", "http://127.0.0.1:1/x": "http://127.0.0.1:1", "http://[::1]/": "http://[::1]"} {
		if r := parsed(t, text); r.Name != name {
			t.Errorf("%s: the log shows %q", text, r.Name)
		}
	}
}

func shell(t *testing.T, script string) Receiver {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "hook"), "#!/bin/sh\n"+script)
	if err := os.Chmod(file, 0o700); err != nil {
		t.Fatal(err)
	}
	return parsed(t, "exec:"+file)
}

// TestProgramHostileNames: a program gets the exact bytes of a name, whatever they are, and nothing of the server's environment.
func TestProgramHostileNames(t *testing.T) {
	t.Setenv("MINIFTP_TEST_SECRET", "of the server")
	out := filepath.Join(t.TempDir(), "out")
	r := shell(t, `printf '%s' "$MINIFTP_PATH" > `+out+`; cat > `+out+`.json; env > `+out+`.env; ls /proc/self/fd > `+out+`.fd 2>/dev/null; exit 0`)
	for _, path := range []string{"/a", "/$(reboot)`id`;'\"\\ x", "/new\nline\r\t\x1b[2J", "/bad\xff\xfeutf", "/-rf *", "/" + strings.Repeat("x", 4000), "/=a=b"} {
		e := event("STOR", path)
		if err := r.deliver(t.Context(), &e, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(out); err != nil || string(got) != path {
			t.Errorf("%q: got %q, %v", path, got, err)
		}
		var back Event
		text, err := os.ReadFile(out + ".json")
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back.path() != path || back.ID != e.ID {
			t.Errorf("%q: %s, %v", path, text, err)
		}
		if env, err := os.ReadFile(out + ".env"); err != nil || strings.Contains(string(env), "of the server") {
			t.Errorf("the environment is %s, %v", env, err)
		}
	}
}

// TestProgramAnswers: exit codes, and a program that hangs with a child.
func TestProgramAnswers(t *testing.T) {
	e := event("STOR", "/f")
	for script, want := range map[string]string{
		"cat >/dev/null":              "",
		"exit 0":                      "", // without reading
		"exit 1":                      "it ended with 1",
		"echo disk full >&2; exit 75": "it ended with 75: disk full",
		"kill -9 $$":                  "it ended with signal: killed",
	} {
		err := shell(t, script).deliver(t.Context(), &e, "")
		if err == nil && want != "" || err != nil && (err.Error() != want || isRejection(err)) {
			t.Errorf("%s: %v", script, err)
		}
	}
	if err := shell(t, "echo no such client >&2; exit 65").deliver(t.Context(), &e, ""); !isRejection(err) || err.Error() != "it ended with 65: no such client" {
		t.Errorf("exit 65: %v", err)
	}
	if err := parsed(t, "exec:/no/such/program").deliver(t.Context(), &e, ""); err == nil || isRejection(err) {
		t.Errorf("no program: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := shell(t, "sleep 600 & sleep 600").deliver(ctx, &e, ""); err == nil || time.Since(begin) > time.Minute {
		t.Errorf("hangs: %v after %v", err, time.Since(begin))
	}
}

// TestSchema: the table in docs/hooks.md has the fields of an event, in their order.
func TestSchema(t *testing.T) {
	text, err := os.ReadFile(verbtest.InModule(guide))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| field | |")
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(table, -1) {
		listed = append(listed, m[1])
	}
	e := event("STOR", "/\xff")
	e.Session, e.From, e.To, e.ToBytes, e.Offset, e.SHA256, e.Recovered = 1, "x", "x", []byte{0xff}, 1, "x", true
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	dec := json.NewDecoder(strings.NewReader(string(body)))
	for depth := 0; ; {
		tok, err := dec.Token()
		if err != nil {
			break
		}
		if d, ok := tok.(json.Delim); ok {
			if d == '{' {
				depth++
			}
			continue
		}
		if name, ok := tok.(string); ok && depth == 1 {
			fields = append(fields, name)
			_, _ = dec.Token() // its value
		}
	}
	if got, want := strings.Join(listed, " "), strings.Join(fields, " "); got != want {
		t.Errorf("the table has\n%s\nand an event\n%s", got, want)
	}
	for _, kind := range Kinds {
		if !strings.Contains(string(text), "`"+kind+"`") {
			t.Errorf("%s lacks the kind %s", guide, kind)
		}
	}
}
