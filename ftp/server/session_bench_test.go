package server_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// served is a server for a directory with a file of 4 KiB.
func served(b *testing.B) *site {
	b.Helper()
	dir := b.TempDir()
	check(b, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	check(b, os.WriteFile(filepath.Join(dir, "file"), make([]byte, 4096), 0o600))
	root, err := fsroot.OpenRoot(dir)
	check(b, err)
	b.Cleanup(func() { _ = root.Close() })
	return serve(b, root, func(o *server.Options) { o.MaxWaiting = server.NoLimit })
}

// BenchmarkSession measures both ends together: the cost of a login, a command and a small file over loopback.
func BenchmarkSession(b *testing.B) {
	content := bytes.Repeat([]byte("x"), 4096)
	for _, bb := range []struct {
		name string
		do   func(s *site, c *ctl)
	}{
		{"login", func(s *site, _ *ctl) {
			c := s.login(b, "rw")
			c.cmd("QUIT", 221)
			_ = c.Close()
		}},
		{"NOOP", func(_ *site, c *ctl) { c.cmd("NOOP", 200) }},
		{"100 NOOPs", func(_ *site, c *ctl) {
			_, err := c.Write(bytes.Repeat([]byte("NOOP\r\n"), 100))
			check(b, err)
			for range 100 {
				c.want(200)
			}
		}},
		{"RETR of 4 KiB", func(_ *site, c *ctl) { c.get("RETR file") }},
		{"STOR of 4 KiB", func(_ *site, c *ctl) { c.put("STOR new", content) }},
		{"STOR two directories down", func(_ *site, c *ctl) { c.put("STOR a/b/new", content) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := served(b)
			c := s.login(b, "rw")
			c.cmd("TYPE I", 200)
			b.ReportAllocs()
			for b.Loop() {
				bb.do(s, c)
			}
		})
	}
}
