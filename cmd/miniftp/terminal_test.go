//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// screenTest runs miniftp at a pseudo terminal. The test waits for what it shows before it presses
// the next key.
type screenTest struct {
	t    *testing.T
	home string
	keys *os.File
	cmd  *exec.Cmd

	mu    sync.Mutex
	shown string // not yet returned by await
	more  chan struct{}
	ended bool
}

// startShell runs miniftp shell at a new terminal.
func startShell(t *testing.T, home string, args ...string) *screenTest {
	t.Helper()
	return pty{}.start(t, home, append([]string{"shell"}, args...)...)
}

// pty describes a pseudo terminal. Zero values mean the usual ones.
type pty struct {
	kind    string   // TERM; default xterm
	columns uint16   // default 80
	env     []string // additional variables for the program
	most    int64    // limit on the size of a file, in blocks of 1024 bytes; 0 for none
}

// start runs miniftp at a new terminal.
func (at pty) start(t *testing.T, home string, args ...string) *screenTest {
	t.Helper()
	if at.kind == "" {
		at.kind = "xterm"
	}
	if at.columns == 0 {
		at.columns = 80
	}
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
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
	s.resize(at.columns)
	s.cmd = exec.Command(verbtest.Program(t), args...)
	if at.most > 0 { // stands in for a full disk, which has another errno
		limit := fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, at.most)
		s.cmd = exec.Command("bash", append([]string{"-c", limit, verbtest.Program(t)}, args...)...)
	}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.Dir = home
	s.cmd.Env = append(os.Environ(), "HOME="+home, "NETRC="+filepath.Join(home, "none"), "XDG_STATE_HOME=", "TERM="+at.kind, "LC_ALL=C.UTF-8")
	s.cmd.Env = append(s.cmd.Env, at.env...)
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

// await waits until the screen shows text after what was awaited before. It returns the output up
// to the end of text.
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

// line types a line and waits for the text that it causes.
func (s *screenTest) line(keys, want string) string {
	s.t.Helper()
	s.press(keys + "\r")
	return s.await(want)
}

func (s *screenTest) end() {
	s.t.Helper()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("it ended with %v", err)
	}
}

// resize changes the width of the terminal, like resizing its window.
func (s *screenTest) resize(columns uint16) {
	s.t.Helper()
	if err := unix.IoctlSetWinsize(int(s.keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		s.t.Fatal(err)
	}
}

// leaves waits for the program to end with this exit code and checks that the terminal is restored.
// It returns the output since the last await.
func (s *screenTest) leaves(code int) string {
	s.t.Helper()
	ended := make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // prints the stacks of all goroutines
		s.t.Fatalf("it does not end: %q", s.rest(200*time.Millisecond))
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit %d, want %d", got, code)
	}
	mode, err := unix.IoctlGetTermios(int(s.keys.Fd()), unix.TCGETS)
	if err != nil || mode.Lflag&unix.ECHO == 0 || mode.Lflag&unix.ICANON == 0 {
		s.t.Errorf("the terminal does not echo or is not in line mode: %+v, %v", mode, err)
	}
	rest := s.rest(10 * time.Second) // the output is complete when the terminal is closed
	if hidden, shown := strings.LastIndex(rest, "\x1b[?25l"), strings.LastIndex(rest, "\x1b[?25h"); hidden > shown {
		s.t.Errorf("the cursor is hidden: %q", rest)
	}
	return rest
}

// rest returns the output since the last await, once the terminal is closed or has been quiet for
// some time.
func (s *screenTest) rest(quiet time.Duration) string {
	for {
		s.mu.Lock()
		more, shown, ended := s.more, s.shown, s.ended
		s.mu.Unlock()
		if ended {
			return shown
		}
		select {
		case <-more:
		case <-time.After(quiet):
			return shown
		}
	}
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlR = "\x12"
)

// transferRuns are command lines that transfer files. They take about 16 seconds at the rate that
// is set.
var transferRuns = []struct {
	args string // URL stands for the server
	hint string // how to continue after an interrupt
}{
	{"get URL/a.bin one", "with -c it continues where it stopped"},
	{"get -r URL many", "with -c it continues where it stopped"},
	{"put tree/b.bin URL/up", "with -c it continues where it stopped"},
	{"put -r tree URL/ups/", "with -c it continues where it stopped"},
	{"mirror URL down", "the same command continues where it stopped"},
	{"mirror tree URL/there", "the same command continues where it stopped"},
}

// eachTransferRun calls f for each of transferRuns, with its own server and directory. They run
// concurrently, because they mostly wait.
func eachTransferRun(t *testing.T, f func(t *testing.T, srv *ftptest.Server, start func(pty) *screenTest, hint string)) {
	verbtest.Program(t)
	var runs sync.WaitGroup
	defer runs.Wait()
	for _, run := range transferRuns {
		runs.Go(func() {
			t.Run(strings.ReplaceAll(run.args, "/", " "), func(t *testing.T) {
				srv, dir := verbtest.WithFile(t, verbtest.Pattern(1<<20)), t.TempDir()
				if err := os.Mkdir(filepath.Join(dir, "tree"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "tree", "b.bin"), verbtest.Pattern(1<<20), 0o600); err != nil {
					t.Fatal(err)
				}
				f(t, srv, func(at pty) *screenTest {
					verb, rest, _ := strings.Cut(run.args, " ")
					args := append([]string{verb, "--rate", "64k", "--retries", "0"}, strings.Fields(strings.ReplaceAll(rest, "URL", srv.URL))...)
					return at.start(t, dir, args...)
				}, run.hint)
			})
		})
	}
}

// TestInterruptAtATerminal: an interrupt ends a run while its bars are drawn. The last line says
// how to continue.
func TestInterruptAtATerminal(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(*screenTest){
		"Ctrl-C":  func(s *screenTest) { s.press(ctrlC) },
		"SIGTERM": func(s *screenTest) { _ = s.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(s *screenTest) { _ = s.cmd.Process.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			eachTransferRun(t, func(t *testing.T, _ *ftptest.Server, start func(pty) *screenTest, hint string) {
				s := start(pty{})
				s.await("B/s")
				interrupt(s)
				if rest := s.leaves(verb.ExitInterrupted); !strings.HasSuffix(rest, "miniftp: interrupted; "+hint+"\r\n") {
					t.Errorf("at the end: %q", rest)
				}
			})
		})
	}
}

// TestServerDiesAtATerminal: if the server dies while bars are drawn, the run ends with one line
// that names it.
func TestServerDiesAtATerminal(t *testing.T) {
	t.Parallel()
	eachTransferRun(t, func(t *testing.T, srv *ftptest.Server, start func(pty) *screenTest, _ string) {
		srv.Fail("RETR", ftptest.StallAfter(100_000))
		s := start(pty{})
		s.await("B/s")
		srv.Close()
		if rest := s.leaves(verb.ExitIncomplete); strings.Count(rest, "miniftp: ") != 1 || strings.Contains(rest, "interrupted") {
			t.Errorf("at the end: %q", rest)
		}
	})
}

// TestFullDiskAtATerminal: if the disk is full while bars are drawn, the run ends with a line that
// names the file. For uploads it is the server's disk.
func TestFullDiskAtATerminal(t *testing.T) {
	t.Parallel()
	eachTransferRun(t, func(t *testing.T, srv *ftptest.Server, start func(pty) *screenTest, _ string) {
		if strings.Contains(t.Name(), "tree") {
			srv.Fail("STOR", ftptest.Reply(452, "No space."))
			s := start(pty{})
			if rest := s.leaves(verb.ExitRefused); !strings.Contains(rest, "452 No space.") || strings.Count(rest, "miniftp: ") != 1 {
				t.Errorf("at the end: %q", rest)
			}
			return
		}
		s := start(pty{most: 200})
		s.await("B/s")
		rest := s.leaves(verb.ExitLocal)
		if !strings.Contains(rest, "a.bin") && !strings.Contains(rest, "one") || strings.Count(rest, "miniftp: ") != 1 {
			t.Errorf("at the end: %q", rest)
		}
	})
}

var controls = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]|[\r\n]")

// widest returns the widest line of the output and its width in columns.
func widest(shown string) (columns int, line string) {
	for _, l := range controls.Split(shown, -1) {
		if n := term.Cells(l); n > columns {
			columns, line = n, l
		}
	}
	return columns, line
}

// TestWidthAtATerminal: bars and lines fit the terminal, even if its width changes during the run.
func TestWidthAtATerminal(t *testing.T) {
	t.Parallel()
	for name, widths := range map[string][]uint16{"40": {40}, "200": {200}, "80, then 40, then 200": {80, 40, 200}} {
		t.Run(name, func(t *testing.T) {
			eachTransferRun(t, func(t *testing.T, _ *ftptest.Server, start func(pty) *screenTest, _ string) {
				s := start(pty{columns: widths[0]})
				for i, width := range widths {
					if i > 0 {
						s.resize(width)
						for range 4 { // two frames of two lines may be from before
							s.await("B/s")
						}
					}
					shown := s.await("B/s")
					shown += s.await("B/s")
					if n, line := widest(shown); n > int(width) {
						t.Errorf("%d columns of %d: %q", n, width, line)
					}
				}
				s.press(ctrlC)
				if n, line := widest(s.leaves(verb.ExitInterrupted)); n > int(widths[len(widths)-1]) && !strings.HasPrefix(line, "miniftp: ") {
					t.Errorf("at the end %d columns: %q", n, line)
				}
			})
		})
	}
}

// TestPlainAtATerminal: a terminal that can't move its cursor gets only lines, and NO_COLOR is
// respected.
func TestPlainAtATerminal(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]pty{"dumb": {kind: "dumb"}, "NO_COLOR": {env: []string{"NO_COLOR=1"}}} {
		t.Run(name, func(t *testing.T) {
			eachTransferRun(t, func(t *testing.T, srv *ftptest.Server, start func(pty) *screenTest, hint string) {
				s := start(at)
				if at.kind == "dumb" {
					srv.WaitEvent(isDataOpened)
				} else {
					s.await("B/s")
				}
				s.press(ctrlC)
				rest := s.leaves(verb.ExitInterrupted)
				if strings.Contains(rest, "\x1b[") && at.kind == "dumb" || regexp.MustCompile("\x1b\\[[0-9;]*m").MatchString(rest) {
					t.Errorf("%q", rest)
				}
				if !strings.HasSuffix(rest, "miniftp: interrupted; "+hint+"\r\n") {
					t.Errorf("at the end: %q", rest)
				}
			})
		})
	}
}

// TestInterruptedDemo: the demo can be interrupted.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	s := pty{}.start(t, t.TempDir(), "demo", "--file-size", "300000000")
	for sockets := 0; sockets == 0; time.Sleep(time.Millisecond) { // until its server listens
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.cmd.Process.Pid))
		for _, link := range links {
			if to, _ := os.Readlink(link); strings.HasPrefix(to, "socket:") {
				sockets++
			}
		}
	}
	s.press(ctrlC)
	if rest := s.leaves(verb.ExitInterrupted); !strings.HasSuffix(rest, "miniftp: interrupted\r\n") {
		t.Errorf("at the end: %q", rest)
	}
}
