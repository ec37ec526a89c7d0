//go:build linux

package main

import (
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// shellPrompt is the end of the prompt, whose beginning is shortened on narrow terminals.
const shellPrompt = ":/> "

// eachShellRun calls f with shells in which a command is running. The server stalls while it sends.
func eachShellRun(t *testing.T, at pty, f func(t *testing.T, srv *ftptest.Server, s *screenTest)) {
	verbtest.Program(t)
	var runs sync.WaitGroup
	defer runs.Wait()
	for _, line := range []string{"get a.bin", "get -r / many", "put b.bin up", "mirror / down"} {
		runs.Go(func() {
			t.Run(strings.ReplaceAll(line, "/", " "), func(t *testing.T) {
				srv, dir := verbtest.WithFile(t, verbtest.Pattern(1<<20)), t.TempDir()
				verbtest.WriteFile(t, dir+"/b.bin", string(verbtest.Pattern(1<<20)))
				s := at.start(t, dir, "shell", "--rate", "64k", "--retries", "0", srv.URL)
				s.await(shellPrompt)
				srv.Fail("RETR", ftptest.StallAfter(100_000))
				s.press(line + "\r")
				if at.kind == "dumb" {
					srv.WaitEvent(isDataOpened)
				} else {
					s.await("B/s")
				}
				f(t, srv, s)
			})
		})
	}
}

// TestShellCommandTerminated: a signal ends the running command and the shell, restores the
// terminal, and prints a line that says how to continue.
func TestShellCommandTerminated(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			eachShellRun(t, pty{}, func(t *testing.T, _ *ftptest.Server, s *screenTest) {
				if err := s.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if rest := s.leaves(verb.ExitInterrupted); !strings.Contains(rest, "miniftp: interrupted; ") || !strings.HasSuffix(rest, "continues where it stopped\r\n") {
					t.Errorf("at the end: %q", rest)
				}
			})
		})
	}
}

// TestShellServerDies: if the server dies, the command fails but not the shell. The next command
// reports that the server can't be reached.
func TestShellServerDies(t *testing.T) {
	t.Parallel()
	eachShellRun(t, pty{}, func(t *testing.T, srv *ftptest.Server, s *screenTest) {
		srv.Close()
		shown := s.await(shellPrompt)
		if !strings.Contains(shown, "a.bin") && !strings.Contains(shown, "/up") || strings.Contains(shown, "interrupted") {
			t.Errorf("%q", shown)
		}
		s.line("ls", "refused")
		s.await(shellPrompt)
		s.press(ctrlD)
		s.leaves(verb.ExitOK)
	})
}

// TestShellTerminals: the output of a command fits a terminal even if its width changes, and Ctrl-C
// ends only the command. A terminal that can't move its cursor gets no escape sequences, and
// NO_COLOR is respected.
func TestShellTerminals(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]pty{
		"resized": {columns: 80}, "dumb": {kind: "dumb"}, "NO_COLOR": {env: []string{"NO_COLOR=1"}}, "40": {columns: 40}, "200": {columns: 200},
	} {
		t.Run(name, func(t *testing.T) {
			eachShellRun(t, at, func(t *testing.T, _ *ftptest.Server, s *screenTest) {
				columns := int(at.columns)
				if name == "resized" {
					columns = 44
					s.resize(44)
					for range 4 { // these frames may be from before
						s.await("B/s")
					}
				}
				shown := ""
				if name != "dumb" {
					shown = s.await("B/s") + s.await("B/s")
				}
				if n, line := widest(shown); columns > 0 && n > columns {
					t.Errorf("%d columns of %d: %q", n, columns, line)
				}
				s.press(ctrlC)
				shown += s.await("interrupted; ") + s.await(shellPrompt)
				if strings.Contains(shown, "\x1b[") && name == "dumb" || regexp.MustCompile("\x1b\\[[0-9;]*m").MatchString(shown) && name == "NO_COLOR" {
					t.Errorf("%q", shown)
				}
				s.press("bye\r")
				s.leaves(verb.ExitOK)
			})
		})
	}
}
