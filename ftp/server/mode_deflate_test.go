package server_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// On the wire a file is a zlib stream, in both directions; so is a listing.
func TestModeDeflate(t *testing.T) {
	fsys, _ := disk(t)
	text := strings.Repeat("all work and no play\n", 50_000)
	write(t, fsys, "/text", text)
	c := serve(t, fsys, func(o *server.Options) { o.ModeZ = true }).login(t, "rw")
	c.cmd("MODE Z", 200)
	inflate := func(b []byte) string {
		t.Helper()
		z, err := zlib.NewReader(bytes.NewReader(b))
		check(t, err)
		plain, err := io.ReadAll(z)
		check(t, err)
		return string(plain)
	}
	for _, level := range []string{"1", "9"} {
		c.cmd("OPTS MODE Z LEVEL "+level, 200)
		wire := c.get("RETR /text")
		if inflate(wire) != text || len(wire) > len(text)/50 {
			t.Errorf("level %s: %d bytes on the wire", level, len(wire))
		}
	}
	if got := inflate(c.get("NLST")); got != "text\r\n" {
		t.Errorf("NLST: %q", got)
	}
	var up bytes.Buffer
	z := zlib.NewWriter(&up)
	_, err := io.WriteString(z, text)
	check(t, err)
	check(t, z.Close())
	c.put("STOR /up", up.Bytes())
	if read(t, fsys, "/up") != text {
		t.Error("the upload differs")
	}
	d := c.epsv()
	c.cmd("STOR /cut", 150)
	_, err = d.Write(up.Bytes()[:up.Len()-3])
	check(t, err)
	check(t, d.Close())
	c.want(426)
	if exists(fsys, "/cut") {
		t.Error("a part of the file got its final name")
	}
}

// An upload that expands too much is refused, and nothing of it becomes a file.
func TestModeDeflateBomb(t *testing.T) {
	testutil.Long(t)
	fsys, _ := disk(t)
	c := serve(t, fsys, func(o *server.Options) { o.ModeZ = true }).login(t, "rw")
	c.cmd("MODE Z", 200)
	var bomb bytes.Buffer
	z := zlib.NewWriter(&bomb)
	_, err := z.Write(make([]byte, 24<<20))
	check(t, err)
	check(t, z.Close())
	d := c.epsv()
	c.cmd("STOR /bomb", 150)
	_, _ = d.Write(bomb.Bytes())
	_ = d.Close()
	if r := c.want(426); !strings.Contains(r.Text(), "MODE S") {
		t.Errorf("unexpected reply %v", r)
	}
	if exists(fsys, "/bomb") {
		t.Error("the upload became a file")
	}
}

// lftp supports MODE Z and uses it if so configured.
func TestStockLftpModeZ(t *testing.T) {
	s := newStock(t, func(o *server.Options) { o.ModeZ = true })
	for _, active := range []bool{false, true} {
		d := s.open(t, "lftp", "IPv4", active)
		text := strings.Repeat("what lftp sends and gets\n", 20_000)
		check(t, os.WriteFile(filepath.Join(d.here, "text"), []byte(text), 0o644))
		out := lftpRun(d, "set ftp:use-mode-z yes", "debug 5", "put text -o "+lftpQuote(d.there+"/up"), "get "+lftpQuote(d.there+"/up")+" -o down", "cls "+lftpQuote(d.there+"/"))
		got, err := os.ReadFile(filepath.Join(d.here, "down"))
		check(t, err)
		if string(got) != text {
			t.Errorf("active %v: %d bytes were received", active, len(got))
		}
		if !strings.Contains(out, "MODE Z") {
			t.Errorf("active %v: lftp did not use MODE Z:\n%s", active, out)
		}
	}
}
