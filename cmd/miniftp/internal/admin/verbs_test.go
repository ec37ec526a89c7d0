package admin

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/serve"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs holds the verbs that the tests of this package run.
var verbs = []verb.Verb{serve.Command, Who, Top, Kick, Drain, Reload, Ban, Events}

// try runs a verb in this process.
var try = verbtest.Runner(verbs)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
