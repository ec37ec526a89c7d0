package server_test

import (
	"strings"
	"syscall"
	"testing"

	"miniftp/fsroot"
)

// A real full disk. There the kernel moves the bytes, and splice fails.
func TestFaultRealDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("can't mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	root, err := fsroot.OpenRoot(dir)
	check(t, err)
	t.Cleanup(func() { _ = root.Close() })
	content := random(3 << 20)
	c := serve(t, root).login(t, "rw")
	for _, cmd := range []string{"STOR f", "APPE f", "STOU f"} {
		d := c.starts(cmd)
		_, _ = d.Write(content)
		if r := c.want(452); strings.Contains(r.Text(), dir) {
			t.Errorf("%s: the reply contains a host path: %q", cmd, r.Text())
		}
		_ = d.Close()
		if exists(root, "/f") {
			t.Errorf("%s: a part of the file has its final name", cmd)
		}
		if cmd == "STOU f" {
			break
		}
		if got := names(t, root, "/"); len(got) > 0 {
			t.Errorf("%s: %q keep the disk full", cmd, got)
		}
		c.put("STOR g", content[:500_000])
		c.cmd("DELE g", 250)
	}
}
