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

// TestReload: SIGHUP loads users, limits and roots anew without affecting running sessions. A mistake
// changes nothing and is logged with its line. Changes that need a restart are logged.
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
	p.Hangup("changing this setting needs a restart")
	p.Await("reloaded; new sessions use the new settings")
	p.Refuses("alice", "a1")
	p.Refuses("bob", "b1")
	p.MustLogIn("bob", "b2")
	p.MustLogIn("eve", "e")
	read(p.MustLogIn("alice", "a2"), "/f", "two")
	read(p.MustLogIn("mem", "m"), "/kept", "kept")
	read(old, "/f", "one") // and the old session may still write
	if _, err := old.Store(t.Context(), "/g", strings.NewReader("g")); err != nil {
		t.Error(err)
	}

	// A mistake: nothing changes.
	verbtest.WriteFile(t, file, head+"[users.alice]\npassword = \"a3\"\nrot = \"two\"\n")
	if line := p.Hangup("not reloaded"); !strings.Contains(line, file+":7: users.alice.rot: unknown setting of a user: did you mean root?") {
		t.Error(line)
	}
	read(p.MustLogIn("alice", "a2"), "/f", "two")

	// A new limit applies to new sessions; old ones continue.
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

// TestReopen: after logrotate has renamed the log files, SIGHUP makes the server write to new ones.
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

// TestReloadKeepsLogs: if a reload fails, the log continues in the old file and at the old level.
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
	p.Dial() // events are still logged in the old file
	awaitFile(t, oldLog, "logged in")
	verbtest.WriteFile(t, file, "[log]\nfile = \"new\"\n")
	hangup()
	awaitFile(t, newLog, "reloaded")
}

// TestPipes: a pipe that nobody writes to, and an endless device, are refused where a file is needed,
// without waiting.
func TestPipes(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pipe, "/dev/zero"} {
		for name, err := range everyReader(file) {
			if err == nil || !strings.Contains(err.Error(), file+": not a regular file but a pipe or a device") || verb.ExitCode(err) != verb.ExitLocal {
				t.Errorf("%s as %s: %v", file, name, err)
			}
		}
	}
	cf := &config{Config: settings.FromFile("")}
	cf.LogFile = pipe
	if _, err := cf.openLog(&cf.LogFile); err == nil {
		t.Error("a pipe that nobody reads is accepted as a log file")
	}

	// A running server logs the error, continues, and stops at SIGTERM.
	users := verbtest.WriteFile(t, filepath.Join(dir, "users"), "bob:b\n")
	p := verbtest.StartServer(t, "mem://", "--users-file", users)
	p.Await("Ctrl-C stops.")
	if err := os.Rename(pipe, users); err != nil {
		t.Fatal(err)
	}
	p.Hangup("a pipe or a device")
	p.MustLogIn("bob", "b")
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestHangupWithoutFiles: SIGHUP stops a server that has no file to read again, because its terminal was
// closed.
func TestHangupWithoutFiles(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP) // under nohup, the server would otherwise inherit that SIGHUP is ignored
	defer signal.Stop(signals)
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
			t.Fatalf("%s does not hold %q", name, text)
		}
	}
}
