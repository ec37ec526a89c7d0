package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
)

// ftplibRefused expects the server to refuse what a step of FTP_TLS does, in its clear and its protected form.
// The session must continue after each.
const ftplibRefused = `
import ftplib, io, ssl, sys
host, port, ca, step, want = sys.argv[1:]

def code(verb, body=None):
    try:
        conn = f.transfercmd(verb)
        try:
            if body:
                conn.sendall(body)
                conn.unwrap()
            while conn.recv(4096):
                pass
        finally:
            conn.close()
    except ftplib.Error as e:
        return str(e)[:3]
    except OSError:
        pass # the reply says why
    return f.getmultiline()[:3]

if step == "clear login":
    f = ftplib.FTP(timeout=50)
    f.connect(host, int(port))
    try:
        got = [f.login("rw", "rw")[:3]]
    except ftplib.error_perm as e:
        got = [str(e)[:3]]
    f.sendcmd("NOOP")
else:
    f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=50)
    f.connect(host, int(port))
    f.login("rw", "rw")
    if step == "not resumed":
        f.prot_p()
    f.voidcmd("TYPE I")
    got = []
    for active in (False, True):
        f.set_pasv(not active)
        got += [code("RETR there"), code("STOR made", b"x" * 100000), code("NLST")]
    f.pwd()
assert got == [want] * len(got), got
f.quit()
`

func TestTLSFtplibRefused(t *testing.T) {
	parallel(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		s := newSecureStock(t, version, dtp.ReuseRequire)
		for step, want := range map[string]string{"clear login": "530", "clear data": "521", "not resumed": "522"} {
			t.Run(step, func(t *testing.T) {
				t.Parallel()
				d := s.open(t, peers.Client(t, "python3"), false, false)
				d.file(s.dir+"/there", []byte("content"))
				d.do(d.program, "", "-c", ftplibRefused, d.host, d.port, s.certs.CAFile, step, want)
			})
		}
		t.Cleanup(func() {
			left, err := os.ReadDir(s.dir)
			check(t, err)
			for _, e := range left {
				if strings.Contains(e.Name(), "made") {
					t.Errorf("%s was stored", e.Name())
				}
			}
		})
	})
}

// What clients do without TLS, or without resuming a required session, is refused, and nothing of it arrives.
func TestTLSRefusesClients(t *testing.T) {
	parallel(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		s := newSecureStock(t, version, dtp.ReuseRequire)
		refused := func(name, program string, args func(d *secureDesk) []string, reply string) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := s.open(t, peers.Client(t, program), false, false)
				d.file(d.local("up"), []byte("content"))
				d.file(d.far("there"), []byte("content"))
				out, err := d.try(d.program, "", args(d)...)
				if err == nil || !strings.Contains(out, reply) {
					t.Errorf("%s succeeds, or does not say %s: %v\n%s", program, reply, err, out)
				}
				if left := hostTree(t, d.far("")); len(left) != 2 { // there and its directory
					t.Errorf("the server has %q", left)
				}
				if b, err := os.ReadFile(d.local("got")); err == nil && len(b) > 0 {
					t.Errorf("%q was received", b)
				}
			})
		}
		lftp := func(d *secureDesk, settings ...string) []string {
			args := lftpTLSArgs(d, append(settings, "put up -o "+d.path("up"))...)
			return append([]string{"-d"}, args...)
		}
		wget := func(d *secureDesk, args ...string) []string {
			return append(args, "-v", "--no-config", "--tries=1", "--ca-certificate="+s.certs.CAFile, "--user=rw", "--password=rw", "-S", "-O", "got")
		}
		refused("curl clear", "curl", func(d *secureDesk) []string {
			return []string{"-q", "-sS", "-v", "-u", "rw:rw", "-T", "up", d.url(d.path("up"))}
		}, "< 530 ")
		refused("lftp clear", "lftp", func(d *secureDesk) []string { return lftp(d, "set ftp:ssl-force no", "set ftp:ssl-allow no") }, "530")
		refused("lftp clear data", "lftp", func(d *secureDesk) []string { return lftp(d, "set ftp:ssl-protect-data no") }, "534")
		refused("wget clear", "wget", func(d *secureDesk) []string { return wget(d, d.url(d.path("there"))) }, "530")
		refused("wget clear data", "wget", func(d *secureDesk) []string {
			return wget(d, "--ftps-clear-data-connection", strings.Replace(d.url(d.path("there")), "ftp:", "ftps:", 1))
		}, "534")
		refused("wget not resumed", "wget", func(d *secureDesk) []string {
			return wget(d, "--no-ftps-resume-ssl", strings.Replace(d.url(d.path("there")), "ftp:", "ftps:", 1))
		}, "522")
		if version == tls.VersionTLS12 { // see curlTLS
			refused("curl not resumed", "curl", func(d *secureDesk) []string {
				return []string{"-q", "-sS", "-v", "--ssl-reqd", "--cacert", s.certs.CAFile, "-u", "rw:rw", "-T", "up", d.url(d.path("up"))}
			}, "< 522 ")
		}
	})
}

// speak runs a program that talks to the server through its standard input, and ends it after the word.
func (d *secureDesk) speak(program, input, until string, args ...string) (string, error) {
	d.t.Helper()
	cmd, cancel := d.command(program, args...)
	defer cancel()
	stdin, err := cmd.StdinPipe()
	check(d.t, err)
	out := &lines{}
	cmd.Stdout, cmd.Stderr = out, out
	check(d.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	_, _ = io.WriteString(stdin, input)
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			return out.String(), err
		case <-again.C:
			if strings.Contains(out.String(), until) {
				_ = stdin.Close()
			}
		}
	}
}

// The TLS clients of OpenSSL and GnuTLS can log in, with explicit and implicit TLS. They are refused old
// versions, another protocol's name, and a renegotiation (CVE-2009-3555, CVE-2011-1473).
func TestTLSPlainClients(t *testing.T) {
	parallel(t)
	openssl, gnutls := peers.Client(t, "openssl"), peers.Client(t, "gnutls-cli")
	eachVersion(t, func(t *testing.T, version uint16) {
		s := newSecureStock(t, version, dtp.ReusePrefer)
		const login, ok = "USER rw\r\nPASS rw\r\nPWD\r\nQUIT\r\n", "257 \"/\""
		for _, implicit := range []bool{false, true} {
			d := s.open(t, openssl, implicit, false)
			sClient := func(more ...string) []string {
				args := []string{"s_client", "-quiet", "-CAfile", s.certs.CAFile, "-verify_return_error", "-connect", net.JoinHostPort(d.host, d.port)}
				if !implicit {
					args = append(args, "-starttls", "ftp")
				}
				return append(args, more...)
			}
			for _, alpn := range [][]string{nil, {"-alpn", "ftp"}, {"-alpn", "ftp,http/1.1"}} {
				if out, err := d.speak(openssl, login, "221 ", sClient(alpn...)...); err != nil || !strings.Contains(out, ok) {
					t.Errorf("openssl %q: %v\n%s", alpn, err, out)
				}
			}
			for _, no := range [][]string{{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, {"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, {"-alpn", "http/1.1"}, {"-no_tls1_2", "-no_tls1_3"}} {
				if out, err := d.speak(openssl, login, "221 ", sClient(no...)...); err == nil || strings.Contains(out, ok) {
					t.Errorf("openssl %q is accepted: %v\n%s", no, err, out)
				}
			}
			gnutlsArgs := []string{"--x509cafile=" + s.certs.CAFile, "--port=" + d.port, d.host}
			if !implicit {
				gnutlsArgs = slices.Insert(gnutlsArgs, 0, "--starttls-proto=ftp")
			}
			if out, err := d.speak(gnutls, login, "221 ", gnutlsArgs...); err != nil || !strings.Contains(out, ok) {
				t.Errorf("gnutls-cli: %v\n%s", err, out)
			}
			if version == tls.VersionTLS12 && !implicit { // otherwise openssl may fail at the greeting first
				args := slices.DeleteFunc(sClient(), func(s string) bool { return s == "-quiet" }) // without -quiet it treats R as a command
				out, err := d.speak(openssl, "R\n", "never", args...)
				if err == nil || !strings.Contains(out, "RENEGOTIATING") || !strings.Contains(out, "alert unexpected message") {
					t.Errorf("openssl renegotiates: %v\n%s", err, out)
				}
			}
		}
		c := s.connect(t).secure(&tls.Config{RootCAs: s.certs.CA, ServerName: "localhost"}) // others are served
		c.cmd("FEAT", 211)
	})
}
