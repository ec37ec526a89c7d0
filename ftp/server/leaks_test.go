package server_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// besides has the names of the tests that leave open what is theirs, or run in parallel with others that do.
var besides sync.Map

// parallel lets a test run in parallel with others, which is for tests that mostly wait. A leak of such a test
// is found by leftBehind when all tests have ended.
func parallel(t *testing.T) {
	t.Helper()
	leavesToTheEnd(t)
	t.Parallel()
}

// leavesToTheEnd makes leftBehind find what this test leaks, and not noLeaks.
func leavesToTheEnd(t testing.TB) {
	name, _, _ := strings.Cut(t.Name(), "/")
	besides.Store(name, true)
}

// noLeaks checks at the end of the test that no goroutine, socket or file of it is left.
func noLeaks(t testing.TB) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	if _, ok := besides.Load(name); ok {
		return
	}
	running := goleak.IgnoreCurrent()
	before := openFiles()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		// A session that was parked before the test may continue on a new goroutine, so parked ones are
		// ignored. One that the test has left shows by its socket, which a parked session may still be about to
		// close.
		goleak.VerifyNone(t, running, goleak.IgnoreAnyFunction("miniftp/ftp/server.(*session).park"))
		left := newFiles(before)
		for end := time.Now().Add(patience); len(left) > 0 && time.Now().Before(end); left = newFiles(before) {
			time.Sleep(time.Millisecond)
		}
		for _, f := range left {
			t.Errorf("left open: %s", f)
		}
	})
}

// leftBehind returns an error if goroutines, sockets or files are left when all tests have ended.
func leftBehind(before []string) error {
	if err := goleak.Find(); err != nil {
		return err
	}
	if left := newFiles(before); len(left) > 0 {
		return fmt.Errorf("left open: %q", left)
	}
	return nil
}

// newFiles lists what is open now and was not open before.
func newFiles(before []string) []string {
	before = slices.Clone(before)
	return slices.DeleteFunc(openFiles(), func(f string) bool {
		i := slices.Index(before, f)
		if i >= 0 {
			before = slices.Delete(before, i, i+1)
		}
		return i >= 0
	})
}

// openFiles lists the open sockets and files of the process, if the system can list them. Pipes are left out:
// package net keeps those that it uses for splice.
func openFiles() []string {
	if runtime.GOOS != "linux" {
		return nil
	}
	var open []string
	dir, _ := os.ReadDir("/proc/self/fd")
	for _, e := range dir {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/proc")) {
			open = append(open, target)
		}
	}
	return open
}
