package server_test

import (
	"runtime"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/internal/testutil"
)

// Logins in a row, each with a transfer, cost nothing that stays: no descriptor, no
// goroutine, no memory.
func TestFaultManyLogins(t *testing.T) {
	testutil.Long(t)
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	s := serve(t, fsys)
	batch := func(n int) {
		t.Run("", func(t *testing.T) { // what the test itself notes for its end goes with it
			for i := range n {
				c := s.login(t, "rw")
				switch i % 4 {
				case 0:
					c.get("RETR f")
				case 1:
					c.put("STOR up", []byte("content"))
				case 2:
					c.cmd("EPSV", 229)
				}
				if i%5 == 0 { // hangs up without a word
					_ = c.Close()
					continue
				}
				c.cmd("QUIT", 221)
				c.closed()
				_ = c.Close()
			}
		})
	}
	batch(times(100, 500)) // pools and caches fill
	files, routines, heap := settled(t, -1, -1)
	batch(times(300, 2000))
	files2, routines2, heap2 := settled(t, files, routines)
	t.Logf("descriptors %d, then %d; goroutines %d, %d; heap %d, %d", files, files2, routines, routines2, heap, heap2)
	const noise = 256 << 10
	if heap2 > heap+noise {
		t.Errorf("the heap grew from %d to %d bytes", heap, heap2)
	}
}

// settled is what the process holds, once that is no more than it was, but for a
// passive port or two that sessions which overlap make the pool grow by.
func settled(t *testing.T, files, routines int) (int, int, uint64) {
	t.Helper()
	if files >= 0 {
		await(t, func() bool { return len(openFiles()) <= files+2 && runtime.NumGoroutine() <= routines })
	}
	for range 3 { // pools are emptied by the second collection
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return len(openFiles()), runtime.NumGoroutine(), m.HeapAlloc
}
