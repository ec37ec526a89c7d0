package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/server"
)

// The clients at oldHost may use old TLS, those at newHost may not.
const oldHost, newHost = "127.0.0.2", "127.0.0.3"

// serveOld starts a server with a certificate with an RSA key, which requires TLS and the reuse of sessions, but not at
// oldHost.
func serveOld(t *testing.T, fsys afero.Fs, change ...func(*server.Options)) (*site, *peers.Certs) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("other systems have one loopback address only")
	}
	certs := peers.NewRSACerts(t)
	change = append([]func(*server.Options){func(o *server.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{certs.Server}}
		o.TLSRequired, o.SessionReuse = true, dtp.ReuseRequire
		o.OldTLS = prefixes(t, oldHost+"/32")
	}}, change...)
	return serve(t, fsys, change...), certs
}

// from is connect from an address of this host.
func (s *site) from(t *testing.T, host string) *ctl {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: patience}
	conn, err := d.DialContext(t.Context(), "tcp", s.addr)
	check(t, err)
	c := newCtl(t, conn)
	c.want(220)
	return c
}

// TestOldTLS: what clients at oldHost may use on both connections, and those at newHost may not.
func TestOldTLS(t *testing.T) {
	fsys, _ := disk(t)
	s, _ := serveOld(t, fsys)
	for _, tt := range []struct {
		version uint16
		suite   uint16
		old     bool // allowed at oldHost
		any     bool // allowed everywhere
	}{
		{tls.VersionTLS10, tls.TLS_RSA_WITH_AES_128_CBC_SHA, true, false},
		{tls.VersionTLS10, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, true, false}, // Windows XP
		{tls.VersionTLS10, tls.TLS_RSA_WITH_RC4_128_SHA, false, false},
		{tls.VersionTLS11, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, true, false},
		{tls.VersionTLS12, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, true, false},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, false, false},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, true, true},
		{tls.VersionTLS13, 0, true, true},
	} {
		for _, host := range []string{oldHost, newHost} {
			c := s.from(t, host)
			c.cmd("AUTH TLS", 234)
			cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tt.version, MaxVersion: tt.version}
			if tt.suite != 0 {
				cfg.CipherSuites = []uint16{tt.suite}
			}
			conn := tls.Client(c.Conn, cfg)
			_ = c.SetDeadline(time.Now().Add(patience))
			err := conn.HandshakeContext(t.Context())
			if works := tt.any || tt.old && host == oldHost; (err == nil) != works {
				t.Errorf("%s with %s from %s: %v", tls.VersionName(tt.version), tls.CipherSuiteName(tt.suite), host, err)
			}
			if err != nil || host != oldHost {
				continue
			}
			// Data connections, either way. No session is resumed, which is required of others.
			sec := (&tlsCtl{&ctl{t, conn, ftp.NewLineReader(conn, 64<<10)}, cfg}).private("rw")
			port, err := ftp.Parse229(sec.cmd("EPSV", 229).Text())
			check(t, err)
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: patience}
			raw, err := d.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			check(t, err)
			sec.cmd("STOR f", 150)
			data := tls.Client(raw, cfg)
			_, err = data.Write(random(100_000))
			check(t, err)
			check(t, data.Close())
			sec.want(226)
			if got := read(t, fsys, "/f"); got != string(random(100_000)) {
				t.Errorf("%s: %d bytes are stored", tls.VersionName(tt.version), len(got))
			}
			_ = conn.Close()
		}
	}
}

// The clients' options for TLS 1.0, from an address. OpenSSL does not use it otherwise.
var oldClients = map[string]func(t *testing.T, s *site, certs *peers.Certs, host string) *exec.Cmd{
	"curl": func(t *testing.T, s *site, certs *peers.Certs, host string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(s.addr)
		return command(t, "curl", "--silent", "--show-error", "--max-time", "60", "--interface", host, "--ssl-reqd", "--tlsv1.0", "--tls-max", "1.0",
			"--ciphers", "AES128-SHA:@SECLEVEL=0", "--cacert", certs.CAFile, "--user", "rw:rw", "--upload-file", "-", "ftp://127.0.0.1:"+port+"/curl")
	},
	"python3": func(t *testing.T, s *site, certs *peers.Certs, host string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(s.addr)
		return command(t, "python3", "-W", "ignore", "-c", `
import ftplib, ssl, sys
host, port, source, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.set_ciphers("AES128-SHA:@SECLEVEL=0")
context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
f = ftplib.FTP_TLS(context=context, timeout=50)
f.connect(host, int(port), source_address=(source, 0))
f.source_address = (source, 0)
f.login("rw", "rw")
assert f.sock.version() == "TLSv1", f.sock.version()
f.prot_p()
f.storbinary("STOR python3", sys.stdin.buffer)
f.quit()
`, "127.0.0.1", port, host, certs.CAFile)
	},
}

func command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, peers.Client(t, program), args...)
}

// TestStockOldTLS: real clients that speak nothing but TLS 1.0 upload from oldHost, over control and data connections under
// TLS, and are refused from newHost. The events say which version it was.
func TestStockOldTLS(t *testing.T) {
	fsys, dir := disk(t)
	versions := make(chan string, 100)
	s, certs := serveOld(t, fsys, func(o *server.Options) {
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if w, ok := e.What.(ftp.DataSecured); ok {
				versions <- w.TLS.Version
			}
		})
	})
	content := random(200_000)
	for name, client := range oldClients {
		t.Run(name, func(t *testing.T) {
			cmd := client(t, s, certs, newHost)
			cmd.Stdin = bytes.NewReader(content)
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("from %s it works: %s", newHost, out)
			}
			cmd = client(t, s, certs, oldHost)
			cmd.Stdin = bytes.NewReader(content)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("from %s: %v: %s", oldHost, err, out)
			}
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes are stored: %v", len(got), err)
			}
			if v := <-versions; v != "TLS 1.0" {
				t.Errorf("the data connection was under %s", v)
			}
		})
	}
	t.Run("openssl", func(t *testing.T) {
		for host, works := range map[string]bool{oldHost: true, newHost: false} {
			cmd := command(t, "openssl", "s_client", "-connect", s.addr, "-bind", host+":0", "-starttls", "ftp", "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-CAfile", certs.CAFile, "-verify_return_error", "-quiet")
			var errs strings.Builder
			cmd.Stderr = &errs
			in, err := cmd.StdinPipe()
			check(t, err)
			out, err := cmd.StdoutPipe()
			check(t, err)
			check(t, cmd.Start())
			_, _ = io.WriteString(in, "NOOP\r\nQUIT\r\n")
			got := false
			for lines := bufio.NewScanner(out); !got && lines.Scan(); { // it ends with the program or with its time
				got = strings.HasPrefix(lines.Text(), "221 ")
			}
			_ = in.Close()
			_ = cmd.Process.Kill() // whatever it waits for
			_ = cmd.Wait()
			if got != works {
				t.Errorf("from %s: %s", host, errs.String())
			}
		}
	})
}
