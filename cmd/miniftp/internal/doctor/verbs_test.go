package doctor

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/mirror"
	"miniftp/cmd/miniftp/internal/transfer"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs are what the tests of this package run.
var verbs = []verb.Verb{Command, transfer.Get, transfer.Put, mirror.Command, files.Ls, files.Cat}

// try runs a verb in this process, with no wait before retries.
var try = verbtest.Runner(verbs)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
