package doctor

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/mirror"
	"miniftp/cmd/miniftp/internal/serve"
	"miniftp/cmd/miniftp/internal/transfer"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs holds the verbs that the tests of this package run.
var verbs = []verb.Verb{Command, serve.Command, transfer.Get, transfer.Put, mirror.Command, files.Ls, files.Cat}

// try runs a verb in this process, without waiting before retries.
var try = verbtest.Runner(verbs)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
