package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
)

// curl uses OpenSSL. It requests no tickets, so with TLS 1.2 it can resume only by session ID, which package
// tls does not support. In active mode under TLS, version 7.88 waits forever, with every server.
func curlTLS() *tlsClient {
	c := &tlsClient{program: "curl", resumes: "TLS 1.3", can: "put ls"}
	args := func(d *secureDesk, more ...string) []string {
		return append([]string{"-q", "-sS", "--globoff", "--ssl-reqd", "--cacert", d.s.certs.CAFile, "-u", "rw:rw"}, more...)
	}
	c.run = func(d *secureDesk, steps ...step) string {
		d.t.Helper()
		out := ""
		for _, s := range steps {
			switch s.do {
			case "get":
				out += d.do(d.program, "", args(d, "-o", s.to, d.secureURL(s.from))...)
			case "reget":
				out += d.do(d.program, "", args(d, "-C", "-", "-o", s.to, d.secureURL(s.from))...)
			case "put":
				out += d.do(d.program, "", args(d, "-T", s.from, d.secureURL(s.to))...)
			case "reput":
				out += d.do(d.program, "", args(d, "-C", "-", "-T", s.from, d.secureURL(s.to))...)
			case "ls":
				out += d.do(d.program, "", args(d, d.secureURL(s.from+"/"))...)
			}
		}
		return out
	}
	c.more = func(d *secureDesk) {
		// For files one after the other it may wait a second before each but the first, with every server.
		d.many(times(12, 30), func(names []string) {
			all := []string{"--parallel", "--parallel-max", "3"}
			for _, name := range names {
				all = append(all, "-T", name, d.secureURL(d.path("")))
			}
			d.do(d.program, "", args(d, all...)...)
		})
		d.killedUnderTLS(c, d.program, args(d, "-T", "-", d.secureURL(d.path("killed")))...)
	}
	return c
}

// lftpTLSArgs are the arguments for an lftp script. lftp uses GnuTLS.
func lftpTLSArgs(d *secureDesk, script ...string) []string {
	open := "open -u rw,rw ftp://"
	if d.implicit {
		open = "open -u rw,rw ftps://"
	}
	settings := []string{
		"set cmd:fail-exit yes", "set net:max-retries 1", "set net:timeout 50", "set xfer:clobber yes",
		"set ssl:ca-file " + d.s.certs.CAFile, "set ssl:verify-certificate yes", "set ftp:ssl-force yes", "set ftp:ssl-protect-data yes",
		"set ftp:ssl-protect-list yes", fmt.Sprintf("set ftp:passive-mode %v", !d.active), open + net.JoinHostPort(d.host, d.port),
	}
	return []string{"--norc", "-c", strings.Join(append(settings, script...), "\n")}
}

func lftpTLS() *tlsClient {
	c := &tlsClient{program: "lftp", active: true, resumes: "TLS 1.2, TLS 1.3", can: "put ls"}
	c.run = func(d *secureDesk, steps ...step) string {
		d.t.Helper()
		var script []string
		for _, s := range steps {
			from, to := lftpQuote(s.from), lftpQuote(s.to)
			script = append(script, map[string]string{
				"get": "get " + from + " -o " + to, "reget": "get -c " + from + " -o " + to,
				"put": "put " + from + " -o " + to, "reput": "put -c " + from + " -o " + to,
				"ls": "cls -l " + from + "/",
			}[s.do])
		}
		return d.do(d.program, "", lftpTLSArgs(d, script...)...)
	}
	c.more = func(d *secureDesk) {
		d.many(times(12, 30), func(names []string) {
			d.do(d.program, "", lftpTLSArgs(d, "mput -O "+d.path("")+" "+strings.Join(names, " "))...)
		})
		d.file(d.local("tree/a/b"), noise()[:300_000])
		d.file(d.local("tree/漢字"), noise()[:3])
		d.do(d.program, "", lftpTLSArgs(d, "mirror -R tree "+d.path("copy"), "mirror -P 3 "+d.path("copy")+" back", "pget -n 3 "+d.path("copy/a/b")+" -o parts")...)
		d.sameTree("mirror -R", d.local("tree"), d.far("copy"))
		d.sameTree("mirror", d.local("back"), d.far("copy"))
		d.same("pget", d.local("parts"), d.far("copy/a/b")) // it ends its parts by closing the connection early
		d.killedUnderTLS(c, d.program, lftpTLSArgs(d, "put /dev/stdin -o "+d.path("killed"))...)
	}
	return c
}

// ftplibLogin replaces the login of ftplibSteps. It logs in under TLS with Python's FTP_TLS as it is, or with
// data connections that resume its session.
const ftplibLogin = `
import socket, ssl
class Resuming(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        return self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session), size
f = %s(context=ssl.create_default_context(cafile=%q), timeout=50)
if %s:
    f.host = host
    f.sock = f.context.wrap_socket(socket.create_connection((host, int(port)), 50), server_hostname=host)
    f.af = f.sock.family
    f.file = f.sock.makefile("r", encoding="utf-8")
    f.welcome = f.getresp()
else:
    f.connect(host, int(port))
f.login(user, user)
f.prot_p()
`

const ftplibClearLogin = `
f = ftplib.FTP(timeout=50)
f.connect(host, int(port))
f.login(user, user)
`

// ftplibTLS is Python's ftplib, which uses OpenSSL.
func ftplibTLS(resumes bool) *tlsClient {
	c := &tlsClient{program: "python3", active: true, can: "put ls"}
	class := "ftplib.FTP_TLS"
	if c.brief = !resumes; resumes {
		class, c.resumes = "Resuming", "TLS 1.2, TLS 1.3"
	}
	args := func(d *secureDesk, steps ...step) []string {
		d.t.Helper()
		list := make([][3]string, len(steps))
		for i, s := range steps {
			list[i] = [3]string{s.do, s.from, s.to}
		}
		b, err := json.Marshal(list)
		check(d.t, err)
		implicit := map[bool]string{false: "False", true: "True"}[d.implicit]
		script := strings.Replace(ftplibSteps, ftplibClearLogin, fmt.Sprintf(ftplibLogin, class, d.s.certs.CAFile, implicit), 1)
		if script == ftplibSteps {
			d.t.Fatal("the login of ftplibSteps has changed")
		}
		active := map[bool]string{true: "true"}[d.active]
		return []string{"-c", script, d.host, d.port, "rw", active, string(b)}
	}
	c.run = func(d *secureDesk, steps ...step) string {
		d.t.Helper()
		return d.do(d.program, "", args(d, steps...)...)
	}
	c.more = func(d *secureDesk) {
		d.many(times(12, 30), func(names []string) {
			var steps []step
			for _, name := range names {
				steps = append(steps, step{"put", name, d.path(name)}, step{"get", d.path(name), "back"})
			}
			c.run(d, steps...)
		})
		d.killedUnderTLS(c, d.program, args(d, step{"stdin", "", d.path("killed")})...)
	}
	return c
}

// wgetTLS only downloads. wget uses GnuTLS.
func wgetTLS() *tlsClient {
	c := &tlsClient{program: "wget", active: true, resumes: "TLS 1.2, TLS 1.3", can: "ls"}
	run := func(d *secureDesk, args ...string) string {
		d.t.Helper()
		all := []string{"-nv", "--no-config", "--tries=1", "--timeout=50", "--ca-certificate=" + d.s.certs.CAFile, "--user=rw", "--password=rw"}
		if d.implicit {
			all = append(all, "--ftps-implicit")
		}
		if d.active {
			all = append(all, "--no-passive-ftp")
		}
		return d.do(d.program, "", append(all, args...)...)
	}
	url := func(d *secureDesk, path string) string { return strings.Replace(d.url(path), "ftp://", "ftps://", 1) }
	c.run = func(d *secureDesk, steps ...step) string {
		d.t.Helper()
		out := ""
		for _, s := range steps {
			switch s.do {
			case "get":
				out += run(d, "-O", s.to, url(d, s.from))
			case "reget":
				out += run(d, "-c", "-O", s.to, url(d, s.from))
			case "ls":
				out += run(d, "--no-remove-listing", "-O", "index", url(d, s.from+"/"))
				out += d.do("cat", "", "index", ".listing")
			}
		}
		return out
	}
	c.more = func(d *secureDesk) {
		for i := range 6 {
			d.file(d.far(fmt.Sprintf("tree/%d/file", i)), noise()[i:i+i*1000])
		}
		run(d, "-r", "-l", "9", "-nH", "--cut-dirs=1", "--no-parent", url(d, d.path("tree/")))
		d.sameTree("wget -r", d.local("tree"), d.far("tree"))
	}
	return c
}

// Each client does its list of work. Its data connections resume the session if it supports that.
func TestTLSCurl(t *testing.T) {
	parallel(t)
	testTLS(t, dtp.ReusePrefer, map[string]*tlsClient{"stock": curlTLS()})
}

func TestTLSLftp(t *testing.T) {
	parallel(t)
	testTLS(t, dtp.ReusePrefer, map[string]*tlsClient{"stock": lftpTLS()})
}

func TestTLSWget(t *testing.T) {
	parallel(t)
	testTLS(t, dtp.ReusePrefer, map[string]*tlsClient{"stock": wgetTLS()})
}

func TestTLSFtplib(t *testing.T) {
	parallel(t)
	testTLS(t, dtp.ReusePrefer, map[string]*tlsClient{"resuming": ftplibTLS(true), "plain": ftplibTLS(false)})
}

// With sessions off nothing resumes, and everything works.
func TestTLSWithoutReuse(t *testing.T) {
	parallel(t)
	clients := map[string]*tlsClient{"curl": curlTLS(), "lftp": lftpTLS(), "wget": wgetTLS(), "ftplib": ftplibTLS(true)}
	for _, c := range clients {
		c.resumes, c.more, c.active, c.brief = "", nil, false, true
	}
	testTLS(t, dtp.ReuseOff, clients)
}

// If data connections must resume, the clients that do so are still served.
func TestTLSWithReuseRequired(t *testing.T) {
	parallel(t)
	clients := map[string]*tlsClient{"lftp": lftpTLS(), "wget": wgetTLS(), "ftplib": ftplibTLS(true)}
	for _, c := range clients {
		c.more, c.brief = nil, true
	}
	testTLS(t, dtp.ReuseRequire, clients)
}

// ftplibAborts aborts uploads and downloads with ABOR, in both modes; the next transfer must be whole.
const ftplibAborts = `
import ftplib, hashlib, io, ssl, sys
host, port, ca, there, want = sys.argv[1:]
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=50)
f.connect(host, int(port))
f.login("rw", "rw")
f.prot_p()
f.voidcmd("TYPE I")
for active in (False, True):
    f.set_pasv(not active)
    for verb in ("RETR " + there + "big", "STOR " + there + "made"):
        for moved in (0, 1, 100000):
            conn = f.transfercmd(verb)
            if verb.startswith("RETR"):
                while moved > 0:
                    moved -= len(conn.recv(8192))
            else:
                conn.sendall(b"x" * moved)
            got = f.abort()
            assert got.startswith("426"), got
            got = f.getresp()
            assert got.startswith("226"), got
            conn.close()
    h = hashlib.sha256()
    f.retrbinary("RETR " + there + "big", h.update)
    assert h.hexdigest() == want
    f.storbinary("STOR " + there + "whole", io.BytesIO(b"whole"))
f.quit()
`

func TestTLSFtplibAborts(t *testing.T) {
	parallel(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		s := newSecureStock(t, version, dtp.ReusePrefer)
		d := s.open(t, peers.Client(t, "python3"), false, false)
		d.file(d.far("big"), noise()[:20<<20])
		want, err := hashFile(d.far("big"))
		check(t, err)
		d.do(d.program, "", "-c", ftplibAborts, d.host, d.port, s.certs.CAFile, d.path(""), fmt.Sprintf("%x", want))
		d.gone("made")
		d.holds("the next upload", d.far("whole"), []byte("whole"))
	})
}
