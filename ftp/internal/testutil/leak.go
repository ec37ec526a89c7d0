package testutil

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// Main calls RunParallel, runs the tests of a package and returns the exit code, for TestMain. It
// fails if the tests leave goroutines behind.
func Main(m *testing.M) int {
	RunParallel()
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !settled(before) {
		buf := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", buf[:runtime.Stack(buf, true)])
		return 1
	}
	return code
}

// settled reports whether the number of goroutines falls to before within five seconds.
func settled(before int) bool {
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
