package server_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/server"
)

// tnftp runs commands that tnftp reads from its standard input. It continues after a failed command, so their
// results have to be checked.
func tnftp(d *desk, flags []string, commands ...string) string {
	d.t.Helper()
	args := append([]string{map[bool]string{false: "-p", true: "-A"}[d.active], "-n", "-v"}, flags...)
	password := d.user
	script := append([]string{"user " + d.user + " " + password, "binary", "prompt off"}, commands...)
	return d.do(d.program, strings.Join(script, "\n")+"\nbye\n", append(args, "-P", d.port, d.host)...)
}

// tnftpQuote quotes an argument of a tnftp command. Within its quotes a backslash is literal, so each special
// byte gets one instead.
func tnftpQuote(s string) string {
	return regexp.MustCompile(`[ -,:-@[-^{-~]`).ReplaceAllString(s, `\$0`)
}

func TestStockTnftp(t *testing.T) {
	parallel(t)
	c := &stockClient{program: "tnftp", ipv6: true, can: "get put reget reput ls nlst mlsd mkdir mv rm rmdir"}
	c.run = func(d *desk, steps ...step) string {
		d.t.Helper()
		var script []string
		for _, s := range steps {
			from, to := tnftpQuote(s.from), tnftpQuote(s.to)
			if s.do == "reput" { // it needs the offset
				script = append(script, fmt.Sprintf("restart %d", d.keptSize(s.to)))
			}
			script = append(script, map[string]string{
				"get": "get " + from + " " + to, "reget": "reget " + from + " " + to,
				"put": "put " + from + " " + to, "reput": "put " + from + " " + to,
				"ls": "ls " + from, "nlst": "nlist " + from, "mlsd": "mlsd " + from,
				"mkdir": "mkdir " + from, "mv": "rename " + from + " " + to, "rm": "delete " + from, "rmdir": "rmdir " + from,
			}[s.do])
		}
		return tnftp(d, []string{"-g"}, script...) // -g: names are not patterns
	}
	c.keepTime = func(d *desk, remote, local string) { tnftp(d, nil, "get "+remote+" "+local) }
	c.more = func(_ *testing.T, open func() *desk) {
		tnftpWays(open())
	}
	stockTest(t, c)
}

// keptSize returns how many bytes of an interrupted upload are kept.
func (d *desk) keptSize(path string) int64 {
	d.t.Helper()
	if files, ok := d.fsys.(server.UploadFs); ok {
		kept, _, _ := files.Kept(d.t.Context(), path, "rw")
		return kept
	}
	name := strings.TrimPrefix(path, d.path(""))
	fi, err := os.Stat(d.far(server.PartialName(name, "rw", nil, 0)))
	check(d.t, err)
	return fi.Size()
}

// tnftpWays are patterns and other ways to do the same with tnftp.
func tnftpWays(d *desk) {
	content := noise()[:100_000]
	for _, name := range []string{"a.x", "b b.x", "é.x", "c.y"} {
		d.file(d.far(name), []byte(name))
	}
	d.file(d.far("file"), content)
	check(d.t, os.Mkdir(d.local("in"), 0o755))
	out := tnftp(d, nil, "lcd in", "cd "+d.there, "mget *.x", "mdelete *.y", "mkdir sub", "cd sub", "mput *.x", "cdup", "pwd",
		"size file", "modtime file", "chmod 600 file", "mls file -", "mlst file", "remopts", "features", "rhelp", "rstatus", "status", "system", "umask", "idle",
		"append a.x file", "ls -la", "dir file", "site help")
	for _, name := range []string{"a.x", "b b.x", "é.x"} {
		d.holds("mget "+name, d.local("in/"+name), []byte(name))
		d.holds("mput "+name, d.far("sub/"+name), []byte(name))
	}
	d.gone("c.y")
	d.holds("append", d.far("file"), append(slices.Clone(content), "a.x"...))
	if fi, err := os.Stat(d.far("file")); err != nil || fi.Mode().Perm() != 0o600 {
		d.t.Errorf("chmod: %v %v", fi.Mode(), err)
	}
	for _, want := range []string{"Remote directory: " + d.there, "100000", " REST STREAM", "215 UNIX", "-rw-------"} {
		if !strings.Contains(out, want) {
			d.t.Errorf("no %q in:\n%s", want, out)
		}
	}
	tnftp(d, nil, "epsv4 off", "get "+d.path("file")+" plain", "lcd in", "cd "+d.path("sub"), "mdelete *", "cdup", "rmdir sub")
	d.same("epsv4 off", d.local("plain"), d.far("file"))
	d.gone("sub")

	at := time.Now().AddDate(0, 0, -40).Truncate(time.Second)
	check(d.t, os.Chtimes(d.far("file"), at, at))
	d.do(d.program, "", "-o", "by URL", map[bool]string{false: "-p", true: "-A"}[d.active], "ftp://rw:rw@"+strings.TrimPrefix(d.url(d.path("file")), "ftp://"))
	d.same("URL", d.local("by URL"), d.far("file"))
	d.do(d.program, "", "-u", "ftp://rw:rw@"+strings.TrimPrefix(d.url(d.path("up")), "ftp://"), "by URL")
	d.same("-u", d.local("by URL"), d.far("up"))
	tnftp(d, nil, "ascii", "get "+d.path("text")+" text")
}
