package server_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"miniftp/ftp/internal/peers"
)

// ncftp runs one of NcFTP's programs; -d makes it print the dialogue.
func ncftp(d *desk, program string, args ...string) string {
	d.t.Helper()
	all := []string{map[bool]string{false: "-F", true: "-E"}[d.active], "-P", d.port, "-r", "0", "-t", "50"}
	if d.user != "anonymous" {
		all = append(all, "-u", d.user, "-p", d.user)
	}
	return d.do(peers.Client(d.t, program), "", append(all, args...)...)
}

func TestStockNcftp(t *testing.T) {
	parallel(t)
	c := &stockClient{program: "ncftpget", can: "get put reget reput ls nlst mlsd mkdir mv rm rmdir"}
	c.run = func(d *desk, steps ...step) string {
		d.t.Helper()
		out := ""
		for _, s := range steps {
			switch url := "ftp://" + d.host + s.from + "/"; s.do {
			case "get":
				out += ncftp(d, "ncftpget", "-Z", "-C", d.host, s.from, s.to)
			case "reget":
				out += ncftp(d, "ncftpget", "-z", d.host, path.Dir(s.to), s.from)
			case "put":
				out += ncftp(d, "ncftpput", "-C", d.host, s.from, s.to)
			case "reput":
				// -s: with sendfile it sends the file from its start, in spite of its REST.
				out += ncftp(d, "ncftpput", "-z", "-s", d.host, path.Dir(s.to), s.from)
			case "ls":
				out += ncftp(d, "ncftpls", "-l", url)
			case "nlst":
				out += ncftp(d, "ncftpls", "-1", url)
			case "mlsd":
				out += ncftp(d, "ncftpls", "-m", url)
			case "mkdir":
				out += ncftp(d, "ncftpls", "-W", "MKD "+s.from, "ftp://"+d.host+"/")
			case "mv":
				out += ncftp(d, "ncftpls", "-W", "RNFR "+s.from, "-W", "RNTO "+s.to, "ftp://"+d.host+"/")
			case "rm":
				out += ncftp(d, "ncftpls", "-W", "DELE "+s.from, "ftp://"+d.host+"/")
			case "rmdir":
				out += ncftp(d, "ncftpls", "-W", "RMD "+s.from, "ftp://"+d.host+"/")
			}
		}
		return out
	}
	c.keepTime = func(d *desk, remote, local string) { ncftp(d, "ncftpget", d.host, ".", remote) }
	c.more = func(_ *testing.T, open func() *desk) {
		d := open()
		args := []string{map[bool]string{false: "-F", true: "-E"}[d.active], "-P", d.port, "-r", "0", "-u", "rw", "-p", "rw", "-c", d.host, d.path("killed")}
		c.killed(d, peers.Client(d.t, "ncftpput"), args...)
		ncftpTrees(open())
	}
	stockTest(t, c)
}

// ncftpTrees transfers trees and the matches of a pattern.
func ncftpTrees(d *desk) {
	for _, name := range []string{"a.x", "b b.x", "é.x", "c.y"} {
		d.file(d.far("there/"+name), []byte(name))
	}
	d.file(d.far("there/sub/deep/file"), noise()[:300_000])
	d.file(d.far("there/sub/漢字"), []byte("x"))
	ncftp(d, "ncftpget", "-R", d.host, ".", d.path("there"))
	d.sameTree("ncftpget -R", d.local("there"), d.far("there"))
	ncftp(d, "ncftpget", d.host, ".", d.path("there/*.x"))
	for _, name := range []string{"a.x", "b b.x", "é.x"} {
		d.holds("ncftpget *.x", d.local(name), []byte(name))
	}
	ncftp(d, "ncftpput", "-R", "-m", d.host, d.path("put/here"), "there")
	d.sameTree("ncftpput -R", d.local("there"), d.far("put/here/there"))
	ncftp(d, "ncftpput", "-A", d.host, d.path("put"), "a.x")
	ncftp(d, "ncftpput", "-A", d.host, d.path("put"), "a.x")
	d.holds("ncftpput -A", d.far("put/a.x"), []byte("a.xa.x"))
	ncftp(d, "ncftpput", "-S", ".part", "-y", d.host, d.path("put"), "b b.x")
	d.holds("ncftpput -S", d.far("put/b b.x"), []byte("b b.x"))
	ncftp(d, "ncftpget", "-DD", d.host, ".", d.path("put/a.x"))
	d.gone("put/a.x")
	for _, flags := range [][]string{{"-R"}, {"-g"}, {"-a", "-l"}, {"-i", "*.x"}, {"-x", "lt"}} {
		out := ncftp(d, "ncftpls", append(slices.Clone(flags), d.url(d.path("there/")))...)
		if !strings.Contains(out, "é.x") {
			d.t.Errorf("ncftpls %q:\n%s", flags, out)
		}
	}
}
