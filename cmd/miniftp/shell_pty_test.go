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

// shellPrompt is the end of the prompt, which is short on narrow terminals.
const shellPrompt = ":/> "

// eachShellRun calls f for shells in which a command is under way. The server stalls in what
// it sends.
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

// A signal ends a command of the shell and the shell, with the terminal as it was and a line
// that says how to continue.
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

// A server that dies fails the command, not the shell, and the next command says that the
// server can't be reached.
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

// A command of the shell fits a terminal whose width changes, and Ctrl-C ends it alone. A
// terminal that can't move its cursor is sent no sequences, and NO_COLOR is heeded.
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
					for range 4 { // frames that may be of before
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
