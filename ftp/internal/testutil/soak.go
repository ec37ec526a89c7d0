package testutil

import (
	"os"
	"testing"
)

// Soaking reports whether make soak runs the tests. They then run for minutes instead of a few
// rounds, or with all combinations instead of a sample.
var Soaking = os.Getenv("MINIFTP_SOAK") != ""

// Long skips a test that takes more than a moment if the tests run with -short.
func Long(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("not with -short: it takes more than a moment")
	}
}
