package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server that repeats the password in its replies gets it into no message, wire log,
// picture, recording or JSON.
func TestRepeatedPassword(t *testing.T) {
	t.Parallel()
	long(t)
	const secret = "opensesame"
	for name, set := range map[string]func(h *hostile){
		"refused": func(h *hostile) {
			h.on["PASS"] = func(c *victim, _ string) { c.say("530 the password " + secret + " is wrong") }
		},
		"welcome": func(h *hostile) {
			h.on["PASS"] = func(c *victim, _ string) { c.say("230-" + secret + "\r\n230 come in with " + secret) }
			h.on["RETR"] = func(c *victim, _ string) { c.say("550 no file for " + secret) }
		},
		"hangs up": func(h *hostile) {
			h.on["PASS"] = func(c *victim, _ string) { c.say("421 no more " + secret) }
		},
		"out of step": func(h *hostile) {
			h.on["SYST"] = func(c *victim, _ string) { c.say("257 " + secret) }
			h.on["SIZE"] = func(c *victim, _ string) { c.say("257 " + secret) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, dir := newHostile(t, set), t.TempDir()
			record := filepath.Join(dir, "record")
			url := "ftp://bob:" + secret + "@" + h.addr + "/f"
			shown := ""
			for _, args := range [][]string{
				{"get", "--retries", "0", "-v", "--explain", "--record", record, url, filepath.Join(dir, "f")},
				{"get", "--retries", "0", "--json", url, filepath.Join(dir, "f")},
				{"stat", "--retries", "0", "--json", url},
				{"doctor", "--timeout", "1s", url},
				{"doctor", "--timeout", "1s", "--json", url},
				{"shell", "-v", "-c", "cat f", url},
			} {
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
