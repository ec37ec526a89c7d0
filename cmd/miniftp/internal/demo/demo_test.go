package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/client"
)

// demoRun runs the program's demo in a UTF-8 locale.
func demoRun(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Setenv("LC_ALL", "C.UTF-8")
	var o, e bytes.Buffer
	code = flags.Run(t.Context(), verbs, append([]string{"miniftp", "demo"}, args...), verb.Stdio{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// TestDemoNarrow: on 80 columns the ladders are below each other.
func TestDemoNarrow(t *testing.T) {
	code, out, errs := demoRun(t, "--width", "80")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	inOrder(t, out,
		"in passive mode, then in active mode",
		"Passive mode:", "EPSV", `"I listen on `, " dials  ─", "▶  listens :", "  passive", "RETR", "◀═", "226",
		"Active mode:", "EPRT :", `"call me on `, "RETR", " listens  ◀─", "─  dials :", "active: the roles are reversed", "◀═", "226",
		"What changes", "What stays the same", "Both copies are identical", "2100000 bytes")
}

// inOrder checks that s contains the parts, one after the other.
func inOrder(t *testing.T, s string, parts ...string) {
	t.Helper()
	rest := s
	for _, p := range parts {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			t.Fatalf("%q is missing or in the wrong place in\n%s", p, s)
		}
		rest = after
	}
}

// TestDemoWide: on 160 columns the ladders are side by side.
func TestDemoWide(t *testing.T) {
	_, out, _ := demoRun(t, "--width", "160")
	both := 0
	for _, line := range strings.Split(out, "\n") {
		if term.Cells(line) > 160 || strings.TrimRight(line, " ") != line {
			t.Errorf("%d columns: %q", term.Cells(line), line)
		}
		if strings.Count(line, "you (client)") == 2 || strings.Contains(line, "EPSV") && strings.Contains(line, "EPRT") {
			both++
		}
	}
	if both != 2 {
		t.Errorf("the ladders are not side by side:\n%s", out)
	}
}

// TestDemoFirewall: each firewall stops the mode in which it is on the side that is dialed.
func TestDemoFirewall(t *testing.T) {
	code, out, errs := demoRun(t, "--firewall", "--width", "80")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	inOrder(t, out,
		"1. A firewall or NAT on the client's side",
		"Active mode fails", "EPRT :", " listens      ✗ ", "nobody came within 1s", "Use passive mode", "426",
		"Passive mode works", "◀═════ 2.1 MB", "226", "What to do: use passive mode",
		"2. A firewall on the server's side",
		"Passive mode fails", "EPSV", "dials  ────✗", "no answer within 1s", "426",
		"Active mode works", "EPRT :", "active: the roles are reversed", "◀═════ 2.1 MB", "226", "--passive-ports")
}

func TestDemoFirewallInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), dropTime/4)
	defer cancel()
	start := time.Now()
	var out bytes.Buffer
	code := flags.Run(ctx, verbs, []string{"miniftp", "demo", "--firewall"}, verb.Stdio{Out: &out, Err: &out})
	if code == 0 || time.Since(start) > dropTime {
		t.Errorf("exit %d after %v: %s", code, time.Since(start), &out)
	}
}

func TestDemoEmptyFile(t *testing.T) {
	code, out, _ := demoRun(t, "--file-size", "0", "--width", "80")
	if code != 0 || !strings.Contains(out, "identical to the server's file: 0 bytes") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestDemoUsage(t *testing.T) {
	for _, args := range [][]string{{"--width", "43"}, {"--file-size", "-1"}, {"--file-size", "2000000000"}, {"surplus"}, {"--nonsense"}} {
		code, out, errs := demoRun(t, args...)
		if code != verb.ExitUsage || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("demo %v: exit %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestDemoASCII(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	var out bytes.Buffer
	if code := flags.Run(t.Context(), verbs, []string{"miniftp", "demo", "--width", "80"}, verb.Stdio{Out: &out, Err: &out}); code != 0 {
		t.Fatalf("exit %d: %s", code, &out)
	}
	if i := strings.IndexFunc(out.String(), func(c rune) bool { return c > unicode.MaxASCII }); i >= 0 {
		t.Errorf("not ASCII at %d: %q", i, out.String()[i:i+8])
	}
}

func TestDemoInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if code := flags.Run(ctx, verbs, []string{"miniftp", "demo"}, verb.Stdio{Out: &out, Err: &out}); code != verb.ExitInterrupted {
		t.Errorf("exit %d: %s", code, &out)
	}
}

func TestDemoWrongCopy(t *testing.T) {
	err := error(&wrongCopy{client.TruncatedError{Want: 2, Got: 2}})
	if verb.ExitCode(err) != verb.ExitIncomplete {
		t.Errorf("exit %d", verb.ExitCode(err))
	}
	if cut := new(client.TruncatedError); !errors.As(err, &cut) {
		t.Error("errors.As does not find the TruncatedError")
	}
}

// TestDocLadders checks that docs/active-passive.md shows the output of the demo.
func TestDocLadders(t *testing.T) {
	for _, args := range [][]string{{"--width", "80"}, {"--firewall", "--width", "80"}} {
		_, doc, ok := strings.Cut(readDoc(t), "$ miniftp demo "+strings.Join(args, " ")+"\n")
		doc, _, closed := strings.Cut(doc, "```")
		_, out, _ := demoRun(t, args...)
		if ok && closed && verbtest.Updating() {
			name := verbtest.InModule("docs/active-passive.md")
			if err := os.WriteFile(name, []byte(strings.Replace(readDoc(t), doc, out, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !ok || !closed || verbtest.Masked(doc) != verbtest.Masked(out) {
			t.Errorf("docs/active-passive.md shows\n%s\nthe demo draws\n%s", doc, out)
		}
	}
}

func readDoc(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile(verbtest.InModule("docs/active-passive.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}
