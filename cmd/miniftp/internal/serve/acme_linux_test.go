package serve

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestStockACMESocket: the listeners for the authority are opened by systemd, or by root before it becomes another user, who
// owns the keys.
func TestStockACMESocket(t *testing.T) {
	needRoot(t)
	t.Parallel()
	a := startAuthority(t)
	close(a.gate)
	l, err := net.Listen("tcp", a.http)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	state, root := openDir(t, testUID), openDir(t, testUID)
	const host = "ftp.example.test"
	id := fmt.Sprintf("%d:%d", testUID, testGID)
	common := []string{"serve", "--run-as", id, "--listen", "127.0.0.1:0", "--tls-acme", host, "--tls-acme-directory", a.directory, "--tls-acme-ca", a.ca, "--control", "off"}
	cmd := withSockets(t, "acme-http", []*os.File{f}, append(common, root)...)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	p := verbtest.Start(t, cmd)
	p.Await("certificate obtained")
	for _, file := range (&acmecert.Config{Directory: a.directory, Dir: filepath.Join(state, "miniftp", "acme")}).Files([]string{host}) {
		owned(t, file)
	}
	p.Kill()

	at, _, _ := strings.Cut(a.http, ":")
	cmd = verbtest.Command(t, verbtest.Program(t), append(common, "--tls-acme-http", at+":80", "--tls-acme-alpn", at+":443", root)...)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	p = verbtest.Start(t, cmd)
	p.Await("http://" + at + ":80/ ")
	p.Await("https://" + at + ":443/ ")
	p.Await("Ctrl-C stops.")
	checkThreads(t, p.Cmd.Process.Pid)

	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"serve", "--control", "off", "--listen", "127.0.0.1:0"}, "a socket of systemd has FileDescriptorName=acme-http or acme-alpn, which is for --tls-acme, but that is not set"},
		{append(common, "--tls-acme-http", ":81"), "--tls-acme-http :81 differs from what systemd listens on (" + a.http + ")"},
	} {
		cmd := withSockets(t, "acme-http", []*os.File{f}, append(tt.args, root)...)
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), tt.says) {
			t.Errorf("%v: %s, want %q", err, out, tt.says)
		}
	}
}
