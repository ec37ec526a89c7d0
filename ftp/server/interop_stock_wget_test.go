package server_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

func wget(d *desk, args ...string) string {
	d.t.Helper()
	all := []string{"-nv", "--no-config", "--tries=1", "--timeout=50"}
	if d.active {
		all = append(all, "--no-passive-ftp")
	}
	if d.user != "anonymous" {
		all = append(all, "--user="+d.user, "--password="+d.user)
	}
	return d.do(d.program, "", append(all, args...)...)
}

func TestStockWget(t *testing.T) {
	parallel(t)
	c := &stockClient{program: "wget", ipv6: true, can: "get reget"}
	c.run = func(d *desk, steps ...step) string {
		d.t.Helper()
		out := ""
		for _, s := range steps {
			if s.do == "reget" {
				out += wget(d, "-c", "-O", s.to, d.url(s.from))
			} else {
				out += wget(d, "-O", s.to, d.url(s.from))
			}
		}
		return out
	}
	c.keepTime = func(d *desk, remote, _ string) { wget(d, "-N", d.url(remote)) }
	c.more = func(_ *testing.T, open func() *desk) { wgetTree(open()) }
	stockTest(t, c)
}

// wgetTree fetches a tree, by its links, and by a pattern.
func wgetTree(d *desk) {
	for _, name := range stockNames {
		if name == " leading" || name == "per%41cent" {
			continue // wget trims the names of a listing, and unescapes them for the local file
		}
		d.file(d.far("tree/odd names/"+name), []byte(name))
	}
	d.file(d.far("tree/a/b/c/deep"), noise()[:300_000])
	d.file(d.far("tree/one.x"), []byte("one"))
	d.file(d.far("tree/two.x"), []byte("two"))
	d.file(d.far("tree/three.y"), []byte("three"))
	check(d.t, os.Symlink("three.y", d.far("tree/link")))
	at := time.Now().AddDate(0, -1, 0).Truncate(time.Minute)
	check(d.t, os.Chtimes(d.far("tree/one.x"), at, at))

	wget(d, "-r", "-l", "9", "-nH", "--cut-dirs=1", "--no-parent", "--restrict-file-names=nocontrol", d.url(d.path("tree/")))
	d.sameTree("wget -r", d.local("tree"), d.far("tree"))
	if fi, err := os.Stat(d.local("tree/one.x")); err != nil || !fi.ModTime().Equal(at) {
		d.t.Errorf("wget -r: %v, want the time %v: %v", fi, at, err)
	}
	wget(d, "-P", "glob", "ftp://"+strings.TrimPrefix(d.url(d.path("tree/")), "ftp://")+"*.x")
	d.holds("glob", d.local("glob/one.x"), []byte("one"))
	d.holds("glob", d.local("glob/two.x"), []byte("two"))
	if _, err := os.Stat(d.local("glob/three.y")); err == nil {
		d.t.Error("wget *.x has fetched three.y")
	}
	if out := wget(d, "-N", "-r", "-nH", "--cut-dirs=1", "--no-parent", d.url(d.path("tree/a/"))); strings.Contains(out, "deep") && !strings.Contains(out, "not retrieving") {
		d.t.Errorf("wget -N fetched it again:\n%s", out)
	}
	if out, err := d.try(d.program, "", "-nv", "--no-config", "--tries=1", d.url(d.path("missing"))); err == nil {
		d.t.Errorf("a missing file: %s", out)
	}
}
