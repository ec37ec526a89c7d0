//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// TestShellAtATerminal types lines with completion, history and editing, and checks what is kept.
func TestShellAtATerminal(t *testing.T) {
	files := afero.NewMemMapFs()
	for name, text := range map[string]string{"/my notes.txt": "text\n", "/pub/a.txt": "a\n", "/pub/deep dir/b.txt": "b\n", "/no-newline": "end"} {
		if err := afero.WriteFile(files, name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	srv := ftptest.NewServer(t, files, ftptest.WithUser("alice", "secret", server.ReadWrite))
	home := t.TempDir()
	prompt := "miniftp alice@" + srv.Addr + ":"
	url := "ftp://alice@" + srv.Addr + "/"
	s := startShell(t, home, url)
	s.await("Password of alice at " + srv.Addr + ": ")
	if shown := s.line("secret", prompt+"/> "); strings.Contains(shown, "secret") {
		t.Errorf("the password is shown: %q", shown)
	}
	s.press("cat my\t")
	s.await(`cat my\ notes.txt `)
	s.line("", "text\r\n")
	s.await(prompt + "/> ")
	s.press("cd pu\tde\t")
	s.await(`pub/deep\ dir/`)
	s.line("", prompt+"/pub/deep dir> ")
	s.line("ls", "b.txt\r\n")
	s.line("cd -; ls", "my notes.txt")
	s.await(prompt + "/> ")
	s.line("cat no-newline", "end\r\n"+prompt)
	s.await("/> ")
	s.press("half a line")
	s.await("half a line") // Ctrl-C is a signal until the line is edited
	s.press(ctrlC)
	s.await("^C\r\n" + prompt + "/> ")
	s.line("!test -t 0 && stty -a | tr -d '\\n' | grep -o ' icanon.* echo ' | cut -c2-7", "icanon\r\n")
	s.await(prompt + "/> ")
	s.press("x")
	s.await("x")
	s.press("\x7f" + ctrlR + "my")
	s.await(`cat my\ notes.txt`)
	s.line("", "text\r\n")
	s.await(prompt + "/> ")
	s.line("open ftp://alice:wrong@"+srv.Addr+"/", "530 Login incorrect")
	s.line("history", `cat my\ notes.txt`)
	s.await(prompt + "/> ")
	s.press(ctrlD)
	s.end()

	history, err := os.ReadFile(filepath.Join(home, ".local/state/miniftp/history"))
	if err != nil || strings.Contains(string(history), "wrong") || !strings.Contains(string(history), "cd pub/deep\\ dir/\nls\n") {
		t.Errorf("%q, %v", history, err)
	}
	info, err := os.Stat(filepath.Join(home, ".local/state/miniftp/history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	s = startShell(t, home, "ftp://alice:secret@"+srv.Addr+"/pub")
	s.await(prompt + "/pub> ")
	s.press("\x1b[A") // up
	s.await("history")
	s.line("", "cd pub/deep\\ dir/")
	s.await(prompt + "/pub> ")
	s.line("bye", "bye\r\n")
	s.end()
}

// TestShellCtrlC: Ctrl-C ends only the running command.
func TestShellCtrlC(t *testing.T) {
	srv := verbtest.WithFile(t, verbtest.Pattern(1<<20))
	prompt := "miniftp " + srv.Addr + ":/> "
	dir := t.TempDir()
	s := startShell(t, dir, srv.URL)
	s.await(prompt)
	srv.Fail("RETR", ftptest.StallAfter(100_000))
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		srv.WaitEvent(isDataOpened)
	}()
	s.press("get a.bin\r")
	<-opened
	s.press(ctrlC)
	s.await("interrupted; with -c it continues where it stopped\r\n" + prompt)
	srv.Heal()
	s.line("pwd", "\r\n/\r\n"+prompt)
	s.line("ls", "a.bin\r\n"+prompt)

	srv.Fail("RETR", ftptest.StallAfter(100_000))
	s.line("get a.bin again &", "[1] get a.bin again\r\n"+prompt)
	s.line("jobs", "[1] runs   get a.bin again")
	s.await(prompt)
	s.line("wait", "waiting for [1] get a.bin again\r\n")
	s.press(ctrlC)
	s.await("interrupted\r\n" + prompt)
	s.line("bye", "1 job is running: wait waits for it, a second bye ends it\r\n"+prompt)
	srv.Heal()
	s.line("kill 1", "[1] killed get a.bin again")
	s.await(prompt)
	s.line("get -c a.bin", "whole: ")
	s.await(prompt)
	s.line("get a.bin third &; wait", "[2] done   get a.bin third  1.0 MB\r\n"+prompt)
	s.line("lls", "third")
	s.press(ctrlD)
	s.end()
	for _, name := range []string{"a.bin", "third"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(verbtest.Pattern(1<<20)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestShellDumbTerminal: lines of a terminal that can't move its cursor end in a line break, which
// is not part of a name.
func TestShellDumbTerminal(t *testing.T) {
	srv := verbtest.WithFile(t, verbtest.Pattern(1000))
	dir := t.TempDir()
	s := pty{kind: "dumb"}.start(t, dir, "shell", srv.URL)
	prompt := "miniftp " + srv.Addr + ":/> "
	s.await(prompt)
	s.press("get a.bin copy\n")
	s.await("whole: ")
	s.await(prompt)
	s.press("bye\n")
	s.end()
	if got, err := os.ReadFile(filepath.Join(dir, "copy")); err != nil || string(got) != string(verbtest.Pattern(1000)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func isDataOpened(e ftp.Event) bool {
	_, ok := e.What.(ftp.DataOpened)
	return ok
}

// TestShellTerminated: SIGTERM ends the shell and restores the terminal.
func TestShellTerminated(t *testing.T) {
	srv := ftptest.NewServer(t, nil)
	s := startShell(t, t.TempDir(), srv.URL)
	s.await("miniftp " + srv.Addr + ":/> ")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.leaves(verb.ExitInterrupted)
}
