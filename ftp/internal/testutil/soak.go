package testutil

import (
	"os"
	"testing"
)

// Soaking reports whether make soak runs the tests: what an ordinary run does a few
// times, or with a sample of the combinations, is then done for minutes, or with all.
var Soaking = os.Getenv("MINIFTP_SOAK") != ""

// Long skips a test that takes more than a moment where the tests run with -short.
func Long(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("not with -short: it takes more than a moment")
	}
}
