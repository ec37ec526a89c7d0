package outbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"miniftp/ftp/server"
)

// TestDiskFull: on a full disk changes are refused, what was recorded is kept, and with room again they are accepted.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("can't mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	filler := dir + "/filler"
	if err := os.WriteFile(filler, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	down := newInbox(func(*Event) error { return errors.New("down") })
	o := opened(t, dir, nil, down.receiver("a"))
	n := 0
	for ; n < 10_000; n++ {
		end, err := o.Begin(t.Context(), server.Change{Verb: "STOR", Path: fmt.Sprintf("/%d", n)})
		if err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
		end(true)
	}
	if n == 0 || n == 10_000 {
		t.Fatalf("%d were accepted", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	do(t, o, "STOR", "/last", "")
	crash(o)
	up := newInbox(nil)
	o = opened(t, dir, nil, up.receiver("a"))
	up.await(t, "all", func() bool { return o.Stats().Pending == 0 })
	got := map[string]bool{}
	for _, e := range up.all() {
		got[e.Path] = true
	}
	if len(got) != n+1 || !got["/last"] {
		t.Errorf("%d events of %d", len(got), n+1)
	}
}
