package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
)

// manager stands in for systemd: it reads what a service sends.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T, name string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &manager{t, conn}
}

// next returns the next message that is neither a ping nor only a status, without its status, and the status.
func (m *manager) next() (message, status string) {
	m.t.Helper()
	for {
		text := m.any(20 * time.Second)
		if text == "" {
			m.t.Fatal("no message")
		}
		message, status, _ = strings.Cut("\n"+text, "\nSTATUS=")
		if message = strings.TrimPrefix(message, "\n"); message != "" && message != "WATCHDOG=1" {
			return message, status
		}
	}
}

// any returns the next message, or "" if there is none in time.
func (m *manager) any(d time.Duration) string {
	m.t.Helper()
	b := make([]byte, 4096)
	_ = m.conn.SetReadDeadline(time.Now().Add(d))
	n, err := m.conn.Read(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// ping waits for a ping of the watchdog.
func (m *manager) ping() {
	m.t.Helper()
	for got := ""; got != "WATCHDOG=1"; {
		if got = m.any(20 * time.Second); got == "" {
			m.t.Fatal("the watchdog was not pinged")
		}
	}
}

func (m *manager) expect(message, status string) {
	m.t.Helper()
	if gotMessage, gotStatus := m.next(); !regexp.MustCompile("^"+message+"$").MatchString(gotMessage) || !regexp.MustCompile("^"+status).MatchString(gotStatus) {
		m.t.Errorf("got %q with status %q, want %q with %q", gotMessage, gotStatus, message, status)
	}
}

const reloading = `RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*`

// TestNotify: systemd learns of the start, of reloads by SIGHUP and miniftp reload, of mistakes in them, of the drain and of
// the stop, over sockets with paths and with abstract names. Without a file to read, SIGHUP is a reload, too.
func TestNotify(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "m.toml")
	verbtest.WriteFile(t, file, "grace = \"3m\"\n")
	for name, flags := range map[string][]string{
		filepath.Join(t.TempDir(), "notify"):           {"--config", file},
		fmt.Sprintf("@miniftp-notify-%d", os.Getpid()): nil,
	} {
		m := newManager(t, name)
		control := filepath.Join(t.TempDir(), "control.sock")
		cmd := verbtest.Command(t, verbtest.Program(t), append(append([]string{"serve", "--listen", "127.0.0.1:0", "--control", control}, flags...), "mem://")...)
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+name)
		p := verbtest.Start(t, cmd)
		m.expect("READY=1", "0 sessions")
		p.Await("Ctrl-C stops.")
		p.Await("started")
		p.Hangup("reloaded; new sessions use the new settings")
		m.expect(reloading, "reloading")
		m.expect("READY=1", "0 sessions$")
		if out, err := exec.CommandContext(t.Context(), "miniftp", "reload", "--socket", control).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		m.expect(reloading, "reloading")
		m.expect("READY=1", "0 sessions$")
		grace := "25000000"
		if flags != nil {
			grace = "195000000"
			verbtest.WriteFile(t, file, "grace = \"3m\"\nnonsense = 1\n")
			p.Hangup("not reloaded")
			m.expect(reloading, "reloading")
			m.expect("READY=1", "0 sessions; not reloaded: .*nonsense")
		}
		c := p.Dial()
		drained := exec.CommandContext(t.Context(), "miniftp", "drain", "--socket", control)
		if err := drained.Start(); err != nil {
			t.Fatal(err)
		}
		for status := ""; status != "STATUS=draining: 1 session left"; {
			if status = m.any(20 * time.Second); status == "" {
				t.Fatal("the drain was not reported")
			}
		}
		if flags == nil {
			_ = c.Close() // the last session
		} else if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		m.expect("STOPPING=1\nEXTEND_TIMEOUT_USEC="+grace, "stopping: ")
		if code := p.Ends(); code != 0 {
			t.Errorf("exit %d", code)
		}
		_ = drained.Wait()
	}
}

// TestWatchdogPings: a server pings the watchdog, and a stopped process does not.
func TestWatchdogPings(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "notify")
	m := newManager(t, name)
	cmd := verbtest.Command(t, verbtest.Program(t), "serve", "--listen", "127.0.0.1:0", "--control", "off", "mem://")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=400000")
	p := verbtest.Start(t, cmd)
	m.expect("READY=1", "0 sessions")
	for range 4 {
		p.Dial() // is accepted through the observed listener
		m.ping()
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for m.any(2*time.Second) != "" { // pings that were sent before
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	m.ping()
}

// TestStuck: a server whose loop does not run, whose loop hangs in a check, or whose listener does not accept, is not alive.
// One that reloads, or that stops, is.
func TestStuck(t *testing.T) {
	srv, err := server.New(server.Options{Auth: server.Static{}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	s := &serving{srv: srv, managed: newManaged(), logs: &serverLogs{events: &eventLog{sessions: sessions.New(nil, nil)}}}
	briefly := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return s.alive(ctx)
	}
	if err := briefly(); !errors.Is(err, errLoop) {
		t.Error("no loop runs:", err)
	}
	s.reloading.Store(time.Now().UnixNano())
	if err := briefly(); err != nil {
		t.Error("it reloads:", err)
	}
	s.reloading.Store(time.Now().Add(-time.Hour).UnixNano())
	if err := briefly(); !errors.Is(err, errLoop) {
		t.Error("it reloads for an hour:", err)
	}
	go func() { <-s.managed.checks }()
	for err = errLoop; errors.Is(err, errLoop); { // until the goroutine runs
		err = briefly()
	}
	if err == nil || !strings.Contains(err.Error(), "lock") {
		t.Error("a check that hangs:", err)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := s.observed([]net.Listener{l})[0]
	defer a.Close()
	dial := func() {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	check := func(want bool, when string) {
		t.Helper()
		if err := s.check(); (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	check(true, "nobody waits")
	dial()
	dial()
	check(true, "a client may just have come")
	check(false, "two clients wait")
	if c, err := a.Accept(); err != nil {
		t.Fatal(err)
	} else {
		_ = c.Close()
	}
	check(true, "one was accepted")
	check(false, "one waits still")
	s.draining.Store(true)
	check(true, "a server that drains does not accept")
	close(s.managed.ended)
	if err := briefly(); err != nil {
		t.Error("it stops:", err)
	}
}
