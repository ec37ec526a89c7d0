//go:build unix

package callout

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script makes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRun: what a program leaves in the background is killed with alone, and when its time is over. It gets the variables that
// it is given, and those without a value or with NUL are left out.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		alone, late bool
		lives       bool
	}{{alone: true}, {late: true}, {lives: true}} {
		pidFile := filepath.Join(t.TempDir(), "pid")
		text := `sleep 60 >/dev/null 2>&1 & echo $! >"$PIDFILE"; test "$A$B$C" = a || exit 3`
		if tt.late {
			text += "; sleep 60"
		}
		ctx, cancel := context.WithCancel(t.Context())
		cmd := Command(ctx, script(t, text), [][2]string{{"A", "a"}, {"B", ""}, {"C", "x\x00y"}, {"PIDFILE", pidFile}})
		if tt.late {
			go func() {
				for {
					if text, err := os.ReadFile(pidFile); err == nil && len(text) > 0 || t.Context().Err() != nil {
						cancel()
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
		if err := Run(cmd, tt.alone); (err == nil) == tt.late {
			t.Errorf("%+v: %v", tt, err)
		}
		cancel()
		written, err := os.ReadFile(pidFile)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(written)))
		if err != nil {
			t.Fatal(err)
		}
		left, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		ended := false
		for range 500 {
			if ended = !runs(left); ended || tt.lives {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if ended == tt.lives {
			t.Errorf("%+v: what it left behind has ended: %v", tt, ended)
		}
		_ = left.Kill()
	}
}

// runs reports whether a process runs; one that has ended and waits for its parent does not.
func runs(p *os.Process) bool {
	if p.Signal(syscall.Signal(0)) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// TestParseURL: which URLs of web services are accepted.
func TestParseURL(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://h/x": true, "http://127.0.0.1:1/": true, "http://[::1]/": true, "http://localhost/": true,
		"http://h/": false, "http://localhost.example.org/": false, "https://u:p@h/": false, "https://h/#x": false, "https://": false, "ftp://h/": false, "": false,
	} {
		if _, err := ParseURL(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
