package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestRepeatedPassword: if a server repeats the password in its replies, it appears in no message,
// wire log, drawing, recording or JSON.
func TestRepeatedPassword(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	const secret = "opensesame"
	for name, set := range map[string]func(h *verbtest.Hostile){
		"refused": func(h *verbtest.Hostile) {
			h.On["PASS"] = func(c *verbtest.Victim, _ string) { c.Say("530 the password " + secret + " is wrong") }
		},
		"welcome": func(h *verbtest.Hostile) {
			h.On["PASS"] = func(c *verbtest.Victim, _ string) { c.Say("230-" + secret + "\r\n230 come in with " + secret) }
			h.On["RETR"] = func(c *verbtest.Victim, _ string) { c.Say("550 no file for " + secret) }
			h.On["STAT"] = func(c *verbtest.Victim, _ string) { c.Say("211 logged in with " + secret) }
		},
		"hangs up": func(h *verbtest.Hostile) {
			h.On["PASS"] = func(c *verbtest.Victim, _ string) { c.Say("421 no more " + secret) }
		},
		"out of step": func(h *verbtest.Hostile) {
			h.On["SYST"] = func(c *verbtest.Victim, _ string) { c.Say("257 " + secret) }
			h.On["SIZE"] = func(c *verbtest.Victim, _ string) { c.Say("257 " + secret) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, dir := verbtest.NewHostile(t, set), t.TempDir()
			record := filepath.Join(dir, "record")
			url := "ftp://bob:" + secret + "@" + h.Addr + "/f"
			shown := ""
			for _, args := range [][]string{
				{"get", "--retries", "0", "-v", "--explain", "--record", record, url, filepath.Join(dir, "f")},
				{"get", "--retries", "0", "--json", url, filepath.Join(dir, "f")},
				{"stat", "--retries", "0", "--json", url},
				{"doctor", "--timeout", "1s", url},
				{"doctor", "--timeout", "1s", "--json", url},
				{"shell", "-v", "-c", "cat f", url},
				{"shell", "-c", "user bob " + secret + "; quote STAT", "ftp://" + h.Addr + "/"},
			} {
				if strings.HasPrefix(args[len(args)-2], "user") && name != "welcome" {
					continue // before that, the others tell an anonymous user of a password that is not his
				}
				_, out, errs := try(t, args...)
				shown += out + errs
			}
			recorded, err := os.ReadFile(record)
			if err != nil || !strings.Contains(string(recorded), "PASS …") {
				t.Errorf("the recording: %q, %v", recorded, err)
			}
			for line := range strings.Lines(shown + string(recorded)) {
				if strings.Contains(line, secret) {
					t.Errorf("%q", line)
				}
			}
		})
	}
}
