package server_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestStockBusybox: ftpput of busybox, which is in many cameras, uploads into directories that do not exist, and twice under one
// name, if its account has CompatDevice. Otherwise it fails.
func TestStockBusybox(t *testing.T) {
	fsys, dir := disk(t)
	s := serve(t, fsys, withDevices)
	host, port, err := net.SplitHostPort(s.addr)
	check(t, err)
	put := func(user, remote string, content []byte) error {
		local := filepath.Join(t.TempDir(), "local")
		check(t, os.WriteFile(local, content, 0o600))
		out, err := command(t, "busybox", "ftpput", "-u", user, "-p", user, "-P", port, host, remote, local).CombinedOutput()
		t.Logf("%s: %s: %v %s", user, remote, err, out)
		return err
	}
	const remote = "cam/2024Y02M09D13H/16M00S.mp4"
	if put("drop", remote, nil) == nil {
		t.Error("without CompatDevice it works")
	}
	check(t, put("cam", remote, random(300_000)))
	check(t, put("cam", remote, random(10)))
	for name, want := range map[string][]byte{"16M00S.mp4": random(300_000), "16M00S-1.mp4": random(10)} {
		if got, err := os.ReadFile(filepath.Join(dir, filepath.Dir(remote), name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes: %v", name, len(got), err)
		}
	}
	if put("drop", remote, nil) == nil {
		t.Error("without CompatDevice it replaces a file")
	}
}
