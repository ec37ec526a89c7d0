package bench

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs holds the verbs that the tests of this package run.
var verbs = []verb.Verb{Command}

// try runs a verb in this process, without waiting before retries.
var try = verbtest.Runner(verbs)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
