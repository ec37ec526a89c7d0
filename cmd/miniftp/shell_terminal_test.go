//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"miniftp/ftp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// screenTest is miniftp at a terminal of 80 columns, and somebody who waits for what it
// shows before the next key.
type screenTest struct {
	t    *testing.T
	home string
	keys *os.File
	cmd  *exec.Cmd

	mu    sync.Mutex
	shown string // and not yet waited for
	more  chan struct{}
	ended bool
}

// startShell runs miniftp shell at a new terminal.
func startShell(t *testing.T, home string, args ...string) *screenTest {
	t.Helper()
	return startTerminal(t, home, "xterm", append([]string{"shell"}, args...)...)
}

// startTerminal runs miniftp at a new terminal of the type term.
func startTerminal(t *testing.T, home, term string, args ...string) *screenTest {
	t.Helper()
	return startScreen(t, home, term, 80, args...)
}

// startScreen runs miniftp at a new terminal of so many columns.
func startScreen(t *testing.T, home, term string, cols uint16, args ...string) *screenTest {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: cols})
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	s := &screenTest{t: t, home: home, keys: keys, more: make(chan struct{})}
	s.cmd = exec.Command(program(t), args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.Dir = home
	s.cmd.Env = append(os.Environ(), "HOME="+home, "NETRC="+filepath.Join(home, "none"), "XDG_STATE_HOME=", "TERM="+term, "LC_ALL=C.UTF-8")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(s.read)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		reader.Wait()
	})
	return s
}

func (s *screenTest) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.keys.Read(buf)
		s.mu.Lock()
		s.shown += string(buf[:n])
		s.ended = err != nil
		close(s.more)
		s.more = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until the screen shows a text, behind what was waited for before. It
// returns what came up to its end.
func (s *screenTest) await(text string) string {
	s.t.Helper()
	late := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		i, more, shown, ended := strings.Index(s.shown, text), s.more, s.shown, s.ended
		if i >= 0 {
			i += len(text)
			head := s.shown[:i]
			s.shown = s.shown[i:]
			s.mu.Unlock()
			return head
		}
		s.mu.Unlock()
		if ended {
			s.t.Fatalf("it ended without %q: %q", text, shown)
		}
		select {
		case <-more:
		case <-late:
			s.t.Fatalf("no %q in %q", text, shown)
		}
	}
}

func (s *screenTest) press(keys string) {
	s.t.Helper()
	if _, err := s.keys.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// line types a line and waits for a text that comes of it.
func (s *screenTest) line(keys, want string) string {
	s.t.Helper()
	s.press(keys + "\r")
	return s.await(want)
}

func (s *screenTest) end() {
	s.t.Helper()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("it left with %v", err)
	}
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlR = "\x12"
)

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

// Ctrl-C ends what runs, and nothing else.
func TestShellCtrlC(t *testing.T) {
	srv := withFile(t, pattern(1<<20))
	prompt := "miniftp " + srv.Addr + ":/> "
	dir := t.TempDir()
	s := startShell(t, dir, srv.URL)
	s.await(prompt)
	srv.Fail("RETR", ftptest.StallAfter(100_000))
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		srv.WaitEvent(func(e ftp.Event) bool {
			_, ok := e.What.(ftp.DataOpened)
			return ok
		})
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
	s.line("bye", "1 job runs: wait waits for it, bye once more ends it\r\n"+prompt)
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
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(pattern(1<<20)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// A terminal that can't move its cursor hands over lines with their line breaks, which are
// no part of a name.
func TestShellDumbTerminal(t *testing.T) {
	srv := withFile(t, pattern(1000))
	dir := t.TempDir()
	s := startTerminal(t, dir, "dumb", "shell", srv.URL)
	prompt := "miniftp " + srv.Addr + ":/> "
	s.await(prompt)
	s.press("get a.bin copy\n")
	s.await("whole: ")
	s.await(prompt)
	s.press("bye\n")
	s.end()
	if got, err := os.ReadFile(filepath.Join(dir, "copy")); err != nil || string(got) != string(pattern(1000)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// An interrupt ends what runs while its bars are drawn, by Ctrl-C and by SIGTERM; the last
// line says how to continue. The terminal echoes what is typed, and shows its cursor.
func TestInterruptAtATerminal(t *testing.T) {
	srv := withFile(t, pattern(4<<20))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b.bin"), pattern(4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tree"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "b.bin"), filepath.Join(dir, "tree", "b.bin")); err != nil {
		t.Fatal(err)
	}
	const withC, again = "; with -c it continues where it stopped", "; the same command continues where it stopped"
	for _, tt := range []struct {
		args []string
		hint string
	}{
		{[]string{"get", srv.URL + "/a.bin", "one"}, withC},
		{[]string{"get", "-r", srv.URL, "many"}, withC},
		{[]string{"put", "tree/b.bin", srv.URL + "/up"}, withC},
		{[]string{"put", "-r", "tree", srv.URL + "/ups/"}, withC},
		{[]string{"mirror", srv.URL, "down"}, again},
		{[]string{"mirror", "tree", srv.URL + "/there"}, again},
	} {
		for name, stop := range map[string]func(*screenTest){
			"Ctrl-C":  func(s *screenTest) { s.press(ctrlC) },
			"SIGTERM": func(s *screenTest) { _ = s.cmd.Process.Signal(syscall.SIGTERM) },
		} {
			t.Run(strings.Join(tt.args[:2], " ")+" "+name, func(t *testing.T) {
				s := startTerminal(t, dir, "xterm", append([]string{tt.args[0], "--rate", "64k"}, tt.args[1:]...)...)
				shown := s.await("B/s")
				stop(s)
				shown += s.await("miniftp: interrupted" + tt.hint + "\r\n")
				if strings.Contains(shown, "\x1b[?25l") {
					t.Error("the cursor was hidden")
				}
				_ = s.cmd.Wait()
				if code := s.cmd.ProcessState.ExitCode(); code != exitInterrupted {
					t.Errorf("exit %d", code)
				}
				mode, err := unix.IoctlGetTermios(int(s.keys.Fd()), unix.TCGETS)
				if err != nil || mode.Lflag&unix.ECHO == 0 || mode.Lflag&unix.ICANON == 0 {
					t.Errorf("the terminal: %+v, %v", mode, err)
				}
			})
		}
	}
}

// SIGTERM ends the shell, and leaves the terminal as it was.
func TestShellTerminated(t *testing.T) {
	srv := ftptest.NewServer(t, nil)
	s := startShell(t, t.TempDir(), srv.URL)
	s.await("miniftp " + srv.Addr + ":/> ")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if code := s.cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	mode, err := unix.IoctlGetTermios(int(s.keys.Fd()), unix.TCGETS)
	if err != nil || mode.Lflag&unix.ECHO == 0 || mode.Lflag&unix.ICANON == 0 {
		t.Errorf("the terminal: %+v, %v", mode, err)
	}
}
