package serve

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// withSockets returns a command that runs miniftp with sockets, as systemd would: the names are in LISTEN_FDNAMES.
func withSockets(t *testing.T, names string, files []*os.File, args ...string) *exec.Cmd {
	t.Helper()
	cmd := verbtest.Command(t, "sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, verbtest.Program(t)}, args...)...)
	cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = files
	return cmd
}

// heldSocket returns a listening socket and its address. Its connections wait until a server accepts them.
func heldSocket(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, l.Addr().String()
}

// knock connects, and returns a function that waits for the greeting and returns its first word, or an error.
func knock(addr string) (greeting func() string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error
	}
	return func() string {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			return err.Error()
		}
		word, _, _ := strings.Cut(line, " ")
		return word
	}
}

// TestSockets: serve uses the sockets of systemd instead of --listen; the one named ftps is for implicit TLS. Those who
// connect before the start wait.
func TestSockets(t *testing.T) {
	t.Parallel()
	plain, plainAt := heldSocket(t)
	secure, secureAt := heldSocket(t)
	early := knock(plainAt)
	p := verbtest.Start(t, withSockets(t, "ftps:miniftp.socket", []*os.File{secure, plain}, "serve", "--tls-self-signed", "--control", "off", "mem://"))
	if p.Addr != plainAt {
		t.Errorf("listens on %s, not on %s", p.Addr, plainAt)
	}
	if word := early(); word != "220" {
		t.Errorf("a client that came before the start: %s", word)
	}
	if line := p.Await("ftps://"); !strings.Contains(line, "ftps://"+secureAt) {
		t.Error(line)
	}
	p.Await("Ctrl-C stops.")
	_ = p.Dial()
	if out, err := exec.CommandContext(t.Context(), "miniftp", "ls", "--insecure", "ftps://"+secureAt).CombinedOutput(); err != nil {
		t.Errorf("implicit TLS: %v: %s", err, out)
	}
}

// TestSocketsMatch: --listen may name the addresses of the sockets, but no others; what is not a listening TCP socket is
// refused, and so is implicit TLS without a certificate. Sockets for another process are ignored.
func TestSocketsMatch(t *testing.T) {
	t.Parallel()
	f, at := heldSocket(t)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	datagram, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	local, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	unixSocket, err := local.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer unixSocket.Close()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	connection, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()

	for _, c := range []struct {
		names string
		file  *os.File
		flags []string
		says  string
	}{
		{"ftp", f, []string{"--listen", "127.0.0.1:2121"}, "--listen 127.0.0.1:2121 differs from what systemd listens on (" + at + "): remove it, or change ListenStream= in the socket unit"},
		{"ftp", f, []string{"--tls-self-signed", "--listen", at, "--listen-tls", ":990"}, "--listen-tls :990 differs from what systemd listens on (no such sockets)"},
		{"ftp", f, []string{"--tls", "implicit", "--tls-self-signed", "--listen", ":1"}, "--listen :1 differs"},
		{"ftps", f, nil, "is for implicit TLS, which needs a certificate: add --tls-cert FILE, --tls-acme HOST or --tls-self-signed"},
		{"x", datagram, nil, `socket 1 of systemd ("x"): is not a TCP socket: write ListenStream=, not ListenDatagram=`},
		{"x", unixSocket, nil, "is a unix socket, but FTP needs TCP"},
		{"x", connection, nil, "is a connection, not a listening socket: write Accept=no"},
		{"x", null, nil, "is not a socket"},
	} {
		cmd := withSockets(t, c.names, []*os.File{c.file}, append(append([]string{"serve", "--control", "off"}, c.flags...), "mem://")...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), c.says) {
			t.Errorf("%v, %s: want %q", err, out, c.says)
		}
	}
	if p := verbtest.Start(t, withSockets(t, "ftp", []*os.File{f}, "serve", "--control", "off", "--listen", at, "mem://")); p.Addr != at {
		t.Errorf("listens on %s, not on %s", p.Addr, at)
	}
	cmd := verbtest.Command(t, verbtest.Program(t), "serve", "--control", "off", "--listen", "127.0.0.1:0", "mem://")
	cmd.Env = append(cmd.Env, "LISTEN_PID=1", "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{f}
	if p := verbtest.Start(t, cmd); p.Addr == at {
		t.Error("the sockets of another process were used")
	}
}

// TestHandover: while the socket is held elsewhere, as systemd does, a new server takes over from one that drains: no
// connection is refused, and the transfer of the old one finishes. Then the new one restarts: who connects meanwhile waits.
func TestHandover(t *testing.T) {
	t.Parallel()
	f, at := heldSocket(t)
	dir := t.TempDir()
	start := func(control string) *verbtest.Process {
		t.Helper()
		return verbtest.Start(t, withSockets(t, "ftp", []*os.File{f}, "serve", "--anonymous", "rw", "--control", control, dir))
	}
	controlA, controlB := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	a := start(controlA)
	a.Await("Ctrl-C stops.")

	up := a.Dial()
	content, open := verbtest.Pattern(3<<20), make(chan struct{})
	stored := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		_, err := up.Store(t.Context(), "/big", io.MultiReader(bytes.NewReader(content[:1<<20]), pause{begun, open}, bytes.NewReader(content[1<<20:])))
		stored <- err
	}()
	<-begun

	stop := make(chan struct{})
	var knocks atomic.Int64
	knocked := make(chan struct{})
	go func() {
		defer close(knocked)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if word := knock(at)(); word != "220" {
				t.Errorf("connection %d: %s", knocks.Load(), word)
			}
			knocks.Add(1)
		}
	}()
	more := func() {
		for n := knocks.Load(); knocks.Load() < n+20 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	more()
	b := start(controlB)
	b.Await("Ctrl-C stops.")
	more()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	drain := exec.CommandContext(ctx, "miniftp", "drain", "--socket", controlA)
	if err := drain.Start(); err != nil {
		t.Fatal(err)
	}
	a.Await("draining")
	more()
	close(open)
	if err := <-stored; err != nil {
		t.Error("the transfer of the old server:", err)
	}
	_ = up.Close()
	if err := drain.Wait(); err != nil {
		t.Error("drain:", err)
	}
	if code := a.Ends(); code != 0 {
		t.Errorf("the old server: exit %d", code)
	}
	more()
	close(stop)
	<-knocked
	if got, err := os.ReadFile(filepath.Join(dir, "big")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	if err := b.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
	meanwhile := knock(at)
	start(controlB)
	if word := meanwhile(); word != "220" {
		t.Errorf("a client that came during the restart: %s", word)
	}
}

// pause is a reader without content that ends when open is closed. It closes begun when it is read.
type pause struct {
	begun chan<- struct{}
	open  <-chan struct{}
}

func (g pause) Read([]byte) (int, error) {
	close(g.begun)
	<-g.open
	return 0, io.EOF
}

// TestSocketActivate: a real socket of systemd starts the server with the first connection, which is served.
func TestSocketActivate(t *testing.T) {
	t.Parallel()
	activate := verbtest.StockProgram(t, "systemd-socket-activate")
	addr := fmt.Sprintf("127.%d.%d.8:2121", 64+os.Getpid()>>8%64, os.Getpid()%256) // no other process uses it
	cmd := verbtest.Command(t, activate, "--listen="+addr, "--fdname=ftp", "--setenv=HOME", verbtest.Program(t), "serve", "--control", "off", "mem://")
	first := make(chan string, 1)
	go func() {
		for limit := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if word := knock(addr)(); word == "220" || time.Now().After(limit) {
				first <- word
				return
			}
		}
	}()
	p := verbtest.Start(t, cmd)
	if p.Addr != addr {
		t.Errorf("listens on %s, not on %s", p.Addr, addr)
	}
	if word := <-first; word != "220" {
		t.Errorf("the first connection: %s", word)
	}
	p.Dial()
}
