package server_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
)

// lftpQuote quotes an argument of an lftp command, whatever is in it.
func lftpQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// lftpRun runs an lftp script. A command that fails ends the script and fails the test.
func lftpRun(d *desk, script ...string) string {
	d.t.Helper()
	open := "open "
	if d.user != "anonymous" {
		open += "-u " + d.user + "," + d.user + " "
	}
	settings := []string{
		"set cmd:fail-exit yes", "set net:max-retries 1", "set net:timeout 50", "set ftp:ssl-allow no", "set xfer:clobber yes",
		fmt.Sprintf("set ftp:passive-mode %v", !d.active), open + "ftp://" + net.JoinHostPort(d.host, d.port),
	}
	return d.do(d.program, "", "--norc", "-c", strings.Join(append(settings, script...), "\n"))
}

func TestStockLftp(t *testing.T) {
	parallel(t)
	c := &stockClient{program: "lftp", ipv6: true, can: "get put reget reput ls nlst mlsd mkdir mv rm rmdir"}
	c.run = func(d *desk, steps ...step) string {
		d.t.Helper()
		var script []string
		for _, s := range steps {
			from, to := lftpQuote(s.from), lftpQuote(s.to)
			script = append(script, map[string]string{
				"get":   "get " + from + " -o " + to,
				"reget": "get -c " + from + " -o " + to,
				"put":   "put " + from + " -o " + to,
				"reput": "put -c " + from + " -o " + to,
				"ls":    "set ftp:use-mlsd off; cls -l " + from + "/",
				"nlst":  "nlist " + from,
				"mlsd":  "set ftp:use-mlsd on; cls -l " + from + "/",
				"mkdir": "mkdir " + from,
				"mv":    "mv " + from + " " + to,
				"rm":    "rm " + from,
				"rmdir": "rmdir " + from,
			}[s.do])
		}
		return lftpRun(d, script...)
	}
	c.keepTime = func(d *desk, remote, local string) {
		lftpRun(d, "get "+lftpQuote(remote)+" -o "+lftpQuote(local))
	}
	c.more = func(_ *testing.T, open func() *desk) {
		d := open()
		c.killed(d, d.program, "--norc", "-c", fmt.Sprintf("set ftp:passive-mode %v; open -u rw,rw ftp://%s; put /dev/stdin -o %s",
			!d.active, net.JoinHostPort(d.host, d.port), d.path("killed")))
		lftpWays(open())
		lftpGlobs(open())
		for _, settings := range [][]string{
			nil,
			{"set ftp:sync-mode off"}, // commands are sent ahead of the replies
			{"set ftp:sync-mode off", "set mirror:parallel-transfer-count 3", "set net:connection-limit 4"},
			{"set ftp:sync-mode off", "set ftp:use-mlsd off", "set ftp:use-feat off", "set ftp:use-size off", "set ftp:use-mdtm off"},
		} {
			lftpMirror(open(), settings...)
		}
	}
	stockTest(t, c)
}

// lftpWays are other ways to do the same with lftp.
func lftpWays(d *desk) {
	d.file(d.far("file"), noise()[:3<<20])
	d.file(d.local("up"), noise()[:70_000])
	lftpRun(d, "set ftp:prefer-epsv on", "cd "+d.there, "get file -o epsv")
	d.same("prefer-epsv", d.local("epsv"), d.far("file"))
	lftpRun(d, "set net:connection-limit 4", "cd "+d.there, "pget -n 3 file -o parts")
	d.same("pget", d.local("parts"), d.far("file"))
	at := time.Now().AddDate(0, -2, 0).Truncate(time.Second)
	check(d.t, os.Chtimes(d.local("up"), at, at))
	lftpRun(d, "cd "+d.there, "put up", "chmod 640 up")
	if fi, err := os.Stat(d.far("up")); err != nil || !fi.ModTime().Equal(at) || fi.Mode().Perm() != 0o640 {
		d.t.Errorf("put and chmod: %v %v, want %v: %v", fi.Mode(), fi.ModTime(), at, err)
	}
	out := lftpRun(d, "cd "+d.there, "cat up | wc -c", "du -a", "find", "pwd", "quote NOOP", "site help", "ls -la", "rels", "recls")
	for _, want := range []string{"70000\n", "./up\n", "rw:rw@", "200 "} {
		if !strings.Contains(out, want) {
			d.t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if out, err := d.try(d.program, "", "--norc", "-c", "open -u rw,rw "+d.url("/")+"; set cmd:fail-exit yes; get "+d.path("missing")); err == nil {
		d.t.Errorf("a missing file: %s", out)
	}
}

// lftpGlobs transfers and removes files by pattern.
func lftpGlobs(d *desk) {
	for _, name := range []string{"a.x", "b b.x", "é.x", "c.y"} {
		d.file(d.far(name), []byte(name))
	}
	check(d.t, os.Mkdir(d.local("in"), 0o755))
	lftpRun(d, "lcd in", "cd "+d.there, "mget *.x", "glob -a rm *.y", "mkdir sub", "mmv *.x sub/")
	for _, name := range []string{"a.x", "b b.x", "é.x"} {
		d.holds("mget "+name, d.local("in/"+name), []byte(name))
		d.holds("mmv "+name, d.far("sub/"+name), []byte(name))
	}
	d.gone("a.x", "b b.x", "c.y")
	lftpRun(d, "lcd in", "cd "+d.there, "mput *.x", "mrm sub/*", "rmdir sub", "rm -r -f sub")
	d.holds("mput", d.far("é.x"), []byte("é.x"))
	d.gone("sub")
}

// lftpMirror copies a tree to the server and back, and then makes the two equal again.
func lftpMirror(d *desk, settings ...string) {
	for i := range 20 {
		d.file(d.local(fmt.Sprintf("tree/many/%d", i)), []byte(fmt.Sprint("the ", i)))
	}
	for _, name := range stockNames {
		d.file(d.local("tree/odd names/"+name), []byte(name))
	}
	d.file(d.local("tree/a/b/c/deep"), noise()[:300_000])
	check(d.t, os.MkdirAll(d.local("tree/empty dir"), 0o755))
	script := func(commands ...string) []string { return append(slices.Clone(settings), commands...) }
	lftpRun(d, script("mirror -R tree "+d.path("copy"))...)
	d.sameTree("mirror -R", d.local("tree"), d.far("copy"))
	lftpRun(d, script("mirror "+d.path("copy")+" back")...)
	d.sameTree("mirror", d.local("back"), d.far("copy"))

	d.file(d.local("tree/odd names/plain"), []byte("another, longer content"))
	check(d.t, os.RemoveAll(d.local("tree/many")))
	lftpRun(d, script("mirror -R --delete tree "+d.path("copy"))...)
	d.sameTree("mirror -R --delete", d.local("tree"), d.far("copy"))
	before := d.count()
	lftpRun(d, script("mirror -R --delete tree "+d.path("copy"))...)
	if n := d.count() - before; n != 0 {
		d.t.Errorf("%q: the second mirror sent %d files again", settings, n)
	}
	lftpRun(d, script("rm -r "+d.path("copy"))...)
	d.gone("copy")
}

// count returns the number of uploads to this desk.
func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, done := range d.done {
		if done.Direction == ftp.Store && strings.HasPrefix(done.Path, d.path("")) {
			n++
		}
	}
	return n
}

// sameTree checks that two host directories contain the same files and directories.
func (d *desk) sameTree(what, a, b string) {
	d.t.Helper()
	if one, two := hostTree(d.t, a), hostTree(d.t, b); !slices.Equal(one, two) {
		d.t.Errorf("%s:\n%q\n%q", what, one, two)
	}
}

// hostTree returns the contents of a host directory, with a hash of each file.
func hostTree(t testing.TB, dir string) (all []string) {
	t.Helper()
	check(t, filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		entry := strings.TrimPrefix(p, dir)
		if !fi.IsDir() {
			sum, err := hashFile(p)
			if err != nil {
				return err
			}
			entry += fmt.Sprintf(" %x", sum[:4])
		}
		all = append(all, entry)
		return nil
	}))
	return all
}
