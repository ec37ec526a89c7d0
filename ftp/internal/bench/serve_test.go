package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
)

// target is a server under load.
type target struct {
	name, addr     string
	user, password string
	root           string
	pid            int
	certs          *peers.Certs // nil means no TLS
}

// url returns the URL of a directory or a file on the server.
func (t *target) url(path string) string {
	scheme := "ftp"
	if t.certs != nil {
		scheme = "ftpes"
	}
	return fmt.Sprintf("%s://%s:%s@%s/%s", scheme, t.user, t.password, t.addr, path)
}

// build builds the program as releases are built. BENCH_MINIFTP may name another build to measure.
func build(tb testing.TB) string {
	tb.Helper()
	if bin := os.Getenv("BENCH_MINIFTP"); bin != "" {
		return bin
	}
	bin := filepath.Join(tb.TempDir(), "miniftp")
	cmd := exec.Command("go", "build", "-o", bin, "miniftp/cmd/miniftp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// manyPorts is the number of data ports of a stock server. pure-ftpd admits half as many users.
const manyPorts = 1000

// serve starts the server with the given name.
func (l *lab) serve(tb testing.TB, name, root string, opts peers.Options) *target {
	tb.Helper()
	if name == "miniftp" {
		return l.serveOwn(tb, root, opts)
	}
	if opts.PassivePorts == "" {
		first := testutil.FreePorts(tb, manyPorts)
		opts.PassivePorts = fmt.Sprintf("%d-%d", first, first+manyPorts-1)
	}
	s := peers.Start(tb, name, root, opts)
	return &target{name: name, addr: s.Addr, user: s.User, password: s.Password, root: root, pid: s.PID, certs: s.Certs}
}

var listening = regexp.MustCompile(`ftp[es]*://([0-9.:]+)`)

// serveOwn runs miniftp serve.
func (l *lab) serveOwn(tb testing.TB, root string, opts peers.Options) *target {
	tb.Helper()
	t := &target{name: "miniftp", user: "bench", password: "bench", root: root}
	user := t.user + ":" + t.password
	if opts.ReadOnly {
		user += ":ro"
	}
	args := []string{"serve", "--log-level", "error", "--listen", "127.0.0.1:0", "--user", user}
	if opts.TLS != peers.Off {
		t.certs = opts.Certs
		args = append(args, "--tls", "required", "--tls-cert", t.certs.CertFile, "--tls-key", t.certs.KeyFile)
	}
	if opts.PassivePorts != "" {
		args = append(args, "--passive-ports", opts.PassivePorts)
	}
	if opts.PublicIP != "" {
		args = append(args, "--public-ip", opts.PublicIP)
	}
	cmd := exec.Command(l.bin, append(args, root)...)
	stderr, err := cmd.StderrPipe()
	check(tb, err)
	check(tb, cmd.Start())
	r := bufio.NewReader(stderr)
	read := make(chan struct{})
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	said := ""
	for t.addr == "" {
		line, err := r.ReadString('\n')
		said += line
		if err != nil {
			close(read)
			tb.Fatalf("miniftp did not start: %v: %s", err, said)
		}
		if m := listening.FindStringSubmatch(line); m != nil {
			t.addr = m[1]
		}
	}
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, r)
	}()
	t.pid = cmd.Process.Pid
	return t
}
