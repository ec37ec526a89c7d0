package server_test

import (
	"runtime"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/internal/testutil"
)

// Many logins in a row, each with a transfer, leave no descriptor, no goroutine and no memory in use.
func TestFaultManyLogins(t *testing.T) {
	testutil.Long(t)
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	s := serve(t, fsys)
	batch := func(n int) {
		t.Run("", func(t *testing.T) { // a subtest, whose own cleanups are run
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
				if i%5 == 0 { // hangs up without QUIT
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

// settled returns what the process holds once that does not exceed what it held before, apart from a passive
// port or two that overlapping sessions may add to the pool.
func settled(t *testing.T, files, routines int) (int, int, uint64) {
	t.Helper()
	if files >= 0 {
		await(t, func() bool { return len(openFiles()) <= files+2 && runtime.NumGoroutine() <= routines })
	}
	for range 3 { // the second collection empties a sync.Pool
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return len(openFiles()), runtime.NumGoroutine(), m.HeapAlloc
}
