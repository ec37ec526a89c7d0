package serve

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// The user of the tests, who is in no database.
const testUID, testGID = 12345, 12346

// openDir returns a new directory that everybody can enter, with the owner uid.
func openDir(t *testing.T, uid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "miniftp-run-as")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Fatal(err)
	}
	return dir
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// ownAddress returns an address of loopback with port 21, which no other process uses.
func ownAddress() string { return fmt.Sprintf("127.%d.%d.7:21", 64+os.Getpid()>>8%64, os.Getpid()%256) }

// TestRunAs: root's server on port 21 becomes another user in all threads, for good, and works: logs, their rotation, the
// socket, uploads, passive and active mode.
func TestRunAs(t *testing.T) {
	needRoot(t)
	t.Parallel()
	root, logs, run, conf := openDir(t, testUID), openDir(t, 0), openDir(t, testUID), openDir(t, 0)
	log, socket := filepath.Join(logs, "log"), filepath.Join(run, "socket")
	key := filepath.Join(conf, "key.pem")
	verbtest.CertFile(t, key, "localhost")
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	file := verbtest.WriteFile(t, filepath.Join(conf, "m.toml"), fmt.Sprintf("run-as = \"%d:%d\"\n", testUID, testGID))
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	addr := ownAddress()
	p := verbtest.Start(t, verbtest.Command(t, verbtest.Program(t), "serve", "--config", file, "--listen", addr, "--user", "alice:secret", "--tls-cert", key,
		"--log-file", log, "--xferlog", filepath.Join(logs, "xferlog"), "--control", socket, root))
	if p.Addr+":21" != addr {
		t.Errorf("listens on %s, not on %s", p.Addr, addr)
	}
	p.Addr = addr
	p.Await("Ctrl-C stops.")
	awaitFile(t, log, "user 12345 can't read "+key+", so a change of it needs a restart")
	if text, err := os.ReadFile(log); err != nil || bytes.Contains(text, []byte("running as root")) {
		t.Errorf("%v: %s", err, text)
	}
	checkThreads(t, p.Cmd.Process.Pid)

	up := p.MustLogIn("alice", "secret")
	if _, err := up.Store(t.Context(), "/up", strings.NewReader("text")); err != nil {
		t.Error(err)
	}
	owned(t, filepath.Join(root, "up"))
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		c, err := client.Dial(t.Context(), addr, &client.Options{User: "alice", Password: "secret", Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := c.Retrieve(t.Context(), "/up", &b); err != nil || b.String() != "text" {
			t.Errorf("%v: %q, %v", mode, b.String(), err)
		}
		_ = c.Close()
	}
	if out, err := exec.CommandContext(t.Context(), "miniftp", "who", "--socket", socket).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("alice")) {
		t.Errorf("who: %v: %s", err, out)
	}
	owned(t, socket)
	for _, name := range []string{"log", "xferlog"} { // as logrotate does, with create 0640 USER
		name = filepath.Join(logs, name)
		owned(t, name)
		if err := os.Rename(name, name+".1"); err != nil {
			t.Fatal(err)
		}
		verbtest.WriteFile(t, name, "")
		if err := os.Chown(name, testUID, testGID); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(key, testUID, -1); err != nil { // a reload reads it
		t.Fatal(err)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, log, "reloaded")
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is still there")
	}
}

// checkThreads checks the identity and the capabilities of all threads.
func checkThreads(t *testing.T, pid int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	want := []string{
		fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d\n", testUID, testUID, testUID, testUID), fmt.Sprintf("Gid:\t%d\t%d\t%d\t%d\n", testGID, testGID, testGID, testGID),
		fmt.Sprintf("Groups:\t%d \n", testGID), "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapInh:\t0000000000000000\n", "CapAmb:\t0000000000000000\n",
	}
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for _, line := range want {
			if !bytes.Contains(status, []byte(line)) {
				t.Errorf("%s: no %q in\n%s", name, line, status)
			}
		}
	}
}

// owned checks that a file belongs to the user of the tests.
func owned(t *testing.T, name string) {
	t.Helper()
	fi, err := os.Lstat(name)
	if err != nil {
		t.Error(err)
		return
	}
	if st := fi.Sys().(*syscall.Stat_t); st.Uid != testUID || st.Gid != testGID {
		t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
	}
}

// TestRunAsKeeps: what the server makes for itself belongs to the user: the self-signed certificate in the user's state directory,
// and the logs in directories of the user.
func TestRunAsKeeps(t *testing.T) {
	needRoot(t)
	t.Parallel()
	root, state := openDir(t, testUID), openDir(t, testUID)
	id := fmt.Sprintf("%d:%d", testUID, testGID)
	cmd := verbtest.Command(t, verbtest.Program(t), "serve", "--run-as", id, "--listen", "127.0.0.1:0", "--tls-self-signed", "--log-file", filepath.Join(state, "log"), root)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state, "RUNTIME_DIRECTORY="+filepath.Join(openDir(t, 0), "run"))
	p := verbtest.Start(t, cmd)
	p.Await("Ctrl-C stops.")
	owned(t, filepath.Join(state, "miniftp", "self-signed.pem"))
	owned(t, filepath.Join(state, "log"))
	if out, err := exec.CommandContext(t.Context(), "miniftp", "ls", "--tls", "--insecure", "ftp://"+p.Addr).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	p.Kill()
}

// TestRunAsRefused: mistakes in --run-as, and files that the user could not use, are errors that say what to do.
func TestRunAsRefused(t *testing.T) {
	needRoot(t)
	t.Parallel()
	program := verbtest.Program(t)
	if err := os.Chmod(filepath.Dir(program), 0o755); err != nil { // other users run it below
		t.Fatal(err)
	}
	root, closed, run := openDir(t, testUID), openDir(t, 0), openDir(t, 0)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	rootsLog, theirs := filepath.Join(openDir(t, 0), "log"), openDir(t, testUID)
	verbtest.WriteFile(t, rootsLog, "")
	link := filepath.Join(theirs, "logs") // a user's trap
	if err := os.Symlink(closed, link); err != nil {
		t.Fatal(err)
	}
	check := filepath.Join(closed, "check")
	if err := os.WriteFile(check, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("%d:%d", testUID, testGID)
	for _, c := range []struct {
		as    int // the user who starts the server
		args  []string
		code  int
		says  string
		dir   string
		check string // must not exist afterwards
	}{
		{0, []string{"--run-as", "no-such-user"}, 2, `--run-as "no-such-user": there is no such user`, root, ""},
		{0, []string{"--run-as", "12345"}, 2, `"12345": there is no such user, so write USER:GROUP`, root, ""},
		{0, []string{"--run-as", "daemon:no-such-group"}, 2, `"no-such-group": there is no such group`, root, ""},
		{0, []string{"--run-as", "root"}, 2, `"root" is root: name another user`, root, ""},
		{0, []string{"--run-as", "0:5"}, 2, `is root: name another user`, root, ""},
		{0, []string{"--run-as", ":ftp"}, 2, `write USER or USER:GROUP`, root, ""},
		{54321, []string{"--run-as", id}, 2, `only root can become another user, but this is user 54321`, root, ""},
		{0, []string{"--run-as", id}, 8, "permission denied", closed, ""},
		{0, []string{"--run-as", id, "--log-file", rootsLog}, 8, "user 12345, as whom the server runs, may not write to it: change its owner", root, ""},
		{0, []string{"--run-as", id, "--log-file", filepath.Join(link, "trap")}, 8, "user 12345, as whom the server runs, may not create it", root, filepath.Join(closed, "trap")},
		{0, []string{"--run-as", id, "--control", filepath.Join(closed, "socket")}, 8, "permission denied", root, ""},
		{0, []string{"--run-as", id, "--auth", "exec:" + check}, 2, "--auth exec:" + check + ": user 12345, as whom the server runs: can't be run: permission denied", root, ""},
		{0, []string{"--run-as", id, "--gate", "exec:" + check}, 2, "--gate exec:" + check + ": user 12345, as whom the server runs: can't be run: permission denied", root, ""},
	} {
		cmd := verbtest.Command(t, program, append(append([]string{"serve", "--listen", "127.0.0.1:0"}, c.args...), c.dir)...)
		cmd.Env = append(cmd.Env, "RUNTIME_DIRECTORY="+filepath.Join(run, "miniftp")) // not that of this host
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.as), Gid: uint32(c.as)}}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || bytes.Count(out, []byte(c.says)) != 1 {
			t.Errorf("%v: exit %d, %s; want %d, %q", c.args, code, out, c.code, c.says)
		}
		if _, err := os.Lstat(c.check); c.check != "" && err == nil {
			t.Errorf("%v: %s was made", c.args, c.check)
		}
	}

	// Events are kept until the program can be run, so that is a warning.
	hooked := verbtest.Command(t, program, "serve", "--listen", "127.0.0.1:0", "--run-as", id, "--control", "off", "--hook", "exec:"+check, "--hook-outbox", filepath.Join(openDir(t, testUID), "outbox"), root)
	p := verbtest.Start(t, hooked)
	p.Await("Ctrl-C stops.")
	if text := strings.Join(p.Read, "\n"); !strings.Contains(text, "--hook exec:"+check+": user 12345, as whom the server runs: can't be run: permission denied") {
		t.Error(text)
	}

	// Who is the user already needs no root.
	cmd := verbtest.Command(t, program, "serve", "--listen", "127.0.0.1:0", "--run-as", id, "--control", "off", root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testUID, Gid: testGID}}
	if _, err := verbtest.Start(t, cmd).Dial().Retrieve(t.Context(), "/none", io.Discard); err == nil {
		t.Error("there is no such file")
	}
}
