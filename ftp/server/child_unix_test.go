//go:build unix

package server_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// childRoot is an environment variable that makes this test binary serve the directory in it.
const childRoot = "MINIFTP_TEST_ROOT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childRoot); dir != "" {
		if err := childServes(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testutil.RunParallel()
	before := openFiles()
	code := m.Run()
	if code == 0 {
		if err := leftBehind(before); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func childServes(dir string) error {
	root, err := fsroot.OpenRoot(dir)
	if err != nil {
		return err
	}
	inPlace := os.Getenv(childRoot+"_IN_PLACE") != ""
	srv, err := server.New(server.Options{Auth: accounts(root), Log: slog.New(slog.DiscardHandler), UploadInPlace: inPlace, DataTimeout: patience})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() { // ends with its parent
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	return srv.Serve(l)
}

// child is a server in its own process, which can be killed and can run as another user.
type child struct {
	cmd *exec.Cmd
	*site
}

// startChild serves dir, as the user uid if that is not 0. That requires root.
func startChild(t *testing.T, dir string, uid uint32, env ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	check(t, err)
	if uid != 0 {
		if os.Getuid() != 0 {
			t.Skip("only root can become another user")
		}
		copied := filepath.Join(publicDir(t), "server.test") // only root can read the build's own directory
		b, err := os.ReadFile(exe)
		check(t, err)
		check(t, os.WriteFile(copied, b, 0o755))
		exe = copied
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(append(os.Environ(), childRoot+"="+dir), env...)
	cmd.Stderr = os.Stderr
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	_, err = cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child does not print its address: %v", err)
	}
	return &child{cmd, &site{addr: strings.TrimSpace(addr)}}
}

// publicDir returns a directory that every user can enter.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "miniftp")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	return dir
}
