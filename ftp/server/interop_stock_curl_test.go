package server_test

import (
	"slices"
	"testing"
)

func TestStockCurl(t *testing.T) {
	parallel(t)
	c := &stockClient{program: "curl", ipv6: true, can: "get put reget reput ls nlst mlsd mkdir mv rm rmdir"}
	args := func(d *desk, more ...string) []string {
		list := []string{"-q", "-sS", "--globoff"}
		if d.user != "anonymous" {
			list = append(list, "-u", d.user+":"+d.user)
		}
		if d.active {
			list = append(list, "-P", "-")
		}
		return append(list, more...)
	}
	curl := func(d *desk, more ...string) string { d.t.Helper(); return d.do(d.program, "", args(d, more...)...) }
	c.run = func(d *desk, steps ...step) string {
		d.t.Helper()
		out := ""
		for _, s := range steps {
			switch s.do {
			case "get":
				out += curl(d, "-o", s.to, d.url(s.from))
			case "reget":
				out += curl(d, "-C", "-", "-o", s.to, d.url(s.from))
			case "put":
				out += curl(d, "-T", s.from, d.url(s.to))
			case "reput":
				out += curl(d, "-C", "-", "-T", s.from, d.url(s.to))
			case "ls":
				out += curl(d, d.url(s.from+"/"))
			case "nlst":
				out += curl(d, "-l", d.url(s.from+"/"))
			case "mlsd":
				out += curl(d, "-X", "MLSD", d.url(s.from+"/"))
			case "mkdir":
				out += curl(d, "-I", "-Q", "MKD "+s.from, d.url("/"))
			case "mv":
				out += curl(d, "-I", "-Q", "RNFR "+s.from, "-Q", "RNTO "+s.to, d.url("/"))
			case "rm":
				out += curl(d, "-I", "-Q", "DELE "+s.from, d.url("/"))
			case "rmdir":
				out += curl(d, "-I", "-Q", "RMD "+s.from, d.url("/"))
			}
		}
		return out
	}
	c.keepTime = func(d *desk, remote, local string) { curl(d, "-R", "-o", local, d.url(remote)) }
	c.more = func(_ *testing.T, open func() *desk) {
		d := open()
		c.killed(d, d.program, args(d, "-T", "-", d.url(d.path("killed")))...)
		curlWays(open(), curl)
	}
	stockTest(t, c)
}

// curlWays are other ways to do the same with curl.
func curlWays(d *desk, curl func(*desk, ...string) string) {
	content := noise()[:100_000]
	d.file(d.far("deep/er/file"), content)
	ways := [][]string{
		{"--ftp-method", "multicwd"},
		{"--ftp-method", "singlecwd"},
		{"--ftp-method", "nocwd"},
		{"--ftp-skip-pasv-ip"},
		{"--no-ftp-skip-pasv-ip"},
	}
	if d.host == "127.0.0.1" {
		ways = append(ways, []string{"--disable-epsv", "--disable-eprt"}) // PASV and PORT
	}
	for _, way := range ways {
		curl(d, append(slices.Clone(way), "-o", "got", d.url(d.path("deep/er/file")))...)
		d.same("curl "+way[0], d.local("got"), d.far("deep/er/file"))
		curl(d, append(slices.Clone(way), "-T", "got", d.url(d.path("put")))...)
		d.same("curl -T "+way[0], d.local("got"), d.far("put"))
	}
	if got := curl(d, "-r", "1000-1999", d.url(d.path("put"))); got != string(content[1000:2000]) {
		d.t.Errorf("-r fetched %d bytes", len(got))
	}
	if got := curl(d, "-r", "-10", d.url(d.path("put"))); got != string(content[len(content)-10:]) {
		d.t.Errorf("-r -10 fetched %d bytes", len(got))
	}
	curl(d, "--ftp-create-dirs", "-T", "got", d.url(d.path("made/by/curl/file")))
	d.same("--ftp-create-dirs", d.local("got"), d.far("made/by/curl/file"))
	curl(d, "-a", "-T", "got", d.url(d.path("put"))) // APPE
	d.holds("-a", d.far("put"), append(slices.Clone(content), content...))
	d.file(d.far("text"), []byte("one\ntwo\n"))
	if got := curl(d, "-B", d.url(d.path("text"))); got != "one\r\ntwo\r\n" && got != "one\ntwo\n" {
		d.t.Errorf("-B fetched %q", got)
	}
	// Several files over one control connection, in each direction.
	curl(d, "-o", "first", d.url(d.path("text")), "-o", "second", d.url(d.path("deep/er/file")), "-o", "third", d.url(d.path("text")))
	d.same("second of three", d.local("second"), d.far("deep/er/file"))
	d.same("third of three", d.local("third"), d.far("text"))
	if out, err := d.try(d.program, "", "-q", "-sS", "-u", "rw:rw", d.url(d.path("missing"))); err == nil {
		d.t.Errorf("a missing file: %s", out)
	}
}
