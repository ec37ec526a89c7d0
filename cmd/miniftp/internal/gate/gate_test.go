package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/server"
)

// patience limits every wait of a test; only a failing test waits that long.
const patience = 20 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// uploadOf returns an upload with that content.
func uploadOf(content string) *server.GateUpload {
	return &server.GateUpload{
		Session: 7, User: "alice", Remote: netip.MustParseAddrPort("[::ffff:192.0.2.1]:5000"), Verb: "STOR",
		Path: "/in box/x.exe", Size: int64(len(content)), Content: strings.NewReader(content),
	}
}

// ask asks a Gate of one checker and returns "passed", "refused: TEXT" or "unchecked: ERROR".
func ask(t *testing.T, spec, content string) string {
	t.Helper()
	g, err := New([]string{spec}, nil)
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return verdictOf(g.CheckUpload(ctx, uploadOf(content)))
}

func verdictOf(err error) string {
	if no, ok := errors.AsType[*server.GateRefusal](err); ok {
		return "refused: " + no.Text
	}
	if err != nil {
		return "unchecked: " + err.Error()
	}
	return "passed"
}

// wants reports an error unless got begins with want.
func wants(t *testing.T, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSpecs(t *testing.T) {
	exe, err := os.Executable()
	check(t, err)
	for spec, want := range map[string]string{
		"clamd:/run/clamd.ctl":          "clamd:/run/clamd.ctl",
		"clamd:127.0.0.1:3310":          "clamd:127.0.0.1:3310",
		"exec:" + exe:                   "exec:" + exe,
		"https://hooks.example.org/t0k": "https://hooks.example.org",
		"http://127.0.0.1:80/check?a=b": "http://127.0.0.1:80",
		"http://[::1]/":                 "http://[::1]",
		"http://localhost:8080/":        "http://localhost:8080",
	} {
		g, err := New([]string{spec}, nil)
		if err != nil || g.checkers[0].String() != want {
			t.Errorf("%s: %v, %v, want %s", spec, g, err, want)
		}
	}
	for _, spec := range []string{
		"", "clamd", "clamd:", "clamd:socket", "clamd::3310", "exec:check", "exec:/no/such/program", "exec:/", "ftp://host/",
		"https://", "https:///path", "https://user:secret@host/", "http://hooks.example.org/", "http://192.0.2.1/", "https://host/#x",
	} {
		if g, err := New([]string{spec}, nil); err == nil {
			t.Errorf("%q is accepted as %v", spec, g.checkers[0])
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

// fakeClamd answers each connection with an answer, after it has read the stream.
func fakeClamd(t *testing.T, answer func(conn net.Conn, content []byte)) string {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			answer(conn, readStream(conn))
			_ = conn.Close()
		}
	}()
	return "clamd:" + l.Addr().String()
}

// readStream reads zINSTREAM and its chunks, which must be of at most clamdChunk bytes.
func readStream(conn io.Reader) (content []byte) {
	head := make([]byte, len("zINSTREAM\x00"))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "zINSTREAM\x00" {
		return nil
	}
	for {
		var n [4]byte
		if _, err := io.ReadFull(conn, n[:]); err != nil {
			return nil
		}
		size := int(n[0])<<24 | int(n[1])<<16 | int(n[2])<<8 | int(n[3])
		if size == 0 {
			return content
		}
		chunk := make([]byte, min(size, clamdChunk))
		if _, err := io.ReadFull(conn, chunk); err != nil || size > clamdChunk {
			return nil
		}
		content = append(content, chunk...)
	}
}

// Only the two whole answers that clamd documents are verdicts.
func TestClamdAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		"stream: OK\x00":                          "passed",
		"stream: Eicar-Signature FOUND\x00":       "refused: refused by the virus check: Eicar-Signature",
		"stream: Evil\r\n226 ok FOUND\x00":        "refused: refused by the virus check: Evil",
		"INSTREAM size limit exceeded. ERROR\x00": "unchecked: the file is larger than StreamMaxLength",
		"stream: Can't allocate memory ERROR\x00": "unchecked: clamd says",
		"":                                 "unchecked: clamd closed the connection",
		"stream: OK":                       "unchecked: clamd says",
		"stream: OK and more\x00":          "unchecked: clamd says",
		"stream:  FOUND\x00":               "unchecked: clamd says",
		"HTTP/1.0 400 Bad Request\r\n\r\n": "unchecked: clamd says",
		strings.Repeat("x", 1<<20):         "unchecked: clamd says",
		"stream: " + strings.Repeat("y", 1<<20) + "\x00": "unchecked: clamd says",
	} {
		var got []byte
		spec := fakeClamd(t, func(conn net.Conn, content []byte) {
			got = content
			_, _ = io.WriteString(conn, answer)
		})
		content := strings.Repeat("0123456789", 20_000)
		wants(t, ask(t, spec, content), want)
		if string(got) != content {
			t.Errorf("clamd got %d bytes", len(got))
		}
	}
}

// A clamd that hangs holds a check only until its context ends.
func TestClamdHangs(t *testing.T) {
	asked, release := make(chan struct{}, 1), make(chan struct{})
	spec := fakeClamd(t, func(net.Conn, []byte) { asked <- struct{}{}; <-release })
	defer close(release)
	g, err := New([]string{spec}, nil)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	wants(t, verdictOf(g.CheckUpload(ctx, uploadOf("x"))), "unchecked: context canceled")
	wants(t, ask(t, "clamd:"+filepath.Join(t.TempDir(), "none"), "x"), "unchecked: dial unix")
}

// All checkers are asked in their order, up to the first that does not let the upload pass.
func TestInOrder(t *testing.T) {
	var asked []string
	answer := func(name, text string) string {
		return fakeClamd(t, func(conn net.Conn, _ []byte) {
			asked = append(asked, name)
			_, _ = io.WriteString(conn, text+"\x00")
		})
	}
	g, err := New([]string{answer("1", "stream: OK"), answer("2", "stream: Bad FOUND"), answer("3", "stream: OK")}, nil)
	check(t, err)
	var log bytes.Buffer
	g.Log = slog.New(slog.NewTextHandler(&log, nil))
	wants(t, verdictOf(g.CheckUpload(t.Context(), uploadOf("x"))), "refused: refused by the virus check: Bad")
	if !slices.Equal(asked, []string{"1", "2"}) {
		t.Errorf("asked %q", asked)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "result=passed") || !strings.HasSuffix(lines[1], `why="refused by the virus check: Bad" result=refused`) {
		t.Errorf("log %q", lines)
	}
	for _, part := range []string{"session=7", "user=alice", "from=[::ffff:192.0.2.1]:5000", `path="/in box/x.exe"`, "bytes=1", "checker=clamd:/", "seconds="} {
		if !strings.Contains(lines[1], part) {
			t.Errorf("%q has no %s", lines[1], part)
		}
	}
}

// What is refused goes to the quarantine, with a record, until that is full.
func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	spec := fakeClamd(t, func(conn net.Conn, _ []byte) { _, _ = io.WriteString(conn, "stream: Bad FOUND\x00") })
	g, err := New([]string{spec}, nil)
	check(t, err)
	var log bytes.Buffer
	g.Log = slog.New(slog.NewTextHandler(&log, nil))
	g.Quarantine = &Quarantine{Dir: dir, Max: 2*recordRoom + 100}
	u := uploadOf("bad content")
	u.User, u.Path = "../al/ice", "/dir/..\n.é name"
	wants(t, verdictOf(g.CheckUpload(t.Context(), u)), "refused: ")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	check(t, err)
	if len(files) != 2 || files[1] != files[0]+".json" {
		t.Fatalf("the quarantine has %q", files)
	}
	for _, name := range files {
		fi, err := os.Stat(name)
		check(t, err)
		if fi.Mode().Perm() != 0o600 && filepath.Separator == '/' {
			t.Errorf("%s has mode %v", name, fi.Mode())
		}
	}
	content, err := os.ReadFile(files[0])
	check(t, err)
	text, err := os.ReadFile(files[1])
	check(t, err)
	var r record
	check(t, json.Unmarshal(text, &r))
	if string(content) != "bad content" || r.User != u.User || r.Path != u.Path || r.Size != 11 || r.Verdict != "refused by the virus check: Bad" || r.Checker != spec || r.From != u.Remote.String() {
		t.Errorf("content %q, record %s", content, text)
	}
	digest, err := hashContent(t.Context(), uploadOf("bad content"))
	check(t, err)
	if r.SHA256 != digest {
		t.Errorf("the record has the SHA-256 %s, want %s", r.SHA256, digest)
	}
	g.Quarantine.Max = 100
	wants(t, verdictOf(g.CheckUpload(t.Context(), uploadOf("bad content"))), "refused: ")
	if again, _ := filepath.Glob(filepath.Join(dir, "*")); len(again) != 2 || !strings.Contains(log.String(), "the quarantine is full") {
		t.Errorf("the quarantine has %q; log %s", again, log.String())
	}
	g.Quarantine = &Quarantine{Dir: filepath.Join(dir, "none")}
	wants(t, verdictOf(g.CheckUpload(t.Context(), uploadOf("bad content"))), "refused: ")
	if g.Quarantine.busy != 0 {
		t.Errorf("%d bytes are still reserved", g.Quarantine.busy)
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{"": "_", "..": "_..", "a/b c": "a_b_c", "résumé.pdf": "r_sum_.pdf"} {
		if got := safe(in, 80); got != want {
			t.Errorf("safe(%q) = %q, want %q", in, got, want)
		}
	}
	if got := fmt.Sprint(len(safe(strings.Repeat("é", 99), 80))); got != "40" {
		t.Errorf("a long name has %s bytes", got)
	}
}
