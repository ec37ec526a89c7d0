package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// proxyProcess starts a stock proxy and returns its address once it accepts connections.
func proxyProcess(t *testing.T, name string, args func(port string) []string) string {
	t.Helper()
	port := fmt.Sprint(ftptest.ClosedPort(t).Port())
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, verbtest.StockProgram(t, name), args(port)...)
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	addr := net.JoinHostPort("127.0.0.1", port)
	for limit := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return addr
		}
		if time.Now().After(limit) {
			t.Fatalf("%s does not answer: %v", name, err)
		}
	}
}

func microsocks(t *testing.T, login ...string) string {
	return proxyProcess(t, "microsocks", func(port string) []string {
		return append([]string{"-i", "127.0.0.1", "-p", port}, login...)
	})
}

func tinyproxy(t *testing.T, lines ...string) string {
	return proxyProcess(t, "tinyproxy", func(port string) []string {
		conf := filepath.Join(t.TempDir(), "tinyproxy.conf")
		text := "Port " + port + "\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\n" + strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"-d", "-c", conf}
	})
}

// TestStockProxies: transfers through stock proxies work in both directions, in the clear and over
// TLS.
func TestStockProxies(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	data := verbtest.Pattern(300_000)
	for name, spec := range map[string]string{
		"socks5":               "socks5://" + microsocks(t),
		"socks5 with a login":  "socks5://bob:b%3Ax@" + microsocks(t, "-u", "bob", "-P", "b:x"),
		"connect":              "http://" + tinyproxy(t),
		"connect with a login": "http://bob:secret@" + tinyproxy(t, "BasicAuth bob secret"),
		"connect, no scheme":   tinyproxy(t),
	} {
		t.Run(name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				args, options := []string{"get", "--proxy", spec, "--retries", "0"}, []ftptest.Option(nil)
				if secure {
					args, options = append(args, "--tls", "--insecure"), append(options, ftptest.WithTLS())
				}
				s := verbtest.WithFile(t, data, options...)
				if code, out, errs := try(t, append(args, s.URL+"/a.bin", "-")...); code != 0 || out != string(data) {
					t.Errorf("get, TLS %v: exit %d, %d bytes, %s", secure, code, len(out), errs)
				}
				args[0] = "put"
				if code, _, errs := try(t, append(args, "-", s.URL+"/b")...); code != 0 || string(verbtest.ReadFile(t, s.FS, "/b")) != "from stdin" {
					t.Errorf("put, TLS %v: exit %d, %s", secure, code, errs)
				}
			}
		})
	}
}

// TestProxyEnvironment: ALL_PROXY is used unless NO_PROXY or --proxy none excludes it. Active mode
// through a proxy is refused.
func TestProxyEnvironment(t *testing.T) {
	s := verbtest.WithFile(t, []byte("x"))
	nobody := "socks5://127.0.0.1:1"
	t.Setenv("ALL_PROXY", nobody)
	code, _, errs := try(t, "cat", s.URL+"/a.bin")
	if code != verb.ExitConnect || !strings.Contains(errs, "through the proxy "+nobody+": connection refused") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, errs = try(t, "cat", "--active", s.URL+"/a.bin"); code != verb.ExitUsage || !strings.Contains(errs, "can't connect to the client through it") {
		t.Errorf("active: exit %d, %s", code, errs)
	}
	if code, out, errs := try(t, "cat", "--active", "--proxy", "none", s.URL+"/a.bin"); code != 0 || out != "x" {
		t.Errorf("--proxy none: exit %d, %s", code, errs)
	}
	through := "socks5://" + microsocks(t)
	if code, _, errs := try(t, "cat", "--explain", "--proxy", through, s.URL+"/a.bin"); code != 0 || !strings.Contains(errs, "through the proxy") || !strings.Contains(errs, through) {
		t.Errorf("exit %d\n%s", code, errs)
	}
	t.Setenv("NO_PROXY", "example.com,127.0.0.0/8")
	if code, out, errs := try(t, "cat", "--active", s.URL+"/a.bin"); code != 0 || out != "x" {
		t.Errorf("NO_PROXY: exit %d, %s", code, errs)
	}
	for _, bad := range []string{"ftp://h", "socks5://", "http://bob:hunter2@"} {
		code, _, errs = try(t, "cat", "--proxy", bad, s.URL+"/a.bin")
		if code != verb.ExitUsage || strings.Contains(errs, "hunter2") {
			t.Errorf("%s: exit %d, %s", bad, code, errs)
		}
	}
}

// TestConnectAnswers tests proxies that refuse, that send garbage, or that send the server's first
// bytes along with their answer.
func TestConnectAnswers(t *testing.T) {
	s := verbtest.WithFile(t, []byte("x"))
	for answer, want := range map[string]string{
		"HTTP/1.1 403 Filtered\x1b[2J\r\n\r\n":                "it answers CONNECT with 403",
		"SSH-2.0-nope\r\n":                                    "is not HTTP",
		"HTTP/1.1 200 ok\r\nX: " + strings.Repeat("x", 1<<17): "is not HTTP",
		"": "is not HTTP",
	} {
		addr := fakeProxy(t, func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, answer) })
		code, _, errs := try(t, "cat", "--proxy", "http://"+addr, s.URL+"/a.bin")
		if code != verb.ExitConnect || !strings.Contains(errs, want) || strings.Contains(errs, "\x1b") {
			t.Errorf("%.20q: exit %d, %s", answer, code, errs)
		}
	}
	// Bytes after the proxy's answer in the same segment belong to the server.
	addr := fakeProxy(t, func(c net.Conn, req *http.Request) {
		up, err := net.Dial("tcp", req.Host)
		if err != nil {
			return
		}
		defer up.Close()
		b := make([]byte, 4096)
		n := 0
		if strings.HasSuffix(req.Host, s.Addr[strings.LastIndexByte(s.Addr, ':'):]) {
			n, _ = up.Read(b) // the greeting
		}
		_, _ = c.Write(append([]byte("HTTP/1.0 200 yes\r\n\r\n"), b[:n]...))
		go func() { _, _ = io.Copy(up, c); _ = up.(*net.TCPConn).CloseWrite() }()
		_, _ = io.Copy(c, up)
	})
	if code, out, errs := try(t, "cat", "--proxy", "http://"+addr, s.URL+"/a.bin"); code != 0 || out != "x" {
		t.Errorf("early bytes: exit %d, %s", code, errs)
	}
}

// fakeProxy starts a proxy whose requests are handled by answer, and returns its address.
func fakeProxy(t *testing.T, answer func(net.Conn, *http.Request)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				req, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					answer(c, req)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestCharset: names in the server's character set are found, listed, and written to the local disk
// as UTF-8.
func TestCharset(t *testing.T) {
	s := verbtest.WithFile(t, nil)
	for name, wire := range map[string]string{"latin1": "caf\xe9", "shift_jis": "\x93\xfa\x96\x7b", "gbk": "\xd6\xd0\xb9\xfa", "ibm850": "\x84"} {
		want := map[string]string{"latin1": "café", "shift_jis": "日本", "gbk": "中国", "ibm850": "ä"}[name]
		if err := s.FS.MkdirAll("/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := try(t, "put", "--charset", name, "-", s.URL+"/"+name+"/"+want); code != 0 {
			t.Fatalf("%s: put: exit %d, %s", name, code, errs)
		}
		if got := verbtest.ReadFile(t, s.FS, "/"+name+"/"+wire); !bytes.Equal(got, []byte("from stdin")) {
			t.Errorf("%s: %q", name, got)
		}
		if code, out, errs := try(t, "ls", "--charset", name, s.URL+"/"+name+"/"); code != 0 || out != want+"\n" {
			t.Errorf("%s: ls: exit %d, %q, %s", name, code, out, errs)
		}
		dir := t.TempDir()
		if code, _, errs := try(t, "get", "-r", "--charset", name, s.URL+"/"+name, dir+"/x"); code != 0 {
			t.Errorf("%s: get: exit %d, %s", name, code, errs)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "x", want)); string(b) != "from stdin" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, bad := range []string{"klingon", "utf-16le", "utf-16", "ebcdic-cp-us", "hz-gb-2312"} {
		if code, _, errs := try(t, "ls", "--charset", bad, s.URL+"/"); code != verb.ExitUsage {
			t.Errorf("%s: exit %d, %s", bad, code, errs)
		}
	}
	code, _, errs := try(t, "put", "--charset", "latin1", "-", s.URL+"/日本")
	if code == 0 || !strings.Contains(errs, "character set") {
		t.Errorf("exit %d, %s", code, errs)
	}
}
