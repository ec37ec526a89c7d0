//go:build unix

package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/client"
	"miniftp/ftp/server"
)

// authority is pebble, behind a relay of the test that counts connections and can make them wait.
type authority struct {
	directory  string
	ca         string // the file of the authority of the directory
	roots      string // the file of the root of the certificates that it issues
	http, alpn string // where it checks names
	conns      atomic.Int64
	gate       chan struct{} // closed: connections pass
	kill       func()
}

// authorities counts those that were started.
var authorities atomic.Int64

// startAuthority starts pebble and a DNS server in which all names are an address of their own.
func startAuthority(t *testing.T) *authority {
	t.Helper()
	pebble, dns := verbtest.StockProgram(t, "pebble"), verbtest.StockProgram(t, "pebble-challtestsrv")
	ip := fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()>>8%64, os.Getpid()%256, 100+authorities.Add(1)) // no other process uses it
	at := func(port int) string { return fmt.Sprintf("%s:%d", ip, port) }
	cert, err := server.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	both := filepath.Join(dir, "directory.pem")
	if err := local.SavePEM(both, cert); err != nil {
		t.Fatal(err)
	}
	config, _ := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": at(14000), "managementListenAddress": at(15000), "certificate": both, "privateKey": both, "httpPort": 5002, "tlsPort": 5001,
	}})
	file := verbtest.WriteFile(t, filepath.Join(dir, "pebble.json"), string(config))
	run(t, dns, "-defaultIPv4", ip, "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-dns01", at(8053), "-management", at(8055))
	a := &authority{ca: both, http: at(5002), alpn: at(5001), gate: make(chan struct{}), roots: filepath.Join(dir, "root.pem")}
	a.kill = run(t, pebble, "-config", file, "-strict", "-dnsserver", at(8053))
	a.directory = "https://" + a.relay(t, at(14000)) + "/dir"
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := c.Get("https://" + at(15000) + "/roots/0")
		if err == nil {
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			verbtest.WriteFile(t, a.roots, string(text))
			return a
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}

// run runs a program until the test ends or kill is called.
func run(t *testing.T, program string, args ...string) (kill func()) {
	t.Helper()
	cmd := verbtest.Command(t, program, args...)
	var out verbtest.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(cmd.Env, "PEBBLE_VA_NOSLEEP=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(program), out.String())
		}
	})
	t.Cleanup(kill)
	return kill
}

// relay passes connections on to addr when the gate is open.
func (a *authority) relay(t *testing.T, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() { cancel(); _ = l.Close(); work.Wait() })
	work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			a.conns.Add(1)
			work.Go(func() {
				defer in.Close()
				select {
				case <-a.gate:
				case <-ctx.Done():
					return
				}
				out, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				defer out.Close()
				stop := context.AfterFunc(ctx, func() { _ = in.Close(); _ = out.Close() })
				defer stop()
				var back sync.WaitGroup
				back.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
				_, _ = io.Copy(out, in)
				_ = out.Close()
				back.Wait()
			})
		}
	})
	return l.Addr().String()
}

// flags returns the flags of serve for a, with one of the challenges.
func (a *authority) flags(challenge, hosts string) []string {
	all := []string{"--tls-acme", hosts, "--tls-acme-directory", a.directory, "--tls-acme-ca", a.ca, "--tls-acme-email", "admin@example.org"}
	if challenge == "alpn" {
		return append(all, "--tls-acme-http", "off", "--tls-acme-alpn", a.alpn)
	}
	return append(all, "--tls-acme-http", a.http)
}

// startACME starts a server with a state directory. Only alice can log in, and only under TLS.
func startACME(t *testing.T, state, root string, flags ...string) *verbtest.Process {
	t.Helper()
	cmd := verbtest.Command(t, verbtest.Program(t), append(append([]string{"serve", "--listen", "127.0.0.1:0", "--tls", "required", "--user", "alice:secret", "--control", filepath.Join(state, "socket")}, flags...), root)...)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	return verbtest.Start(t, cmd)
}

// curl runs curl as alice, at a host name that is the server p, and trusts the authority only.
func (a *authority) curl(t *testing.T, p *verbtest.Process, host, path string, args ...string) (out string, err error) {
	t.Helper()
	_, port, _ := net.SplitHostPort(p.Addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args = append([]string{"-sS", "--ssl-reqd", "--cacert", a.roots, "--resolve", host + ":" + port + ":127.0.0.1", "-u", "alice:secret"}, args...)
	text, err := exec.CommandContext(ctx, verbtest.StockProgram(t, "curl"), append(args, "ftp://"+host+":"+port+path)...).CombinedOutput()
	return string(text), err
}

// presented returns the certificate that a client gets if it asks for name; an empty name means no SNI.
func presented(addr, name string) (*x509.Certificate, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(c, "AUTH TLS\r\n")
	_, _ = r.ReadString('\n')
	secure := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		return nil, err
	}
	return secure.ConnectionState().PeerCertificates[0], nil
}

// TestStockACME: certificates come from pebble, which really checks the names; curl logs in and transfers with them. A
// restart asks for nothing.
func TestStockACME(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{"http", "alpn"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			a := startAuthority(t)
			close(a.gate)
			state, root := t.TempDir(), t.TempDir()
			verbtest.WriteFile(t, filepath.Join(root, "down"), "some text")
			flags := a.flags(challenge, "FTP.example.test.,second.example.test")
			p := startACME(t, state, root, flags...)
			p.Await("certificate obtained; new connections use it\" host=ftp.example.test")
			p.Await("certificate obtained; new connections use it\" host=second.example.test")
			for _, host := range []string{"ftp.example.test", "second.example.test"} {
				if out, err := a.curl(t, p, host, "/down"); err != nil || out != "some text" {
					t.Errorf("%s: %v: %s", host, err, out)
				}
			}
			up := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "up"), "more text")
			if out, err := a.curl(t, p, "ftp.example.test", "/up", "-T", up); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if text, err := os.ReadFile(filepath.Join(root, "up")); err != nil || string(text) != "more text" {
				t.Errorf("%q, %v", text, err)
			}
			for name, want := range map[string]string{"": "ftp.example.test", "evil.example.test": "ftp.example.test", "Second.Example.test": "second.example.test"} {
				if cert, err := presented(p.Addr, name); err != nil || cert.DNSNames[0] != want {
					t.Errorf("a client that asks for %q gets %v, want the certificate of %s", name, err, want)
				}
			}
			a.answersNothingElse(t, challenge)
			keptWell(t, filepath.Join(state, "miniftp", "acme"), 3)
			seen, socket := a.conns.Load(), filepath.Join(state, "socket")
			about := aboutServer(t, socket)
			if cs := about.Certificates; len(cs) != 2 || cs[0].Names[0] != "ftp.example.test" || cs[0].Source != control.FromACME || cs[0].NotAfter.Before(time.Now()) || cs[0].Error != "" {
				t.Errorf("%+v", cs)
			}
			if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := p.Ends(); code != 0 {
				t.Errorf("exit %d", code)
			}
			a.kill()
			p = startACME(t, state, root, flags...)
			if out, err := a.curl(t, p, "second.example.test", "/down"); err != nil || out != "some text" {
				t.Errorf("after a restart: %v: %s", err, out)
			}
			if n := a.conns.Load(); n != seen {
				t.Errorf("after a restart the authority was asked %d times", n-seen)
			}
		})
	}
}

// answersNothingElse checks that the listener for challenges is for them only.
func (a *authority) answersNothingElse(t *testing.T, challenge string) {
	t.Helper()
	if challenge == "alpn" {
		for _, protos := range [][]string{nil, {"acme-tls/1"}, {"h2", "acme-tls/1"}} {
			c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", a.alpn, &tls.Config{ServerName: "ftp.example.test", NextProtos: protos, InsecureSkipVerify: true})
			if err == nil {
				_ = c.Close()
				t.Errorf("TLS with %v is answered without a challenge", protos)
			}
		}
		return
	}
	for _, path := range []string{"/", "/.well-known/acme-challenge/x", "/.well-known/acme-challenge/", "/metrics", "/.well-known/acme-challenge/../../x"} {
		resp, err := (&http.Client{Timeout: 20 * time.Second}).Get("http://" + a.http + path)
		if err != nil {
			t.Error(err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Server") != "" {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// keptWell checks that nobody else can read the files in dir, of which there are n.
func keptWell(t *testing.T, dir string, n int) {
	t.Helper()
	err := filepath.Walk(dir, func(name string, fi os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if err == nil && fi.IsDir() {
			want = 0o700
		} else {
			n--
		}
		if err == nil && fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v", name, fi.Mode())
		}
		return err
	})
	if err != nil || n != 0 {
		t.Errorf("%d files too few: %v", n, err)
	}
}

// aboutServer returns what the server says about itself.
func aboutServer(t *testing.T, socket string) control.About {
	t.Helper()
	c, err := control.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	about, err := c.About(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return about
}

// TestStockACMERenewal: a certificate that ends soon is renewed while a session runs. The session continues, and its data
// connections still resume its TLS session, which the server requires. New connections get the new certificate.
func TestStockACMERenewal(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	state, root := t.TempDir(), t.TempDir()
	verbtest.WriteFile(t, filepath.Join(root, "down"), "some text")
	const host = "ftp.example.test"
	authority := acmecert.Config{Directory: a.directory, Dir: filepath.Join(state, "miniftp", "acme")}
	file := authority.Files([]string{host})[1]
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	old := verbtest.MakeCert(t, host, time.Now().Add(25*time.Minute), nil) // after an hour
	if err := local.SavePEM(file, old); err != nil {
		t.Fatal(err)
	}
	p := startACME(t, state, root, append(a.flags("http", host), "--tls-session-reuse", "require")...)
	pool := x509.NewCertPool()
	pool.AddCert(old.Leaf)
	dial := func(pool *x509.CertPool) (*client.Client, error) {
		return client.Dial(t.Context(), p.Addr, &client.Options{User: "alice", Password: "secret", TLS: client.ExplicitTLS, TLSConfig: &tls.Config{RootCAs: pool, ServerName: host}})
	}
	c, err := dial(pool)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fetch := func(when string) {
		t.Helper()
		var b bytes.Buffer
		if _, err := c.Retrieve(t.Context(), "/down", &b); err != nil || b.String() != "some text" {
			t.Errorf("%s: %q, %v", when, b.String(), err)
		}
	}
	fetch("before the renewal")
	close(a.gate)
	p.Await("certificate obtained")
	fetch("after the renewal")
	if _, err := c.Store(t.Context(), "/up", strings.NewReader("x")); err != nil {
		t.Errorf("after the renewal: %v", err)
	}
	if _, err := dial(pool); err == nil {
		t.Error("a new connection gets the old certificate")
	}
	if out, err := a.curl(t, p, host, "/down", "--tlsv1.3"); err != nil || out != "some text" {
		t.Errorf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(file); err != nil || strings.Count(string(text), "BEGIN CERTIFICATE") != 2 {
		t.Errorf("%v: %d certificates are kept, want the new one and its issuer", err, strings.Count(string(text), "BEGIN CERTIFICATE"))
	}
}

// TestStockACMERefused: if the authority can't check the name, the log has what it says, and handshakes fail at once. A
// reload adds a name, which is asked for at once, and removes the other.
func TestStockACMERefused(t *testing.T) {
	t.Parallel()
	a := startAuthority(t)
	close(a.gate)
	state := t.TempDir()
	file := filepath.Join(state, "m.toml")
	write := func(host string) {
		t.Helper()
		verbtest.WriteFile(t, file, fmt.Sprintf("root = \"mem://\"\n[tls]\nmode = \"required\"\nacme = [%q]\nacme-directory = %q\nacme-ca = %q\nacme-http = \"off\"\nacme-alpn = \"127.0.0.1:0\"\n[users.alice]\npassword = \"secret\"\n", host, a.directory, a.ca))
	}
	write("first.example.test")
	cmd := verbtest.Command(t, verbtest.Program(t), "serve", "--listen", "127.0.0.1:0", "--config", file, "--control", filepath.Join(state, "socket"))
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	p := verbtest.Start(t, cmd)
	line := p.Await("can't get a certificate")
	for _, text := range []string{"level=WARN", "host=first.example.test", "tls-alpn-01: ", "onnect", "again_in=2m"} {
		if !strings.Contains(line, text) {
			t.Errorf("no %q in %s", text, line)
		}
	}
	begun := time.Now()
	if _, err := presented(p.Addr, ""); err == nil || time.Since(begun) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	p.Await("a TLS handshake was refused, because there is no certificate yet\" host=first.example.test")
	if c := aboutServer(t, filepath.Join(state, "socket")).Certificates[0]; !strings.Contains(c.Problem(time.Now()), "first.example.test: there is no certificate: tls-alpn-01: ") {
		t.Error(c.Problem(time.Now()))
	}
	write("second.example.test")
	p.Hangup("reloaded")
	if line := p.Await("can't get a certificate"); !strings.Contains(line, "host=second.example.test") {
		t.Error(line)
	}
	if cs := aboutServer(t, filepath.Join(state, "socket")).Certificates; len(cs) != 1 || cs[0].Names[0] != "second.example.test" {
		t.Errorf("%+v", cs)
	}
}
