//go:build unix

package serve

import (
	"bytes"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/client"
)

// TestReload: SIGHUP takes over users, limits and roots without touching the sessions
// that run; a mistake changes nothing and is named with its line; what only a restart
// changes is said.
func TestReload(t *testing.T) {
	verbtest.Long(t)
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		verbtest.WriteFile(t, filepath.Join(dir, name, "f"), name)
	}
	file := filepath.Join(dir, "m.toml")
	const head = "users-file = \"users\"\n[limits]\nfailure-delay = \"0s\"\nmax-sessions = 20\n"
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "bob:b1\n")
	verbtest.WriteFile(t, file, head+"[users.alice]\npassword = \"a1\"\nroot = \"one\"\n[users.mem]\npassword = \"m\"\nroot = \"mem://\"\n")
	p := verbtest.StartServer(t, filepath.Join(dir, "one"), "--config", file)
	p.Await("Ctrl-C stops.")

	old, mem := p.MustLogIn("alice", "a1"), p.MustLogIn("mem", "m")
	if _, err := mem.Store(t.Context(), "/kept", strings.NewReader("kept")); err != nil {
		t.Fatal(err)
	}
	read := func(c *client.Client, name, want string) {
		t.Helper()
		var b bytes.Buffer
		if _, err := c.Retrieve(t.Context(), name, &b); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v", name, b.String(), err)
		}
	}

	// Other users, another root, another password, another limit.
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "bob:b2\neve:e\n")
	verbtest.WriteFile(t, file, head+"[users.alice]\npassword = \"a2\"\nroot = \"two\"\nperm = \"ro\"\n[users.mem]\npassword = \"m\"\nroot = \"mem://\"\n[log]\nformat = \"json\"\n")
	p.Hangup("only a restart changes this")
	p.Await("reloaded; it holds for sessions from now on")
	p.Refuses("alice", "a1")
	p.Refuses("bob", "b1")
	p.MustLogIn("bob", "b2")
	p.MustLogIn("eve", "e")
	read(p.MustLogIn("alice", "a2"), "/f", "two")
	read(p.MustLogIn("mem", "m"), "/kept", "kept")
	read(old, "/f", "one") // and the old session writes as it could
	if _, err := old.Store(t.Context(), "/g", strings.NewReader("g")); err != nil {
		t.Error(err)
	}

	// A mistake: all stays.
	verbtest.WriteFile(t, file, head+"[users.alice]\npassword = \"a3\"\nrot = \"two\"\n")
	if line := p.Hangup("not reloaded"); !strings.Contains(line, file+":7: users.alice.rot: a user has no such setting: did you mean root?") {
		t.Error(line)
	}
	read(p.MustLogIn("alice", "a2"), "/f", "two")

	// A limit holds for whoever comes now; those inside stay.
	verbtest.WriteFile(t, file, head+"max-sessions-per-ip = 1\n[users.alice]\npassword = \"a4\"\n")
	p.Hangup("reloaded")
	p.Refuses("alice", "a4")
	p.Await("option=max-sessions-per-ip")
	read(old, "/f", "one")

	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestReopen: SIGHUP goes on in new files after logrotate has renamed the old ones.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(root, "f"), "text")
	log, xfer := filepath.Join(dir, "log"), filepath.Join(dir, "xferlog")
	p := verbtest.StartServer(t, root, "--log-file", log, "--xferlog", xfer)
	p.Await("Ctrl-C stops.")
	fetch := func() {
		t.Helper()
		c := p.Dial()
		if _, err := c.Retrieve(t.Context(), "/f", io.Discard); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	fetch()
	for _, name := range []string{log, xfer} {
		if err := os.Rename(name, name+".1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, log, "reloaded")
	fetch()
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, name := range []string{log, log + ".1", xfer, xfer + ".1"} {
		b, err := os.ReadFile(name)
		if n := strings.Count(string(b), "/f"); err != nil || n != 1 {
			t.Errorf("%s: %v, %d transfers:\n%s", name, err, n, b)
		}
	}
}

// TestReloadKeepsLogs: where something can't be taken over, the log goes on in the old
// file and at the old level.
func TestReloadKeepsLogs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.toml")
	oldLog, newLog := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	verbtest.WriteFile(t, file, "[log]\nfile = \"old\"\n")
	p := verbtest.StartServer(t, "mem://", "--config", file)
	p.Await("Ctrl-C stops.")
	hangup := func() {
		t.Helper()
		if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	verbtest.WriteFile(t, file, "[log]\nfile = \"new\"\nlevel = \"error\"\nxferlog = \"none/x\"\n")
	hangup()
	awaitFile(t, oldLog, file+":4: "+filepath.Join(dir, "none/x"))
	if b, err := os.ReadFile(newLog); err != nil || len(b) > 0 {
		t.Errorf("the new log: %q, %v", b, err)
	}
	p.Dial() // and what is logged goes on being so
	awaitFile(t, oldLog, "logged in")
	verbtest.WriteFile(t, file, "[log]\nfile = \"new\"\n")
	hangup()
	awaitFile(t, newLog, "reloaded")
}

// TestPipes: a pipe that nobody writes to, or a device without an end, is refused where
// a file is wanted; it holds nothing up.
func TestPipes(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pipe, "/dev/zero"} {
		for name, err := range everyReader(file) {
			if err == nil || !strings.Contains(err.Error(), file+": it is a pipe or a device, not a file") || verb.ExitCode(err) != verb.ExitLocal {
				t.Errorf("%s as %s: %v", file, name, err)
			}
		}
	}
	cf := &config{Config: settings.FromFile("")}
	cf.LogFile = pipe
	if _, err := cf.openLog(&cf.LogFile); err == nil {
		t.Error("a log goes to a pipe that nobody reads")
	}

	// A running server says so, goes on, and ends when it is told to.
	users := verbtest.WriteFile(t, filepath.Join(dir, "users"), "bob:b\n")
	p := verbtest.StartServer(t, "mem://", "--users-file", users)
	p.Await("Ctrl-C stops.")
	if err := os.Rename(pipe, users); err != nil {
		t.Fatal(err)
	}
	p.Hangup("it is a pipe or a device")
	p.MustLogIn("bob", "b")
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestHangupWithoutFiles: a server that has no file to read again is stopped by SIGHUP, as
// its terminal was closed.
func TestHangupWithoutFiles(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // so that the server does not inherit nohup's deaf ear
	defer signal.Stop(heard)
	p := verbtest.StartServer(t, t.TempDir())
	p.Await("Ctrl-C stops.")
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// awaitFile waits until a file holds a text.
func awaitFile(t *testing.T, name, text string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for tick := time.Tick(5 * time.Millisecond); ; {
		if b, err := os.ReadFile(name); err == nil && strings.Contains(string(b), text) {
			return
		}
		select {
		case <-tick:
		case <-limit:
			t.Fatalf("%s does not say %q", name, text)
		}
	}
}
