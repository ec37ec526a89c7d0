package osfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns two files of a new directory.
func pair(t *testing.T) (to, from *os.File) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []struct {
		name string
		file **os.File
	}{{"to", &to}, {"from", &from}} {
		file, err := os.Create(filepath.Join(dir, f.name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		*f.file = file
	}
	return to, from
}

// TestInheritAttributes: attributes are copied whose list and values are shorter and longer than the buffers for the usual ones.
func TestInheritAttributes(t *testing.T) {
	to, from := pair(t)
	want := map[string][]byte{"user.short": []byte("value"), "user.long": bytes.Repeat([]byte("v"), 2000)}
	for _, c := range "abcdef" {
		want["user."+string(bytes.Repeat([]byte{byte(c)}, 200))] = []byte("1")
	}
	for name, value := range want {
		switch err := unix.Fsetxattr(int(from.Fd()), name, value, 0); {
		case errors.Is(err, unix.ENOTSUP):
			t.Skip("the filesystem has no attributes")
		case err != nil:
			t.Fatal(err)
		}
	}
	for range 2 { // the second time they are there already
		if err := Inherit(to, from); err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			got := make([]byte, 64<<10)
			n, err := unix.Fgetxattr(int(to.Fd()), name, got)
			if err != nil || !bytes.Equal(got[:n], value) {
				t.Errorf("%.20s…: %d bytes, %v; want %d", name, n, err, len(value))
			}
		}
	}
}

// TestInheritStack: Inherit needs little stack, because each session of a server that replaces a file calls it, and a stack
// that has grown stays so until the garbage is collected.
func TestInheritStack(t *testing.T) {
	to, from := pair(t)
	const sessions = 200
	var before, after runtime.MemStats
	runtime.GC() // frees the stacks of earlier tests
	runtime.ReadMemStats(&before)
	var called, ended sync.WaitGroup
	stay := make(chan struct{})
	for range sessions {
		called.Add(1)
		ended.Go(func() {
			if err := Inherit(to, from); err != nil {
				t.Error(err)
			}
			called.Done()
			<-stay
		})
	}
	called.Wait()
	runtime.ReadMemStats(&after)
	close(stay)
	ended.Wait()
	if each := (int64(after.StackInuse) - int64(before.StackInuse)) / sessions; each > 20<<10 {
		t.Errorf("each call needed %d KiB of stack", each>>10)
	}
}
