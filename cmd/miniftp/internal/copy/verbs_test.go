package copy

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs are the verbs that the tests of this package run.
var verbs = []verb.Verb{Command}

// try runs a verb in this process, with no wait before retries.
var try = verbtest.Runner(verbs)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
