//go:build linux || darwin

package server_test

import (
	"syscall"
	"testing"
)

// raiseLimit makes sure that n more descriptors can be opened.
func raiseLimit(t testing.TB, n int) {
	t.Helper()
	var limit syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	need := uint64(n) + 200
	if limit.Cur >= need {
		return
	}
	old := limit
	limit.Cur = need
	if need > limit.Max {
		t.Skipf("the limit is %d descriptors, and %d are needed", limit.Max, need)
	}
	check(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) })
}
