//go:build unix

package control

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// backend returns a server that does not listen.
func backend(t *testing.T) *Backend {
	t.Helper()
	l := sessions.New(func(ftp.Reason) string { return "" }, nil)
	srv, err := server.New(server.Options{Observer: l, Auth: server.Static{"alice": {Password: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return &Backend{
		Name: "test", Sessions: l, Server: srv, Draining: func() bool { return false }, Quotas: func() []sessions.Quota { return nil },
		Reload: func(context.Context) (Reloaded, error) { return Reloaded{Mistakes: []string{"a mistake"}}, nil },
		Drain:  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	}
}

func start(t *testing.T, path string) *Server {
	t.Helper()
	s, err := Listen(backend(t), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestSocketMode: nobody else can use the socket, even in a directory that everybody may enter.
func TestSocketMode(t *testing.T) {
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0)
	s := start(t, filepath.Join(dir, "new", "s.sock"))
	open := start(t, filepath.Join(dir, "s.sock"))
	syscall.Umask(old)
	for path, want := range map[string]os.FileMode{filepath.Dir(s.Path()): 0o700 | os.ModeDir, s.Path(): 0o600 | os.ModeSocket, open.Path(): 0o600 | os.ModeSocket} {
		if fi, err := os.Stat(path); err != nil || fi.Mode() != want {
			t.Errorf("%s: %v, %v", path, fi.Mode(), err)
		}
	}
	if all, _ := os.ReadDir(dir); len(all) != 2 {
		t.Errorf("the directory has %v", all)
	}
	curl, err := exec.LookPath("curl")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("only root can become another user, and curl must be installed")
	}
	ask := exec.Command(curl, "-sS", "--unix-socket", open.Path(), "http://x/v1/sessions")
	if out, err := ask.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "[]" {
		t.Errorf("the same user: %s, %v", out, err)
	}
	ask = exec.Command(curl, "-sS", "--unix-socket", open.Path(), "http://x/v1/sessions")
	ask.Dir = "/"
	ask.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := ask.CombinedOutput(); err == nil || !strings.Contains(string(out), "connect") {
		t.Errorf("another user: %s, %v", out, err)
	}
}

// TestSocketReplaced: a socket of a dead server is replaced. One of a living server is not, nor is another file.
func TestSocketReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
	if _, err := Dial(t.Context(), path); err == nil || !strings.Contains(err.Error(), "no server answers") {
		t.Errorf("a dead socket: %v", err)
	}
	s := start(t, path)
	if _, err := Listen(backend(t), path); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a second server: %v", err)
	}
	if _, err := Dial(t.Context(), path); err != nil {
		t.Errorf("the first server: %v", err)
	}
	s.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket was not removed")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(backend(t), path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("in place of a file: %v", err)
	}
	if _, err := Listen(backend(t), filepath.Join(t.TempDir(), strings.Repeat("x", 200))); err == nil {
		t.Error("a long name was accepted")
	}
}

// TestSocketKept: a server removes its own socket only.
func TestSocketKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	first := start(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	start(t, path)
	first.Close()
	if _, err := Dial(t.Context(), path); err != nil {
		t.Errorf("after the end of the first: %v", err)
	}
}

// TestFind: with one living server it is found; with several, the error lists them.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	if _, err := Dial(t.Context(), ""); err == nil || !strings.Contains(err.Error(), ErrNoServer.Error()) {
		t.Errorf("no server: %v", err)
	}
	path := func(addr string) string {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		p, err := DefaultPath(a)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	start(t, path("127.0.0.1:21"))
	c, err := Dial(t.Context(), "")
	if err != nil || c.path != filepath.Join(dir, "miniftp", "127.0.0.1_21.sock") {
		t.Fatalf("%+v, %v", c, err)
	}
	start(t, path("[::]:21"))
	if _, err = Dial(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "--socket "+path("0.0.0.0:21")) || !strings.Contains(err.Error(), "127.0.0.1_21.sock") {
		t.Errorf("two servers: %v", err)
	}
}

// TestClose: closing ends streams of events and answers that wait.
func TestClose(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "s.sock"))
	c, err := Dial(t.Context(), s.Path())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- c.Events(t.Context(), true, func([]byte) error { return nil }) }()
	go func() { ended <- c.Drain(t.Context()) }()
	time.Sleep(100 * time.Millisecond)
	if r, err := c.Reload(t.Context()); err != nil || len(r.Mistakes) != 1 {
		t.Errorf("reload: %+v, %v", r, err)
	}
	start := time.Now()
	s.Close()
	<-ended
	<-ended
	if took := time.Since(start); took > closeTime/2 {
		t.Errorf("it took %v", took)
	}
}

// TestBanRequests: bans pass the interface; mistakes are reported as such.
func TestBanRequests(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "s.sock"))
	c, err := Dial(t.Context(), s.Path())
	if err != nil {
		t.Fatal(err)
	}
	ban, err := NewBan("2001:db8::1:2:3:4", "alice")
	if err != nil || ban.Addr != "2001:db8::" {
		t.Fatalf("%+v, %v", ban, err)
	}
	if err := c.Ban(t.Context(), ban, time.Hour); err != nil {
		t.Error(err)
	}
	if all, err := c.Bans(t.Context()); err != nil || len(all) != 1 || all[0].name() != ban.name() || time.Until(all[0].Until) < 59*time.Minute {
		t.Errorf("%+v, %v", all, err)
	}
	for range 2 {
		err = c.Unban(t.Context(), ban)
	}
	if verb.ExitCode(err) != verb.ExitRefused {
		t.Errorf("a ban that there is not: %v", err)
	}
	if err := c.Ban(t.Context(), Ban{Addr: "x"}, time.Hour); verb.ExitCode(err) != verb.ExitUsage {
		t.Errorf("a malformed address: %v", err)
	}
}
