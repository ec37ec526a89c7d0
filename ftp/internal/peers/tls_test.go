package peers

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/ftp/internal/testutil"
)

// eachTLS calls f for all options of TLS that the servers support, with the given versions.
//
// Only a soak uses all of them. The tests of miniftp's client and server also start these servers, with
// other options.
func eachTLS(t *testing.T, versions []uint16, f func(t *testing.T, name string, opts Options)) {
	modes := []TLSMode{Explicit, Implicit}
	if !testutil.Soaking {
		modes, versions = modes[:1], versions[len(versions)-1:]
	}
	for _, name := range Names() {
		for _, mode := range modes {
			for _, version := range versions {
				for _, reuse := range []bool{false, true} {
					opts := Options{TLS: mode, TLSVersion: version, RequireReuse: reuse}
					if Can(name, opts) {
						t.Run(describe(name, opts), func(t *testing.T) {
							t.Parallel() // clients and servers mostly wait for each other
							f(t, name, opts)
						})
					}
				}
			}
		}
	}
}

var bothVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

func describe(name string, opts Options) string {
	said := []string{name, "explicit"}
	if opts.TLS == Implicit {
		said[1] = "implicit"
	}
	if opts.TLSVersion != 0 {
		said = append(said, tls.VersionName(opts.TLSVersion))
	}
	if opts.RequireReuse {
		said = append(said, "reuse")
	}
	return strings.Join(said, " ")
}

func TestCan(t *testing.T) {
	has := func(list []string, name string) bool { return strings.Contains(strings.Join(list, " "), name) }
	for _, name := range append(Names(), "no-such-server") {
		known := name != "no-such-server"
		implicit := has([]string{"vsftpd", "proftpd", "pyftpdlib"}, name)
		reuse := has([]string{"vsftpd", "proftpd"}, name)
		if name == "pure-ftpd" {
			implicit, reuse = false, false
		}
		for _, c := range []struct {
			opts Options
			want bool
		}{
			{Options{}, known},
			{Options{TLS: Explicit}, known},
			{Options{TLS: Explicit, TLSVersion: tls.VersionTLS12}, known},
			{Options{TLS: Explicit, TLSVersion: tls.VersionTLS13}, known},
			{Options{TLS: Explicit, TLSVersion: tls.VersionTLS11}, false},
			{Options{TLS: Explicit, RequireReuse: true}, reuse},
			{Options{TLS: Implicit}, implicit},
			{Options{TLS: Implicit, RequireReuse: true}, reuse},
			{Options{TLS: Implicit + 1}, false},
			{Options{TLSVersion: tls.VersionTLS13}, false},
			{Options{RequireReuse: true}, false},
		} {
			if got := Can(name, c.opts); got != c.want {
				t.Errorf("Can(%q, %+v) = %v, want %v", name, c.opts, got, c.want)
			}
		}
	}
}

func TestStartRefusesWhatCanNotBe(t *testing.T) {
	for name, opts := range map[string]Options{
		"pure-ftpd": {TLS: Implicit},
		"pyftpdlib": {TLS: Explicit, RequireReuse: true},
		"vsftpd":    {RequireReuse: true},
	} {
		tb := &fakeTB{TB: t}
		func() {
			defer func() { _ = recover() }()
			Start(tb, name, t.TempDir(), opts)
		}()
		if tb.verdict != "fatal" {
			t.Errorf("%s with %+v: %q, want fatal", name, opts, tb.verdict)
		}
	}
}

// A proftpd without its module for TLS is installed for tests without TLS, and missing for the others.
func TestProFTPdWithoutTLS(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MINIFTP_PEERS", dir)
	binary := filepath.Join(dir, "usr", "sbin", "proftpd")
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := findProFTPd(Options{}); got != binary {
		t.Errorf("without TLS: %q", got)
	}
	if got := findProFTPd(Options{TLS: Explicit}); got != "" {
		t.Errorf("with TLS: %q", got)
	}
}

// ask sends a command and returns the last line of its reply.
func ask(t *testing.T, conn net.Conn, lines *bufio.Scanner, command string) string {
	t.Helper()
	fmt.Fprintf(conn, "%s\r\n", command)
	for lines.Scan() {
		if line := lines.Text(); len(line) > 3 && line[3] == ' ' && line[0] >= '1' && line[0] <= '5' {
			return line
		}
	}
	t.Fatalf("%s: no reply: %v", command, lines.Err())
	return ""
}

// secure opens a control connection with TLS. err is the error of the handshake.
func secure(t *testing.T, s *Server, opts Options, config *tls.Config) (conn *tls.Conn, lines *bufio.Scanner, err error) {
	t.Helper()
	raw, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	if opts.TLS == Explicit {
		lines := bufio.NewScanner(raw)
		await(t, lines, "220 ")
		if reply := ask(t, raw, lines, "AUTH TLS"); !strings.HasPrefix(reply, "234 ") {
			t.Fatalf("AUTH TLS: %s", reply)
		}
	}
	conn = tls.Client(raw, config)
	if err := conn.Handshake(); err != nil {
		return nil, nil, err
	}
	lines = bufio.NewScanner(conn)
	if opts.TLS == Implicit {
		await(t, lines, "220 ")
	}
	return conn, lines, nil
}

// Each server sends the certificate for its address, accepts only the chosen version of TLS, and
// refuses a login and data connections without TLS.
func TestTLSIsRequired(t *testing.T) {
	t.Parallel()
	eachTLS(t, append([]uint16{0}, bothVersions...), func(t *testing.T, name string, opts Options) {
		s := Start(t, name, t.TempDir(), opts)
		if opts.TLS == Explicit {
			conn, lines := dial(t, s)
			if reply := ask(t, conn, lines, "USER "+s.User); reply[0] < '4' {
				t.Errorf("in the clear, USER: %s", reply)
			}
		}
		for _, version := range bothVersions {
			config := &tls.Config{RootCAs: s.Certs.CA, ServerName: "127.0.0.1", MinVersion: version, MaxVersion: version}
			conn, lines, err := secure(t, s, opts, config)
			if want := opts.TLSVersion == 0 || opts.TLSVersion == version; (err == nil) != want {
				t.Errorf("%s: %v, want it accepted: %v", tls.VersionName(version), err, want)
			}
			if err == nil {
				clearData(t, s, conn, lines)
			}
		}
	})
}

func TestTLSOverIPv6(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	for _, name := range Names() {
		opts := Options{IPv6: true, TLS: Implicit} // its greeting is read over TLS
		if !Can(name, opts) {
			opts.TLS = Explicit
		}
		t.Run(name, func(t *testing.T) {
			s := Start(t, name, t.TempDir(), opts)
			conn, lines, err := secure(t, s, opts, &tls.Config{RootCAs: s.Certs.CA, ServerName: "::1"})
			if err != nil {
				t.Fatal(err)
			}
			clearData(t, s, conn, lines)
		})
	}
}

// clearData logs in and checks that a listing without TLS is refused.
func clearData(t *testing.T, s *Server, conn net.Conn, lines *bufio.Scanner) {
	t.Helper()
	ask(t, conn, lines, "USER "+s.User)
	if reply := ask(t, conn, lines, "PASS "+s.Password); !strings.HasPrefix(reply, "230 ") {
		t.Fatalf("login: %s", reply)
	}
	for _, command := range []string{"PBSZ 0", "PROT C", "EPSV", "LIST"} {
		if reply := ask(t, conn, lines, command); reply[0] >= '4' {
			return
		}
	}
	t.Error("a listing without TLS was not refused")
}
