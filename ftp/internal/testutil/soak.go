package testutil

import "os"

// Soaking reports whether make soak runs the tests: what an ordinary run does a few
// times, or with a sample of the combinations, is then done for minutes, or with all.
var Soaking = os.Getenv("MINIFTP_SOAK") != ""
