//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestServeTerminal: at a terminal, the output of serve is for people and fits the width. After
// Ctrl-C the next output begins on a new line.
func TestServeTerminal(t *testing.T) {
	for _, cols := range []uint16{80, 40} {
		home := t.TempDir()
		root := filepath.Join(home, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		verbtest.WriteFile(t, filepath.Join(root, "report.txt"), "hello")
		s := pty{columns: cols}.start(t, home, "serve", "--port", "0", "--user", "alice:pw", "--user", "bob:pw:ro", "--anonymous", "rw", "--tls-self-signed", "--metrics", "127.0.0.1:0", "--console", "127.0.0.1:0", root)
		start := s.await("Ctrl-C stops.\r\n")
		_, rest, _ := strings.Cut(start, "  ftp://")
		addr, _, _ := strings.Cut(rest, "/")
		for line := range strings.Lines(start) {
			line = strings.TrimRight(line, "\r\n")
			text := strings.TrimSpace(line)
			if term.Cells(line) > int(cols) && strings.Contains(text, " ") && !strings.HasPrefix(text, "curl ") && !strings.HasPrefix(text, "miniftp") {
				t.Errorf("%d columns: %q has %d", cols, line, term.Cells(line))
			}
		}
		if code, _, errs := try(t, "get", "-q", "ftp://alice:pw@"+addr+"/report.txt", filepath.Join(home, "copy")); code != 0 {
			t.Errorf("exit %d: %s", code, errs)
		}
		s.await(" alice logged in from 127.0.0.1:")
		s.await(" alice ← /report.txt  5 B  ")
		s.await(" alice disconnected after ")
		s.await("\n")
		s.press("\x03")
		if got := s.await("stopped after"); !strings.HasPrefix(got, "^C\r\n") {
			t.Errorf("after Ctrl-C: %q", got)
		}
		s.end()
	}
}
