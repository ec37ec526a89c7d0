package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"miniftp/ftp/internal/testutil"
)

// session is a Python program that uses, with ftplib, everything a client needs, and prints "ok".
const session = `
import ftplib, io, sys
host, port, user, password, mode = sys.argv[1:]
f = ftplib.FTP()
f.connect(host, int(port), timeout=20)
f.login(user, password)
f.set_pasv(mode == "passive")
start = f.pwd()

def get(name, rest=None):
    out = io.BytesIO()
    f.retrbinary("RETR " + name, out.write, rest=rest)
    return out.getvalue()

def put(name, data, rest=None):
    f.storbinary("STOR " + name, io.BytesIO(data), rest=rest)

def same(got, want):
    assert got == want, "got %r, want %r" % (got[:80], want[:80])

big = bytes(range(256)) * 4096
same(get("there"), b"from the host\n")
f.mkd("d")
f.cwd("d")
put("big", big)
f.voidcmd("TYPE I")
same(f.size("big"), len(big))
same(get("big"), big)
same(get("big", rest=len(big) - 5), big[-5:])
put("big", b"!", rest=len(big))
same(get("big", rest=len(big) - 1), big[-1:] + b"!")
put("big", b"short")
same(get("big"), b"short")
f.rename("big", "small")
same([n for n in f.nlst() if n not in (".", "..")], ["small"])
lines = []
f.retrlines("LIST", lines.append)
assert any(l.endswith(" small") for l in lines), lines
f.delete("small")
f.cwd(start)
f.rmd("d")
put("made", b"by the peer\n")
f.quit()
print("ok")
`

func ftplib(t *testing.T, s *Server, mode string) {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(Client(t, "python3"), "-c", session, host, port, s.User, s.Password, mode).CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%s, %s: %v\n%s", s.Name, mode, err, out)
	}
}

func TestEachServerDoesAll(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		for _, ipv6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s ipv6=%v", name, ipv6), func(t *testing.T) {
				t.Parallel()
				if ipv6 {
					needIPv6(t)
				}
				root := t.TempDir()
				put(t, filepath.Join(root, "there"), "from the host\n")
				s := Start(t, name, root, Options{IPv6: ipv6})
				if s.Name != name || s.Root != root {
					t.Errorf("started %+v", s)
				}
				for _, mode := range []string{"passive", "active"} {
					ftplib(t, s, mode)
					made := filepath.Join(root, "made")
					if got, err := os.ReadFile(made); err != nil || string(got) != "by the peer\n" {
						t.Errorf("%s: uploaded %q, %v", mode, got, err)
					}
					if err := os.Remove(made); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	_ = l.Close()
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			file := filepath.Join(root, "f")
			put(t, file, "one")
			s := Start(t, name, root, Options{ReadOnly: true})
			url := "ftp://" + s.Addr + "/"
			login := s.User + ":" + s.Password
			curl := Client(t, "curl")
			out, err := exec.Command(curl, "-sS", "-m", "20", "-u", login, url+"f").CombinedOutput()
			if err != nil || string(out) != "one" {
				t.Errorf("download: %v: %s", err, out)
			}
			for what, args := range map[string][]string{
				"upload": {"-T", file, url + "new"},
				"mkdir":  {"-Q", "MKD new", url},
				"delete": {"-Q", "DELE f", url},
			} {
				args = append([]string{"-sS", "-m", "20", "-u", login}, args...)
				if out, err := exec.Command(curl, args...).CombinedOutput(); err == nil {
					t.Errorf("%s was not refused: %s", what, out)
				}
			}
			if left, err := os.ReadDir(root); err != nil || len(left) != 1 {
				t.Errorf("the files afterwards: %v, %v", left, err)
			}
		})
	}
}

// dial opens a control connection and reads the greeting.
func dial(t *testing.T, s *Server) (net.Conn, *bufio.Scanner) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	lines := bufio.NewScanner(conn)
	await(t, lines, "220 ")
	return conn, lines
}

// await reads lines until one begins with prefix.
func await(t *testing.T, lines *bufio.Scanner, prefix string) string {
	t.Helper()
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			return lines.Text()
		}
	}
	t.Fatalf("no line %q: %v", prefix, lines.Err())
	return ""
}

func login(t *testing.T, s *Server) (net.Conn, *bufio.Scanner) {
	t.Helper()
	conn, lines := dial(t, s)
	fmt.Fprintf(conn, "USER %s\r\n", s.User)
	await(t, lines, "331 ")
	fmt.Fprintf(conn, "PASS %s\r\n", s.Password)
	await(t, lines, "230 ")
	return conn, lines
}

func TestPassivePorts(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			first := int(testutil.FreePorts(t, 5))
			last := first + 4
			s := Start(t, name, t.TempDir(), Options{PassivePorts: fmt.Sprintf("%d-%d", first, last)})
			conn, lines := login(t, s)
			for range 3 {
				fmt.Fprint(conn, "EPSV\r\n")
				line := await(t, lines, "229 ")
				_, tail, _ := strings.Cut(line, "(|||")
				var port int
				if _, err := fmt.Sscanf(tail, "%d|)", &port); err != nil || port < first || port > last {
					t.Errorf("%q: port %d (%v), want %d to %d", line, port, err, first, last)
				}
			}
		})
	}
}

// When the test ends, the listener and all sessions are closed.
func TestStopEndsSessions(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			var s *Server
			var conn net.Conn
			t.Run("inner", func(inner *testing.T) {
				s = Start(inner, name, inner.TempDir(), Options{})
				conn, _ = login(t, s)
			})
			if s == nil {
				t.Skip("not here")
			}
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the session is still open: %v", err)
			}
			if conn, err := net.Dial("tcp", s.Addr); err == nil { // another program may use the port by now
				_ = conn.Close()
				if p, err := os.FindProcess(s.PID); err == nil && p.Signal(syscall.Signal(0)) == nil {
					t.Error("the server still listens")
				}
			}
		})
	}
}

// A test binary that is killed runs no cleanup, but its servers are stopped nevertheless.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	if at := os.Getenv("PEERS_KILL_ME"); at != "" {
		s := Start(t, "pyftpdlib", at, Options{})
		fmt.Printf("addr %s\n", s.Addr)
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed
		return
	}
	if python() == "" {
		missing(t, "pyftpdlib")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTestBinary$")
	cmd.Env = append(os.Environ(), "PEERS_KILL_ME="+t.TempDir(), "TMPDIR="+t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := await(t, bufio.NewScanner(out), "addr ")
	conn, _ := login(t, &Server{Addr: strings.TrimPrefix(line, "addr "), User: user, Password: password})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the session is still open: %v", err)
	}
}

func TestMissingPeer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("MINIFTP_PEERS", t.TempDir())
	for _, require := range []string{"", "1"} {
		t.Setenv("MINIFTP_REQUIRE_PEERS", require)
		tb := &fakeTB{TB: t}
		func() {
			defer func() { _ = recover() }()
			Client(tb, "no-such-client")
		}()
		want := "skip"
		if require == "1" {
			want = "fatal"
		}
		if tb.verdict != want {
			t.Errorf("MINIFTP_REQUIRE_PEERS=%q: %q, want %q", require, tb.verdict, want)
		}
	}
}

// fakeTB records how a test would end.
type fakeTB struct {
	testing.TB
	verdict string
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Fatalf(string, ...any) { f.end("fatal") }

func (f *fakeTB) Skipf(string, ...any) { f.end("skip") }

// end ends the goroutine of the function under test, like Fatal and Skip.
func (f *fakeTB) end(verdict string) {
	f.verdict = verdict
	panic(verdict)
}

func TestClients(t *testing.T) {
	for _, name := range []string{"curl", "lftp", "wget", "tnftp", "ncftpget", "ncftpput", "busybox", "openssl", "gnutls-cli", "python3"} {
		t.Run(name, func(t *testing.T) {
			fi, err := os.Stat(Client(t, name))
			if err != nil || fi.Mode()&0o111 == 0 {
				t.Errorf("not a program: %v, %v", fi, err)
			}
		})
	}
}

// 227 replies contain PublicIP.
func TestPublicIP(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			s := Start(t, name, t.TempDir(), Options{PublicIP: "127.0.0.2"})
			conn, lines := dial(t, s)
			ask(t, conn, lines, "USER "+s.User)
			ask(t, conn, lines, "PASS "+s.Password)
			if reply := ask(t, conn, lines, "PASV"); !strings.HasPrefix(reply, "227 ") || !strings.Contains(reply, "127,0,0,2,") {
				t.Errorf("PASV: %s", reply)
			}
		})
	}
}

// TestFTPSrv uploads a file to ftp-srv and downloads it, with curl.
func TestFTPSrv(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := Start(t, FTPSrv, root, Options{})
	url := "ftp://" + s.User + ":" + s.Password + "@" + s.Addr + "/there"
	put := exec.Command(Client(t, "curl"), "-sS", "-T", "-", url)
	put.Stdin = strings.NewReader("content")
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if data, err := os.ReadFile(filepath.Join(root, "there")); err != nil || string(data) != "content" {
		t.Errorf("%q, %v", data, err)
	}
	if out, err := exec.Command(Client(t, "curl"), "-sS", url).CombinedOutput(); err != nil || string(out) != "content" {
		t.Errorf("%q, %v", out, err)
	}
}
