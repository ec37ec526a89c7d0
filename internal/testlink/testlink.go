// Package testlink makes symlinks for tests.
package testlink

import (
	"os"
	"runtime"
	"testing"
)

// Make makes the symlink name, which leads to target. Only on Windows, where that is a privilege, is a test skipped that may not
// make one.
func Make(tb testing.TB, target, name string) {
	tb.Helper()
	switch err := os.Symlink(target, name); {
	case err == nil:
	case runtime.GOOS == "windows":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}
